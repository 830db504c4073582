"""Client secrets as they are asked for, and sessions as REST answers show them."""

import contextlib
import json
from typing import Any

import pytest
from dialect_wire import updated
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arbitrary_frames import JSON, places, replaced

from vivavoce.conformance.validator import faults
from vivavoce.core.errors import Refusal
from vivavoce.core.events import SessionView
from vivavoce.core.locks import LOCKABLE
from vivavoce.core.settings import (
    AudioInputUpdate,
    NoiseReduction,
    SessionSettings,
    SessionUpdate,
    Transcription,
    merge,
)
from vivavoce.dialects.api import Dialect
from vivavoce.dialects.session_requests import (
    MAX_BODY_BYTES,
    SecretForm,
    SecretRequest,
    read_secret_request,
    read_session,
    respelt,
    write_session,
)

FORMS: list[SecretForm] = ["client_secrets", "sessions", "transcription_sessions", "azure_sessions"]
FLAT = FORMS[1:]
WIRED = ("instructions", "tools", "voice", "turn_detection")  # some names that locks may have
PATHS = {"type": "realtime", "audio": {"output": {"voice": "alloy"}}}


def asked(
    form: SecretForm, body: object = None, *, strict: bool = False, ignored: list[str] | None = None
) -> SecretRequest:
    """What a body asks for; paths that are passed over are added to *ignored*."""
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    noted = [] if ignored is None else ignored
    return read_secret_request(sent, form, strict=strict, on_ignored=noted.append)


def refused(form: SecretForm, body: object, *, strict: bool = False) -> Refusal:
    """The Refusal that a body meets."""
    with pytest.raises(Refusal) as caught:
        asked(form, body, strict=strict)
    return caught.value


def again(request: SecretRequest, *, strict: bool = False) -> SessionUpdate:
    """The session of a secret, read as when it is used."""
    return read_session(
        json.loads(request.session_raw),
        request.dialect,
        transcription=request.transcription,
        strict=strict,
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("form", "dialect", "lives_s", "transcription"),
    [
        ("client_secrets", "ga", 600, False),
        ("sessions", "preview", 60, False),
        ("transcription_sessions", "preview", 600, True),
        ("azure_sessions", "preview", 60, False),
    ],
)
@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_whoever_asks_for_nothing_gets_a_plain_session_for_a_while(
    form: SecretForm,
    dialect: Dialect,
    lives_s: int,
    transcription: bool,
    body: bytes,
    strict: bool,
) -> None:
    request = asked(form, body, strict=strict)

    assert (request.dialect, request.lives_s) == (dialect, lives_s)
    assert request.transcription is transcription
    assert (request.model, request.locked, request.origins) == (None, (), ())
    assert (request.session_seconds, request.single_use) == (None, False)
    plain = SessionSettings(type="transcription" if transcription else "realtime")
    assert merge(plain, request.update) == plain
    assert again(request, strict=strict) == request.update


@pytest.mark.parametrize("strict", [False, True])
def test_a_ga_session_lies_in_an_object_of_its_own(strict: bool) -> None:
    session = {
        "type": "realtime",
        "model": "gpt-realtime-mini",
        "instructions": "Be brief.",
        "audio": {
            "input": {"noise_reduction": {"type": "near_field"}, "turn_detection": None},
            "output": {"voice": "marin", "speed": 1.25},
        },
        "tools": [{"type": "function", "name": "look"}],
    }
    body = {"session": session, "expires_after": {"anchor": "created_at", "seconds": 7200}}

    request = asked("client_secrets", body, strict=strict)

    assert (request.model, request.lives_s) == ("gpt-realtime-mini", 7200)
    assert request.update == updated("ga", strict=strict, **session)
    assert again(request, strict=strict) == request.update
    assert json.loads(request.session_raw) == {k: v for k, v in session.items() if k != "model"}


def test_a_ga_session_may_only_transcribe() -> None:
    heard = {"transcription": {"model": "whisper-1"}, "noise_reduction": {"type": "far_field"}}
    session = {"type": "transcription", "model": "gpt-realtime", "audio": {"input": heard}}

    request = asked("client_secrets", {"session": session}, strict=True)

    assert request.transcription
    assert request.model == "gpt-realtime"
    assert request.update == SessionUpdate(
        type="transcription",
        input=AudioInputUpdate(
            transcription=Transcription("whisper-1"), noise_reduction=NoiseReduction("far_field")
        ),
    )
    assert again(request, strict=True) == request.update


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("form", ["sessions", "azure_sessions"])
def test_a_preview_session_is_the_body(form: SecretForm, strict: bool) -> None:
    session = {
        "modalities": ["text", "audio"],
        "voice": "echo",
        "input_audio_format": "g711_ulaw",
        "turn_detection": {"type": "server_vad", "threshold": 0.6},
        "max_response_output_tokens": 100,
        "temperature": 0.7,
    }
    body = {"model": "gpt-4o-realtime-preview", **session}

    request = asked(form, body, strict=strict)

    assert request.model == "gpt-4o-realtime-preview"
    assert request.update == updated("preview", strict=strict, **session)
    assert again(request, strict=strict) == request.update


