"""The session: announced, changed, never half changed."""

from typing import Any

from vivavoce.conformance.driver import Breach, Caller, Case, NotShown, case
from vivavoce.conformance.idiom import Json, kind_of, path_of, shows, text_item

SHOWN = {
    "ga": frozenset(
        [
            "type",
            "object",
            "id",
            "model",
            "output_modalities",
            "instructions",
            "tools",
            "tool_choice",
            "max_output_tokens",
            "tracing",
            "truncation",
            "prompt",
            "expires_at",
            "audio",
            "include",
        ]
    ),
    "preview": frozenset(
        [
            "id",
            "object",
            "expires_at",
            "model",
            "modalities",
            "instructions",
            "voice",
            "input_audio_format",
            "output_audio_format",
            "input_audio_transcription",
            "turn_detection",
            "tools",
            "tool_choice",
            "temperature",
            "max_response_output_tokens",
        ]
    ),
}
DEFAULT_DETECTION = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300}
TOOL = {
    "type": "function",
    "name": "water_plant",
    "description": "Water one plant of the house.",
    "parameters": {"type": "object", "properties": {"plant": {"type": "string"}}},
}


def expect(told: Json, name: str, expected: object, caller: Caller) -> None:
    """Break the case unless that setting is shown so."""
    found = caller.setting(told, name)
    if not shows(found, expected):
        path = path_of(caller.dialect, "session", name)
        raise Breach(f"{path} is {found!r}, not {expected!r}", {"session": told})


@case("the first event announces the session with all its settings and their defaults")
async def session_created(caller: Caller) -> None:
    session = await caller.opened()
    if caller.events[0].get("session") != session:
        raise Breach("session.created is not the first event", *caller.events[:1])
    if missing := SHOWN[caller.dialect] - session.keys():
        raise Breach(f"session.created lacks {', '.join(sorted(missing))}", caller.events[0])
    if session["object"] != "realtime.session" or session["expires_at"] <= 0:
        raise Breach("session.object or session.expires_at is wrong", caller.events[0])
    expect(session, "turn_detection", DEFAULT_DETECTION, caller)
    expect(session, "transcription", None, caller)
    expect(session, "tools", [], caller)
    expect(session, "tool_choice", "auto", caller)
    expect(session, "max_tokens", "inf", caller)


@case("session.updated shows every setting that was changed")
async def session_echo(caller: Caller) -> None:
    asked: dict[str, Any] = {
        "instructions": "Speak of gardens only.",
        "voice": "echo",
        "speed": 1.25,
        "transcription": {"model": "whisper-1", "language": "en", "prompt": "rhododendron"},
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.75,
            "prefix_padding_ms": 400,
            "silence_duration_ms": 600,
            "create_response": False,
            "interrupt_response": False,
        },
        "tools": [TOOL],
        "tool_choice": "none",
        "max_tokens": 512,
    }
    session = await caller.configure(**asked)
    for name, value in asked.items():
        expect(session, name, value, caller)


@case("formats and modalities are shown as they were changed")
async def formats_echo(caller: Caller) -> None:
    for name in ("pcmu", "pcma", "pcm"):
        asked = {"input_format": name, "output_format": name, "modality": "text"}
        told = await caller.configure(**asked)
        wanted = caller.session(**asked)
        for key in asked:
            expect(told, key, caller.setting(wanted, key), caller)


@case("semantic turn detection can be asked for, and is shown with its eagerness")
async def semantic_detection(caller: Caller) -> None:
    asked = {"type": "semantic_vad", "eagerness": "low"}
    expect(await caller.configure(turn_detection=asked), "turn_detection", asked, caller)


@case("an update changes the settings it names and no other")
async def partial_update(caller: Caller) -> None:
    before = await caller.configure(speed=0.75, tools=[TOOL])
    after = await caller.configure(instructions="Answer in one word.")
    expect(after, "instructions", "Answer in one word.", caller)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    if changed - {"instructions"}:
        raise Breach(
            f"{', '.join(sorted(changed))} changed, but only instructions was meant to",
            {"session": before},
            {"session": after},
        )


@case("null clears a setting; a setting left out stays")
async def null_and_absent(caller: Caller) -> None:
    near, model = {"type": "near_field"}, {"model": "whisper-1"}
    await caller.configure(transcription=model, noise_reduction=near)
    cleared = await caller.configure(noise_reduction=None)
    expect(cleared, "noise_reduction", None, caller)
    expect(cleared, "transcription", model, caller)
    cleared = await caller.configure(transcription=None, turn_detection=None)
    expect(cleared, "transcription", None, caller)
    expect(cleared, "turn_detection", None, caller)
    untouched = await caller.configure(instructions="Be brief.")
    expect(untouched, "turn_detection", None, caller)


