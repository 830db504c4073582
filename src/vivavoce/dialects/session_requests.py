"""Sessions outside a connection: what a REST call asks of one, and how the answer shows it.

A client secret is asked for in one of four forms. GA's has the session in an object of its own, the
others are the session and little else. Beside it, in every form, stand two fields of ours: `locked`,
what the holder of the secret can neither read nor change, and `limits`, how it may be used.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.locks import LOCKABLE
from vivavoce.core.settings import SessionUpdate
from vivavoce.dialects import leniency, shapes
from vivavoce.dialects.api import Dialect, reader, writer
from vivavoce.dialects.ga_reading import WHOLE, GaReader, Ignored
from vivavoce.dialects.leniency import SESSION_PATHS, Raw
from vivavoce.dialects.objects import Json
from vivavoce.dialects.refusals import Where, fitted, quoted, unsupported

SecretForm = Literal["client_secrets", "sessions", "transcription_sessions", "azure_sessions"]

MAX_BODY_BYTES = 256 * 1024
# The dialect of each form, and for how many seconds its secret is good unless it says otherwise.
FORMS: Mapping[SecretForm, tuple[Dialect, int]] = {
    "client_secrets": ("ga", 600),
    "sessions": ("preview", 60),
    "transcription_sessions": ("preview", 600),
    "azure_sessions": ("preview", 60),
}
# What a secret can lock, by preview's names as well, and by the paths at which GA has them.
SPELLINGS = {name: name for name in LOCKABLE} | {
    spelling: path.rpartition(".")[2]
    for name, path in SESSION_PATHS.items()
    for spelling in (name, path)
    if path.rpartition(".")[2] in LOCKABLE
}


class SecretRequest(Struct, frozen=True):
    """A client secret, as it is asked for.

    *session_raw* is the session object as it was sent but for its model, to be read again when the
    secret is used. *origins* are as they were sent; none at all means every one.
    """

    model: str | None
    lives_s: int
    dialect: Dialect
    session_raw: bytes
    update: SessionUpdate
    transcription: bool
    locked: tuple[str, ...]
    session_seconds: int | None
    origins: tuple[str, ...]
    single_use: bool
    where: Where = WHOLE


def respelt(refusal: Refusal, where: Where) -> Refusal:
    """A Refusal of the core, which names a session's fields GA's way, by the names that were sent."""
    if refusal.param is None or not refusal.param.startswith("session."):
        return refusal
    refusal.param = where.name(refusal.param.removeprefix("session."))
    return refusal


def places(session: Raw, dialect: Dialect, prefix: str = "session") -> Where:
    """Where the fields of GA were sent: by preview's names, or by their own."""
    moved = {
        path: name
        for name, path in SESSION_PATHS.items()
        if dialect == "preview" or name in session
    }
    return Where(prefix, moved)


def read_session(
    raw: Raw,
    dialect: Dialect,
    *,
    transcription: bool = False,
    strict: bool = False,
    on_ignored: Ignored = lambda path: None,
    prefix: str = "session",
) -> SessionUpdate:
    """The settings in a session object; a Refusal names its fields below *prefix*.

    *transcription*: it is one that only transcribes, whether it says so itself or is preview's.
    *raw* is used up by this.
    """
    return _read(reader(dialect, strict=strict, on_ignored=on_ignored), raw, transcription, prefix)


def write_session(view: events.SessionView, dialect: Dialect, azure: bool) -> Json:
    """A session that nobody has joined yet, so that no time runs: it expires at 0."""
    return writer(dialect, azure).session_object(msgspec.structs.replace(view, expires_at=0))


def read_secret_request(
    body: bytes,
    form: SecretForm,
    *,
    strict: bool = False,
    on_ignored: Ignored = lambda path: None,
) -> SecretRequest:
    """What a call for a client secret asks for; raises Refusal and nothing else."""
    try:
        return _request(_parsed(body, strict), form, strict, on_ignored)
    except RecursionError:  # it could be read, if only just, and could not be written again
        raise Refusal("The body is nested too deeply.", code=None) from None


def _request(raw: Raw, form: SecretForm, strict: bool, on_ignored: Ignored) -> SecretRequest:
    dialect, lives_s = FORMS[form]
    reads = reader(dialect, strict=strict, on_ignored=on_ignored)
    terms, session, prefix = _parts(raw, reads, dialect, strict)
    limits = terms.limits or shapes.KeyLimits()
    locked, origins = _locked(terms.locked), _origins(limits.origins)

    model = fitted(session, shapes.Named, Where(prefix)).model
    session.pop("model", None)
    session_raw = msgspec.json.encode(session)
    where = places(session, dialect, prefix)
    update = _read(reads, session, form == "transcription_sessions", prefix)
    return SecretRequest(
        model=model,
        lives_s=(terms.life or shapes.KeyLife()).seconds or lives_s,
        dialect=dialect,
        session_raw=session_raw,
        update=update,
        transcription=update.type == "transcription",
        locked=locked,
        session_seconds=limits.session_seconds,
        origins=origins,
        single_use=limits.single_use,
        where=where,
    )


def _parsed(body: bytes, strict: bool) -> Raw:
    if len(body) > MAX_BODY_BYTES:
        raise Refusal(
            f"The body is too large: at most {MAX_BODY_BYTES} bytes (256 KiB) are read.", code=None
        )
    if not body.strip():
        return {}
    try:
        return leniency.parsed(body, strict=strict)
    except Refusal:  # which speaks of events
        raise Refusal(
            "The body is not a JSON object. Send one, or no body at all.", code=None
        ) from None


def _parts(
    raw: Raw, reads: GaReader, dialect: Dialect, strict: bool
) -> tuple[shapes.GaKey | shapes.PreviewKey, Raw, str]:
    """What is asked of the secret, the session, and at which path that lay."""
    if dialect == "preview":
        beside, session = _split(raw, shapes.PreviewKey)
        return reads.read(beside, shapes.PreviewKey), session, ""
    if not strict and _bare(raw):
        beside, session = _split(raw, shapes.GaKey)
        return reads.read(beside, shapes.GaKey), session, ""
    terms = reads.read(raw, shapes.GaKey)
    return terms, {"type": "realtime"} if terms.session is None else terms.session, "session"


def _split(raw: Raw, shape: type[Struct]) -> tuple[Raw, Raw]:
    """What *shape* has a place for, and the rest."""
    keys = shape.__struct_fields__
    beside = {key: value for key, value in raw.items() if key in keys}
    return beside, {key: value for key, value in raw.items() if key not in keys}


def _bare(raw: Raw) -> bool:
    """Whether it is a session where one should have been inside of it: a habit from preview."""
    return raw.get("session") is None and not raw.keys().isdisjoint(("type", "model"))


def _read(reads: GaReader, raw: Raw, transcription: bool, prefix: str) -> SessionUpdate:
    if transcription and raw.get("type") != "transcription":
        return reads.read_transcription(raw, prefix)
    return reads.read_session(raw, prefix)


def _locked(sent: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(sent):
        if name not in SPELLINGS:
            raise unsupported(name, quoted(tuple(LOCKABLE)), f"locked[{index}]")
    return tuple(dict.fromkeys(SPELLINGS[name] for name in sent))


def _origins(sent: tuple[str, ...] | None) -> tuple[str, ...]:
    if sent is None:
        return ()
    if not sent:  # nobody could use such a secret, and by that nobody means nobody
        raise Refusal(
            "Invalid 'limits.origins': it is empty. Name an origin, or leave it away to allow all.",
            param="limits.origins",
        )
    return sent