@pytest.mark.parametrize("strict", [False, True])
def test_a_preview_transcription_session_is_the_body_of_its_own_call(strict: bool) -> None:
    body = {
        "model": "spoken",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "de"},
        "input_audio_noise_reduction": {"type": "near_field"},
        "modalities": ["text"],
        "client_secret": {"expires_at": {"anchor": "created_at", "seconds": 30}},
    }

    request = asked("transcription_sessions", body, strict=strict)

    assert (request.model, request.lives_s, request.transcription) == ("spoken", 30, True)
    assert request.update == SessionUpdate(
        type="transcription",
        input=AudioInputUpdate(
            transcription=Transcription("gpt-4o-transcribe", "de"),
            noise_reduction=NoiseReduction("near_field"),
        ),
    )
    assert again(request, strict=strict) == request.update


@pytest.mark.parametrize("form", FLAT)
@pytest.mark.parametrize("spelling", ["expires_after", "expires_at"])
@pytest.mark.parametrize("strict", [False, True])
def test_preview_asks_for_the_life_of_a_key_inside_the_key(
    form: SecretForm, spelling: str, strict: bool
) -> None:
    body = {"client_secret": {spelling: {"anchor": "created_at", "seconds": 10}}}

    assert asked(form, body, strict=strict).lives_s == 10


def test_the_newer_of_two_spellings_of_the_life_counts() -> None:
    life = {"expires_at": {"seconds": 20}, "expires_after": {"seconds": 30}}

    assert asked("sessions", {"client_secret": life}).lives_s == 30


def test_an_anchor_alone_leaves_the_life_as_it_is() -> None:
    anchor = {"anchor": "created_at"}

    assert asked("client_secrets", {"expires_after": anchor}).lives_s == 600
    assert asked("sessions", {"client_secret": {"expires_after": anchor}}).lives_s == 60


@pytest.mark.parametrize("form", FORMS)
def test_what_is_null_is_not_there(form: SecretForm) -> None:
    beside = (
        ["session", "expires_after"] if form == "client_secrets" else ["client_secret", "model"]
    )

    assert asked(form, {"limits": None, **dict.fromkeys(beside)}) == asked(form)


def test_no_ga_session_is_a_plain_one_even_where_its_type_is_demanded() -> None:
    assert asked("client_secrets", {"session": None}, strict=True) == asked("client_secrets")


@pytest.mark.parametrize(
    "session",
    [
        {"type": "realtime", "audio": {"output": {"voice": "cedar"}}},
        {"model": "gpt-realtime", "voice": "cedar"},
    ],
)
def test_a_ga_session_without_its_wrapper_is_taken_for_what_it_is(
    session: dict[str, object],
) -> None:
    beside = {"expires_after": {"seconds": 90}, "locked": ["voice"]}
    ignored: list[str] = []

    request = asked("client_secrets", {**session, **beside}, ignored=ignored)

    assert request.update.output.voice == "cedar"
    assert (request.model, request.lives_s) == (session.get("model"), 90)
    assert (request.locked, ignored) == (("voice",), [])
    assert refused("client_secrets", session, strict=True).code == "unknown_parameter"


def test_beside_the_session_a_model_is_an_unknown_key() -> None:
    session = {"type": "realtime", "instructions": "Be brief."}
    ignored: list[str] = []

    request = asked("client_secrets", {"session": session, "model": "x"}, ignored=ignored)

    assert (request.model, request.update.instructions) == (None, "Be brief.")
    assert ignored == ["model"]


def test_ga_settings_without_type_or_model_are_unknown_keys() -> None:
    ignored: list[str] = []

    request = asked("client_secrets", {"instructions": "Be brief."}, ignored=ignored)

    assert request == asked("client_secrets")
    assert ignored == ["instructions"]


