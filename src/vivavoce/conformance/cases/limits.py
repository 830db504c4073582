"""Limits: of lengths and numbers, each refused just beyond, and taken just at it."""

from functools import partial
from typing import Any

import pybase64
from msgspec import Struct

from vivavoce.conformance.cases.hearing import commit
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import Breach, Caller, Case, HangUp, case
from vivavoce.conformance.idiom import Json, path_of, text_item
from vivavoce.conformance.knock import Knock
from vivavoce.conformance.visit import another

BOTH: tuple[DialectName, ...] = ("ga", "preview")
MIB = 1024 * 1024
TOO_LARGE = 15 * MIB + 3
FRAME_TOO_BIG = 1009
LONGEST_ID, LONGEST_KEY, LONGEST_VALUE, MOST_PAIRS, LONGEST_NAME = 512, 64, 512, 16, 64


class Bound(Struct, frozen=True):
    """A setting's least and greatest value, and what lies beyond each."""

    setting: str
    low: float
    high: float
    below: float
    above: float
    code: str = "integer"


def detection(key: str, value: float) -> Json:
    """Turn detection with that number."""
    return {"type": "server_vad", key: value}


async def bounded(bound: Bound, caller: Caller) -> None:
    """Both ends are taken and shown, and what lies beyond is refused."""
    name, _, key = bound.setting.partition(".")
    path = path_of(caller.dialect, "session", name) + (f".{key}" if key else "")

    def asked(value: float) -> Json:
        return {name: detection(key, value) if key else value}

    for value in (bound.low, bound.high):
        told = caller.setting(await caller.configure(**asked(value)), name)
        found = told.get(key) if key and isinstance(told, dict) else told
        if found != value:
            raise Breach(f"{path} is {found!r}, not {value!r}", *caller.latest())
    for value, side in ((bound.below, "below_min"), (bound.above, "above_max")):
        code = f"{bound.code}_{side}_value"
        session = caller.session(**asked(value))
        await caller.refused("session.update", code, path, advised=True, session=session)


def limit(name: str, holds: str, bound: Bound, dialects: tuple[DialectName, ...] = BOTH) -> Case:
    """The case of a number's limits."""
    return Case(name, holds, partial(bounded, bound), dialects)


NUMBERS = (
    limit(
        "speed-limits", "speed is from 0.25 to 1.5", Bound("speed", 0.25, 1.5, 0.2, 9.5, "decimal")
    ),
    limit(
        "token-limits",
        "a response has from 1 to 4096 tokens",
        Bound("max_tokens", 1, 4096, 0, 4097),
    ),
    limit(
        "temperature-limits",
        "temperature is from 0.6 to 1.2",
        Bound("temperature", 0.6, 1.2, 0.5, 1.3, "decimal"),
        ("preview",),
    ),
    limit(
        "threshold-limits",
        "the threshold of turn detection is from 0 to 1",
        Bound("turn_detection.threshold", 0, 1, -0.1, 1.1, "decimal"),
    ),
    limit(
        "idle-limits",
        "an idle timeout is from 5 to 30 seconds",
        Bound("turn_detection.idle_timeout_ms", 5000, 30000, 4999, 30001),
        ("ga",),
    ),
)


@case("an event id may have 512 characters, and no more", advised=True)
async def event_id_length(caller: Caller) -> None:
    kind = "input_audio_buffer.clear"
    fits, exceeds = "e" * LONGEST_ID, "e" * (LONGEST_ID + 1)
    since = caller.here
    await caller.say_raw(f'{{"type": "{kind}", "event_id": "{fits}"}}')
    await caller.event("input_audio_buffer.cleared", since)
    answer = "input_audio_buffer.cleared"
    frame = f'{{"type": "{kind}", "event_id": "{exceeds}"}}'
    event = await caller.attempt_raw(frame, exceeds, answer)
    expect_too_long(event, "string_above_max_length", "event_id")


def expect_too_long(event: Json, code: str, param: str) -> None:
    """It is an error that says so."""
    if event["type"] != "error":
        raise Breach(f"{param} may be longer than ours", event)
    told = (event["error"]["code"], event["error"]["param"])
    if told != (code, param):
        raise Breach(f"the error is {told}, not {(code, param)}", event)


@case("an item's id may have 512 characters, and no more", advised=True)
async def item_id_length(caller: Caller) -> None:
    await caller.put(text_item("Hello.", id="i" * LONGEST_ID))
    item = text_item("Hello.", id="i" * (LONGEST_ID + 1))
    event = await caller.attempt("conversation.item.create", "conversation.item.added", item=item)
    expect_too_long(event, "string_above_max_length", "item.id")


@case("metadata holds 16 pairs of 64 and 512 characters, all strings, and nothing beyond")
async def metadata_limits(caller: Caller) -> None:
    fits = {f"{n:0{LONGEST_KEY}}": "v" * LONGEST_VALUE for n in range(MOST_PAIRS)}
    answer = await caller.respond(
        conversation="none", modality="text", metadata=fits, input=[text_item("Hello.")]
    )
    if answer.response.get("metadata") != fits:
        raise Breach("the metadata did not come back", answer.response)
    long_key = "k" * (LONGEST_KEY + 1)
    beyond: tuple[tuple[Json, str, str], ...] = (
        ({str(n): "" for n in range(MOST_PAIRS + 1)}, "array_above_max_length", ""),
        ({long_key: ""}, "string_above_max_length", f".{long_key}"),
        ({"key": "v" * (LONGEST_VALUE + 1)}, "string_above_max_length", ".key"),
        ({"key": 7}, "invalid_type", ".key"),
    )
    for metadata, code, key in beyond:
        response: dict[str, Any] = {"conversation": "none", "metadata": metadata}
        path = f"response.metadata{key}"
        await caller.refused("response.create", code, path, advised=True, response=response)


@case("a function's name has up to 64 letters, digits, dashes and underscores", advised=True)
async def tool_names(caller: Caller) -> None:
    def named(name: str) -> Json:
        return {"type": "function", "name": name, "parameters": {"type": "object"}}

    await caller.configure(tools=[named("a" * LONGEST_NAME), named("Water_the-fern2")])
    for name in ("", "a" * (LONGEST_NAME + 1), "water the fern"):
        session = caller.session(tools=[named(name)])
        await caller.refused(
            "session.update", "invalid_value", "session.tools[0].name", session=session
        )


@case("one event may bring a MiB of audio, and all of it is there")
async def large_append(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    await caller.append(bytes(MIB), chunk=MIB)
    added = await commit(caller)
    audio = (await caller.retrieve(added["item"]["id"]))["content"][0].get("audio") or ""
    if (found := len(pybase64.b64decode(audio))) != MIB:
        raise Breach(f"{found} bytes of audio were retrieved of {MIB}", added)


@case("more than 15 MiB of audio in one event is refused; it takes a frame of 20 MiB to show")
async def append_too_large(caller: Caller) -> None:
    audio = pybase64.b64encode_as_string(bytes(TOO_LARGE))
    async with another(caller, Knock()) as other:
        await other.opened()
        try:
            await other.refused("input_audio_buffer.append", "invalid_value", "audio", audio=audio)
            await other.sign_of_life()
        except HangUp:
            # A server may have a limit of frames, and end the connection for it.
            if other.farewell.partition(" ")[0] != str(FRAME_TOO_BIG):
                raise
            caller.advise(f"a frame that large ends the session: {other.farewell}")


CASES: tuple[Case, ...] = (
    *NUMBERS,
    event_id_length,
    item_id_length,
    metadata_limits,
    tool_names,
    large_append,
    append_too_large,
)
