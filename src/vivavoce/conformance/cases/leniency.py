"""What a lenient server takes and a strict one refuses. Either will do, but nothing in between:

what is taken has its effect, and of what is refused nothing remains.
"""

from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from vivavoce.conformance.cases.session import TOOL, expect
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import Breach, Caller, Case, case
from vivavoce.conformance.idiom import Json, kind_of, message, text_item

NEW = "Speak of gardens only."
CHOSEN = {"type": "function", "name": TOOL["name"]}
IN_CHAT = {"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}
TYPED: dict[DialectName, Json] = {"ga": {"type": "realtime"}, "preview": {}}


class Liberty(Struct, frozen=True):
    """A session as some clients send it, and the settings that are shown where it is taken."""

    session: Json
    shown: dict[str, Any]


async def settled(caller: Caller, before: Json, event: Json, shown: dict[str, Any]) -> None:
    """After *event* the session is as it was, if that is an error, or shows all that was asked."""
    after = await caller.configure()
    if kind_of(event) == "error":
        if after != before:
            raise Breach("an update that was refused changed the session", event)
        return
    for name, value in shown.items():
        expect(after, name, value, caller)


async def take_or_leave(liberty: Liberty, caller: Caller) -> None:
    """Send it; either will do."""
    before = await caller.configure()
    event = await caller.attempt("session.update", "session.updated", session=liberty.session)
    await settled(caller, before, event, liberty.shown)


def liberty(
    name: str,
    holds: str,
    dialect: DialectName,
    session: Json,
    *,
    typed: bool = True,
    advised: bool = False,
    **shown: object,
) -> Case:
    """The case of a session that one dialect does not quite know."""
    whole = TYPED[dialect] | session if typed else session
    play = partial(take_or_leave, Liberty(whole, shown))
    return Case(name, f"{holds}: taken or refused", play, (dialect,), advised=advised)


def in_either(name: str, holds: str, session: Json, **shown: Any) -> tuple[Case, Case]:
    """The same of both dialects, as advice."""
    ga = liberty(name, holds, "ga", session, advised=True, **shown)
    preview = liberty(f"{name}-preview", holds, "preview", session, advised=True, **shown)
    return ga, preview


LIBERTIES = (
    liberty(
        "untyped-update",
        "an update that does not say of which type the session is",
        "ga",
        {"instructions": NEW},
        typed=False,
        instructions=NEW,
    ),
    liberty(
        "misspelt-key",
        "a misspelt key deep within the settings",
        "ga",
        {
            "instructions": NEW,
            "audio": {
                "input": {
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.75,
                        "create_responese": True,
                    }
                }
            },
        },
        instructions=NEW,
        turn_detection={"threshold": 0.75},
    ),
    liberty(
        "misspelt-key-preview",
        "a misspelt key deep within the settings",
        "preview",
        {
            "instructions": NEW,
            "turn_detection": {"type": "server_vad", "threshold": 0.75, "create_responese": True},
        },
        instructions=NEW,
        turn_detection={"threshold": 0.75},
    ),
    liberty(
        "detection-none",
        "turn detection of the type none",
        "preview",
        {"turn_detection": {"type": "none"}},
        turn_detection=None,
    ),
    liberty(
        "hyphens",
        "formats written with hyphens",
        "preview",
        {"input_audio_format": "g711-ulaw", "output_audio_format": "g711-alaw"},
        input_format="g711_ulaw",
        output_format="g711_alaw",
    ),
    liberty(
        "format-as-text",
        "a format by its name in preview",
        "ga",
        {"audio": {"input": {"format": "g711_ulaw"}}},
        advised=True,
        input_format={"type": "audio/pcmu"},
    ),
    liberty(
        "preview-fields",
        "the preview's own fields",
        "ga",
        {"voice": "echo", "modalities": ["text"], "turn_detection": None},
        advised=True,
        voice="echo",
        modality=["text"],
        turn_detection=None,
    ),
    liberty(
        "ga-fields",
        "GA's own fields",
        "preview",
        {"output_modalities": ["text"], "audio": {"output": {"voice": "echo"}}},
        advised=True,
        voice="echo",
        modality=["text"],
    ),
    liberty(
        "both-modalities",
        "both modalities, of which GA has one at a time",
        "ga",
        {"output_modalities": ["text", "audio"], "instructions": NEW},
        advised=True,
        instructions=NEW,
        modality=["audio"],
    ),
    liberty(
        "audio-alone",
        "audio without text, which the preview does not have",
        "preview",
        {"modalities": ["audio"], "instructions": NEW},
        advised=True,
        instructions=NEW,
        modality=["audio", "text"],
    ),
    *in_either(
        "choice-in-chat-form",
        "a tool choice whose name lies one level deeper",
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": TOOL["name"]}}},
        tool_choice=CHOSEN,
    ),
    *in_either(
        "tool-in-chat-form",
        "a function as chat completions have it",
        {"tools": [IN_CHAT]},
        tools=[TOOL],
    ),
)