@pytest.mark.parametrize(
    ("form", "body", "path"),
    [
        ("client_secrets", {"colour": 1}, "colour"),
        ("client_secrets", {"session": {"type": "realtime", "colour": 1}}, "session.colour"),
        (
            "client_secrets",
            {"session": {"type": "realtime", "temperature": 1}},
            "session.temperature",
        ),
        ("client_secrets", {"expires_after": {"in": 1}}, "expires_after.in"),
        ("client_secrets", {"limits": {"calls": 1}}, "limits.calls"),
        ("sessions", {"colour": 1}, "colour"),
        ("sessions", {"truncation": "auto"}, "truncation"),
        ("sessions", {"turn_detection": {"type": "server_vad", "x": 1}}, "turn_detection.x"),
        ("sessions", {"client_secret": {"value": "ek_"}}, "client_secret.value"),
        ("sessions", {"expires_after": {"seconds": 20}}, "expires_after"),
        ("transcription_sessions", {"voice": "alloy"}, "voice"),
        ("azure_sessions", {"max_tokens": 1}, "max_tokens"),
    ],
)
def test_a_key_that_nobody_knows_is_noted_or_refused(
    form: SecretForm, body: object, path: str
) -> None:
    ignored: list[str] = []
    asked(form, body, ignored=ignored)
    refusal = refused(form, body, strict=True)

    assert ignored == [path]
    assert (refusal.code, refusal.param) == ("unknown_parameter", path)


def test_strict_azure_knows_the_longest_output_by_previews_name_alone() -> None:
    assert asked("azure_sessions", {"max_output_tokens": 9}).update.max_output_tokens == 9
    assert refused("azure_sessions", {"max_output_tokens": 9}, strict=True).param == (
        "max_output_tokens"
    )


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("form", "body", "code", "param"),
    [
        ("client_secrets", {"session": []}, "invalid_type", "session"),
        ("client_secrets", {"expires_after": 60}, "invalid_type", "expires_after"),
        (
            "client_secrets",
            {"expires_after": {"seconds": 9}},
            "integer_below_min_value",
            "expires_after.seconds",
        ),
        (
            "client_secrets",
            {"expires_after": {"seconds": 7201}},
            "integer_above_max_value",
            "expires_after.seconds",
        ),
        (
            "client_secrets",
            {"expires_after": {"seconds": "60"}},
            "invalid_type",
            "expires_after.seconds",
        ),
        (
            "client_secrets",
            {"expires_after": {"anchor": "used_at"}},
            "invalid_value",
            "expires_after.anchor",
        ),
        (
            "client_secrets",
            {"session": {**PATHS, "audio": {"output": {"speed": 2}}}},
            "decimal_above_max_value",
            "session.audio.output.speed",
        ),
        (
            "client_secrets",
            {"session": {**PATHS, "audio": {"output": {"voice": 7}}}},
            "invalid_type",
            "session.audio.output.voice",
        ),
        ("client_secrets", {"session": {**PATHS, "model": 4}}, "invalid_type", "session.model"),
        ("client_secrets", {"session": {"type": "call"}}, "invalid_value", "session.type"),
        ("sessions", {"model": ["gpt"]}, "invalid_type", "model"),
        ("sessions", {"voice": 7}, "invalid_type", "voice"),
        (
            "sessions",
            {"turn_detection": {"type": "server_vad", "threshold": 2}},
            "decimal_above_max_value",
            "turn_detection.threshold",
        ),
        ("sessions", {"client_secret": "ek"}, "invalid_type", "client_secret"),
        (
            "sessions",
            {"client_secret": {"expires_after": {"seconds": 1}}},
            "integer_below_min_value",
            "client_secret.expires_after.seconds",
        ),
        (
            "transcription_sessions",
            {"client_secret": {"expires_at": {"seconds": 8000}}},
            "integer_above_max_value",
            "client_secret.expires_at.seconds",
        ),
        (
            "transcription_sessions",
            {"input_audio_format": "mp3"},
            "invalid_value",
            "input_audio_format",
        ),
        ("azure_sessions", {"voice": {"name": "x"}}, None, "voice"),
    ],
)
def test_a_fault_names_its_field_as_it_was_sent(
    form: SecretForm, body: object, code: str | None, param: str, strict: bool
) -> None:
    refusal = refused(form, body, strict=strict)

    assert refusal.param is not None
    assert refusal.param.startswith(param) if code is None else refusal.param == param
    assert code in (None, refusal.code)