@case("an update with one wrong field changes nothing at all")
async def all_or_nothing(caller: Caller) -> None:
    before = await caller.configure(instructions="Speak of gardens only.")
    await caller.refused(
        "session.update",
        "invalid_value",
        path_of(caller.dialect, "session", "turn_detection") + ".type",
        session=caller.session(
            instructions="Speak of anything.", turn_detection={"type": "clairvoyance"}
        ),
    )
    after = await caller.configure()
    if after != before:
        raise Breach(
            "a refused update changed the session", {"session": before}, {"session": after}
        )


@case("how a conversation that is too long is cut can be set, and is shown", dialects=("ga",))
async def truncation_echo(caller: Caller) -> None:
    ratio = {"type": "retention_ratio", "retention_ratio": 0.75}
    limited = ratio | {"token_limits": {"post_instructions": 8000}}
    for asked in ("disabled", ratio, limited, "auto"):
        expect(await caller.configure(truncation=asked), "truncation", asked, caller)


@case("tracing cannot be changed once it is on", dialects=("ga",))
async def tracing_fixed(caller: Caller) -> None:
    session = caller.session(tracing="auto")
    event = await caller.attempt("session.update", "session.updated", session=session)
    if event["type"] == "error" or caller.setting(event["session"], "tracing") is None:
        raise NotShown("the server does not trace")
    await caller.refused(
        "session.update",
        "invalid_value",
        "session.tracing",
        advised=True,
        session=caller.session(tracing=None),
    )


@case("an empty list clears the functions, and empty instructions the instructions")
async def cleared(caller: Caller) -> None:
    await caller.configure(tools=[TOOL], instructions="Speak of gardens only.")
    after = await caller.configure(tools=[], instructions="")
    expect(after, "tools", [], caller)
    # GA is seen to go back to its default instructions.
    if caller.setting(after, "instructions") == "Speak of gardens only.":
        raise Breach("instructions cannot be cleared", {"session": after})


@case("new turn detection replaces the old as a whole", advised=True)
async def detection_replaced(caller: Caller) -> None:
    await caller.configure(turn_detection={"type": "server_vad", "threshold": 0.9})
    after = await caller.configure(
        turn_detection={"type": "server_vad", "silence_duration_ms": 600}
    )
    told = {"threshold": 0.5, "silence_duration_ms": 600}
    expect(after, "turn_detection", told, caller)


@case("semantic turn detection is shown with its own settings and none of server_vad's")
async def semantic_whole(caller: Caller) -> None:
    for eagerness in ("medium", "high", "auto"):
        asked = {
            "type": "semantic_vad",
            "eagerness": eagerness,
            "create_response": False,
            "interrupt_response": False,
        }
        told = caller.setting(await caller.configure(turn_detection=asked), "turn_detection")
        if not shows(told, asked):
            raise Breach(f"turn detection is {told!r}, not {asked!r}", *caller.latest())
        if more := told.keys() - asked.keys():
            caller.advise(f"semantic_vad has no {', '.join(sorted(more))}", *caller.latest())


@case("an event_id of null is none at all")
async def null_event_id(caller: Caller) -> None:
    since = caller.here
    await caller.say_raw('{"type": "input_audio_buffer.clear", "event_id": null}')
    await caller.event("input_audio_buffer.cleared", since)


@case("events are dealt with in the order in which they came")
async def in_order(caller: Caller) -> None:
    since = caller.here
    for number in range(5):
        await caller.say("session.update", session=caller.session(max_tokens=100 + number))
        await caller.say("conversation.item.create", item=text_item("Hello.", id=f"item_{number}"))
    await caller.event("conversation.item.added", since, item={"id": "item_4"})
    kinds = ("session.updated", "conversation.item.added")
    answers = [event for event in caller.events[since:] if kind_of(event) in kinds]
    told = [
        caller.setting(event["session"], "max_tokens")
        if "session" in event
        else event["item"]["id"]
        for event in answers
    ]
    wanted = [each for number in range(5) for each in (100 + number, f"item_{number}")]
    if told != wanted:
        raise Breach(f"the answers came in the order {told}")


CASES: tuple[Case, ...] = (
    session_created,
    session_echo,
    formats_echo,
    semantic_detection,
    semantic_whole,
    truncation_echo,
    partial_update,
    null_and_absent,
    cleared,
    detection_replaced,
    all_or_nothing,
    tracing_fixed,
    null_event_id,
    in_order,
)