@case("a key that nobody knows is refused, or ignored and not shown")
async def unknown_key(caller: Caller) -> None:
    before = await caller.configure()
    session = caller.session(instructions=NEW) | {"key_of_nobody": True}
    event = await caller.attempt("session.update", "session.updated", session=session)
    if "key_of_nobody" in event.get("session", {}):
        raise Breach("a key that nobody knows is shown", event)
    await settled(caller, before, event, {"instructions": NEW})


@case("what only the server sets is refused or ignored: id, object and expires_at stay")
async def read_only(caller: Caller) -> None:
    before = await caller.configure()
    others = {"id": "sess_of_another", "object": "another", "expires_at": 1}
    session = caller.session(instructions=NEW) | others
    event = await caller.attempt("session.update", "session.updated", session=session)
    after = await caller.configure()
    for key in others:
        if after.get(key) != before.get(key):
            raise Breach(f"session.{key} was changed by the client", event)
    await settled(caller, before, event, {"instructions": NEW})


@case("the model stays as it was when the connection began")
async def model_fixed(caller: Caller) -> None:
    before = await caller.configure()
    session = caller.session(instructions=NEW) | {"model": "a-model-nobody-has"}
    event = await caller.attempt("session.update", "session.updated", session=session)
    if (await caller.configure())["model"] != before["model"]:
        raise Breach("the model was changed within a session", event)
    await settled(caller, before, event, {"instructions": NEW})


@case("a comma before a closing bracket is overlooked, or the frame is refused as no event")
async def trailing_comma(caller: Caller) -> None:
    before = await caller.configure()
    session = msgspec.json.encode(caller.session(instructions=NEW)).decode()
    frame = f'{{"type": "session.update", "event_id": "comma", "session": {session[:-1]},}},}}'
    event = await caller.attempt_raw(frame, "comma", "session.updated")
    if kind_of(event) == "error" and event["error"]["code"] != "invalid_event":
        raise Breach(f"error.code is {event['error']['code']!r}, not 'invalid_event'", event)
    await settled(caller, before, event, {"instructions": NEW})


@case("the assistant's text in the other dialect's spelling is refused, or told in this one's")
async def other_spelling(caller: Caller) -> None:
    own, other = ("output_text", "text") if caller.dialect == "ga" else ("text", "output_text")
    item = message("assistant", {"type": other, "text": "Good morning."})
    kind = "conversation.item.create"
    event = await caller.attempt(kind, "conversation.item.added", item=item)
    if kind_of(event) == "error":
        return
    part = event["item"]["content"][0]
    if (part["type"], part.get("text")) != (own, "Good morning."):
        raise Breach(f"the text is not told as {own}", event)


@case("an item with a role but no type is a message", advised=True)
async def untyped_item(caller: Caller) -> None:
    item = {key: value for key, value in text_item("Hello.").items() if key != "type"}
    kind = "conversation.item.create"
    event = await caller.attempt(kind, "conversation.item.added", item=item)
    if kind_of(event) == "error" or event["item"].get("type") != "message":
        raise Breach("an item with a role is not taken for a message", event)


@case("a response with a key that nobody knows is refused, or created all the same")
async def unknown_response_key(caller: Caller) -> None:
    since = caller.here
    response = {"conversation": "none", "key_of_nobody": True, "input": [text_item("Hello.")]}
    event = await caller.attempt("response.create", "response.created", response=response)
    if kind_of(event) != "error":
        await caller.answer(since)
        return
    await caller.sign_of_life()
    if created := caller.heard("response.created", since):
        raise Breach("a response that was refused was created", *created)


@case(
    "the fields of a transcription session beside its type: taken or refused",
    dialects=("preview",),
    intent="transcription",
)
async def beside_type(caller: Caller) -> None:
    event = await caller.attempt(
        "transcription_session.update", "session.updated", input_audio_format="g711_ulaw"
    )
    if kind_of(event) != "error" and event["session"].get("input_audio_format") != "g711_ulaw":
        raise Breach("an update was taken without effect", event)


@case(
    "the preview's update of a transcription session: taken as GA's, or refused", dialects=("ga",)
)
async def transcription_update_of_preview(caller: Caller) -> None:
    event = await caller.attempt(
        "transcription_session.update",
        "session.updated",
        session={"input_audio_transcription": {"model": "whisper-1"}},
    )
    if kind_of(event) == "error":
        return
    if event["session"].get("object") != "realtime.transcription_session":
        raise Breach("an update was taken, but the session does not transcribe", event)


CASES: tuple[Case, ...] = (
    *LIBERTIES,
    unknown_key,
    read_only,
    model_fixed,
    trailing_comma,
    other_spelling,
    untyped_item,
    unknown_response_key,
    beside_type,
    transcription_update_of_preview,
)