def test_a_fault_in_previews_spelling_of_a_ga_session_is_named_in_that() -> None:
    wrapped = {"session": {"type": "realtime", "voice": 7}}

    assert refused("client_secrets", wrapped).param == "session.voice"
    assert refused("client_secrets", {"type": "realtime", "speed": 7}).param == "speed"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("terms", "code", "param"),
    [
        ({"locked": "instructions"}, "invalid_type", "locked"),
        ({"locked": ["tools", 1]}, "invalid_type", "locked[1]"),
        ({"locked": ["tools", "model"]}, "invalid_value", "locked[1]"),
        ({"locked": ["tools"] * 65}, "array_above_max_length", "locked"),
        ({"limits": 3600}, "invalid_type", "limits"),
        ({"limits": {"session_seconds": 9}}, "integer_below_min_value", "limits.session_seconds"),
        (
            {"limits": {"session_seconds": 86401}},
            "integer_above_max_value",
            "limits.session_seconds",
        ),
        ({"limits": {"origins": "https://a.example"}}, "invalid_type", "limits.origins"),
        ({"limits": {"origins": []}}, "invalid_value", "limits.origins"),
        (
            {"limits": {"origins": ["https://a.example", None]}},
            "invalid_type",
            "limits.origins[1]",
        ),
        ({"limits": {"single_use": "yes"}}, "invalid_type", "limits.single_use"),
    ],
)
def test_a_fault_of_our_own_fields_is_told_alike_in_every_form(
    form: SecretForm, terms: dict[str, object], code: str, param: str
) -> None:
    refusal = refused(form, terms)

    assert (refusal.code, refusal.param) == (code, param)


def test_what_cannot_be_locked_is_told_with_what_can() -> None:
    message = refused("client_secrets", {"locked": ["model"]}).message

    assert message.startswith("Invalid value: 'model'. Supported values are: 'instructions', ")
    assert all(f"'{name}'" in message for name in LOCKABLE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("strict", [False, True])
def test_locks_and_limits_stand_beside_the_session_in_every_form(
    form: SecretForm, strict: bool
) -> None:
    limits = {
        "session_seconds": 86400,
        "origins": ["https://app.example.com", "http://localhost:3000"],
        "single_use": True,
    }

    request = asked(form, {"locked": [*WIRED, "tools"], "limits": limits}, strict=strict)

    assert request.locked == WIRED
    assert request.session_seconds == 86400
    assert request.origins == ("https://app.example.com", "http://localhost:3000")
    assert request.single_use
    assert request.session_raw == asked(form).session_raw


@pytest.mark.parametrize("name", LOCKABLE)
def test_everything_lockable_is_locked_by_its_own_name(name: str) -> None:
    assert asked("sessions", {"locked": [name]}).locked == (name,)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("modalities", "output_modalities"),
        ("max_response_output_tokens", "max_output_tokens"),
        ("input_audio_transcription", "transcription"),
        ("input_audio_noise_reduction", "noise_reduction"),
        ("audio.input.turn_detection", "turn_detection"),
        ("audio.output.voice", "voice"),
        ("audio.output.speed", "speed"),
    ],
)
def test_what_is_locked_may_be_named_as_either_dialect_does(spelling: str, name: str) -> None:
    assert asked("client_secrets", {"locked": [name, spelling]}).locked == (name,)


def test_formats_cannot_be_locked_whichever_way_they_are_named() -> None:
    for name in ("input_audio_format", "audio.output.format", "format"):
        assert refused("sessions", {"locked": [name]}).param == "locked[0]"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", [b"{", b"[]", b'"ek"', b"null", b"\xff\xfe", b"{'a': 1}"])
def test_what_is_no_json_object_is_refused(form: SecretForm, body: bytes) -> None:
    refusal = refused(form, body)

    assert (refusal.code, refusal.param) == (None, None)
    assert refusal.message.startswith("The body is not a JSON object.")


def test_a_comma_before_a_closing_bracket_is_taken_unless_strict() -> None:
    body = b'{"session": {"type": "realtime", "instructions": "Hm,}",},}'

    assert asked("client_secrets", body).update.instructions == "Hm,}"
    assert refused("client_secrets", body, strict=True).code is None


@pytest.mark.parametrize("form", FORMS)
def test_a_body_may_be_so_large_and_no_larger(form: SecretForm) -> None:
    fits = b"{}".ljust(MAX_BODY_BYTES)

    assert asked(form, fits) == asked(form)
    assert "at most 262144 bytes (256 KiB)" in refused(form, fits + b" ").message


@pytest.mark.parametrize("form", FORMS)
def test_a_body_nested_too_deeply_is_refused(form: SecretForm) -> None:
    # Between what can be read and what cannot lies what cannot be written again.
    for depth in range(1, 1000):
        body = b'{"tracing":{"metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}}"
        with contextlib.suppress(Refusal):
            asked(form, b'{"session":' + body + b"}" if form == "client_secrets" else body)
    assert refused(form, b"[" * 100_000).code is None


GOOD: dict[SecretForm, dict[str, Any]] = {
    "client_secrets": {
        "session": {**PATHS, "voice": "echo", "tools": [{"type": "function", "name": "f"}]},
        "expires_after": {"seconds": 60.0},
        "locked": ["tools"],
    },
    "sessions": {
        "model": "gpt-4o-realtime-preview",
        "modalities": ["text"],
        "turn_detection": {"type": "none"},
        "client_secret": {"expires_after": {"seconds": 60}},
        "limits": {"origins": ["https://app.example.com"], "single_use": True},
    },
    "transcription_sessions": {
        "type": "transcription",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {"threshold": 0.5},
    },
    "azure_sessions": {"model": "gpt-realtime", "audio": {"output": {"voice": "echo"}}},
}


@settings(deadline=None)
@given(st.sampled_from(FORMS), st.booleans(), JSON, st.data())
def test_whatever_is_not_refused_is_read_the_same_again(
    form: SecretForm, strict: bool, by: object, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(places(GOOD[form])))
    body = json.dumps(replaced(GOOD[form], path, by)).encode()

    try:
        request = asked(form, body, strict=strict)
    except Refusal:
        return
    assert again(request, strict=strict) == request.update


@pytest.mark.parametrize(
    ("form", "body", "param"),
    [
        ("client_secrets", {"session": PATHS}, "session.audio.output.voice"),
        ("client_secrets", {"session": {"voice": "x"}}, "session.voice"),
        ("client_secrets", PATHS, "audio.output.voice"),
        ("client_secrets", {"type": "realtime", "voice": "x"}, "voice"),
        ("sessions", {"voice": "x"}, "voice"),
        ("azure_sessions", {}, "voice"),
    ],
)
def test_the_core_names_a_field_which_the_client_knows_by_its_own_name(
    form: SecretForm, body: object, param: str
) -> None:
    where = asked(form, body).where

    def told(param: str | None) -> str | None:
        return respelt(Refusal("No.", param=param), where).param

    assert told("session.audio.output.voice") == param
    assert told("session.tracing") == ("session.tracing" if "session." in param else "tracing")
    assert told("limits") == "limits"
    assert told(None) is None


def test_sessions_are_read_with_the_prefix_that_they_lay_at() -> None:
    with pytest.raises(Refusal) as caught:
        read_session({"type": "realtime", "speed": 7}, "ga")
    assert caught.value.param == "session.speed"
    with pytest.raises(Refusal) as caught:
        read_session({"speed": 7}, "preview", prefix="")
    assert caught.value.param == "speed"
    with pytest.raises(Refusal) as caught:
        read_session({}, "ga", strict=True)
    assert caught.value.param == "session.type"


def view(**changes: Any) -> SessionView:  # fields of the settings
    """A session whose time runs already."""
    return SessionView("sess_1", SessionSettings(**changes), 1_785_217_648)


@pytest.mark.parametrize("azure", [False, True])
@pytest.mark.parametrize("kind", ["realtime", "transcription"])
def test_a_ga_session_that_nobody_joined_is_shown_whole_and_expires_at_no_time(
    kind: str, azure: bool
) -> None:
    session = write_session(view(type=kind), "ga", azure)

    frame = {"type": "session.created", "event_id": "event_1", "session": session}
    assert faults(frame, "ga") == []
    assert (session["type"], session["id"], session["expires_at"]) == (kind, "sess_1", 0)
    suffix = "transcription_session" if kind == "transcription" else "session"
    assert session["object"] == f"realtime.{suffix}"
    assert "client_secret" not in session


@pytest.mark.parametrize("azure", [False, True])
@pytest.mark.parametrize("kind", ["realtime", "transcription"])
def test_a_preview_session_that_nobody_joined_is_shown_flat(kind: str, azure: bool) -> None:
    session = write_session(view(type=kind), "preview", azure)

    event = "transcription_session" if kind == "transcription" else "session"
    frame = {"type": f"{event}.created", "event_id": "event_1", "session": session}
    assert faults(frame, "preview") == []
    assert (session["object"], session["id"]) == (f"realtime.{event}", "sess_1")
    assert (session["expires_at"], session["client_secret"]) == (0, None)
