"""Everything a client may do wrong: an error that names it, and the session lives on."""

from functools import partial

import msgspec
import pybase64
from msgspec import Struct

from vivavoce.conformance.driver import Breach, Caller, Case, case
from vivavoce.conformance.idiom import Json, message, path_of, spelt, text_item

MIB = 1024 * 1024
TOO_LARGE = 15 * MIB + 3
NOBODY = "item_nobody_has"


class Wrong(Struct, frozen=True):
    """An event that has to be refused, and how. *says* stands in the error's message."""

    kind: str
    keys: Json
    code: str
    param: str | None
    says: str = ""


async def refuse(wrong: Wrong, caller: Caller) -> None:
    """Send it, and expect the error."""
    await caller.refused(wrong.kind, wrong.code, wrong.param, wrong.says, **wrong.keys)


def refusal(name: str, holds: str, wrong: Wrong) -> Case:
    """The case of an event that is wrong in a session that has just begun."""
    return Case(name, holds, partial(refuse, wrong))


CREATE = "conversation.item.create"
IN_ITEMS = (
    refusal(
        "unknown-type",
        "an unknown type is refused, and the types there are are listed",
        Wrong("session.explode", {}, "invalid_value", "type", "session.update"),
    ),
    refusal(
        "missing-session",
        "an event without what it needs is refused, and what is missing is named",
        Wrong("session.update", {}, "missing_required_parameter", "session"),
    ),
    refusal(
        "missing-item-id",
        "an event about an item has to name it",
        Wrong("conversation.item.delete", {}, "missing_required_parameter", "item_id"),
    ),
    refusal(
        "missing-text",
        "a field missing deep within an item is named by its path",
        Wrong(
            CREATE,
            {"item": message("user", {"type": "input_text"})},
            "missing_required_parameter",
            "item.content[0].text",
        ),
    ),
    refusal(
        "unknown-previous-item",
        "an item cannot follow one that is not there",
        Wrong(
            CREATE,
            {"item": text_item("Hello."), "previous_item_id": NOBODY},
            "item_create_invalid_previous_item_id",
            None,
            NOBODY,
        ),
    ),
    refusal(
        "unknown-tool-call",
        "the result of a call that was never made is refused",
        Wrong(
            CREATE,
            {"item": {"type": "function_call_output", "call_id": "call_nobody", "output": "1"}},
            "invalid_tool_call_id",
            None,
            "call_nobody",
        ),
    ),
    refusal(
        "retrieve-unknown",
        "an item that is not there cannot be retrieved",
        Wrong(
            "conversation.item.retrieve",
            {"item_id": NOBODY},
            "item_retrieve_invalid_item_id",
            None,
            NOBODY,
        ),
    ),
    refusal(
        "delete-unknown",
        "an item that is not there cannot be deleted",
        Wrong(
            "conversation.item.delete",
            {"item_id": NOBODY},
            "item_delete_invalid_item_id",
            None,
            NOBODY,
        ),
    ),
    refusal(
        "truncate-unknown",
        "an item that is not there cannot be truncated",
        Wrong(
            "conversation.item.truncate",
            {"item_id": NOBODY, "content_index": 0, "audio_end_ms": 0},
            "item_truncate_invalid_item_id",
            None,
            NOBODY,
        ),
    ),
    refusal(
        "negative-audio-end",
        "a number below its least value is refused and named",
        Wrong(
            "conversation.item.truncate",
            {"item_id": NOBODY, "content_index": 0, "audio_end_ms": -1},
            "integer_below_min_value",
            "audio_end_ms",
        ),
    ),
)
IN_AUDIO = (
    refusal(
        "bad-base64",
        "audio that is not base64 is refused",
        Wrong("input_audio_buffer.append", {"audio": "not base64!"}, "invalid_value", "audio"),
    ),
    refusal(
        "commit-empty",
        "an empty buffer cannot be committed; the error says what there is and what is needed",
        Wrong(
            "input_audio_buffer.commit",
            {},
            "input_audio_buffer_commit_empty",
            None,
            "at least 100ms of audio, but buffer only has 0.00ms",
        ),
    ),
    refusal(
        "clear-output-on-websocket",
        "on a WebSocket the client plays the audio, so there is no output buffer to clear",
        Wrong("output_audio_buffer.clear", {}, "invalid_value", "type"),
    ),
)
IN_RESPONSES = (
    refusal(
        "cancel-nothing",
        "where no response runs there is nothing to cancel",
        Wrong("response.cancel", {}, "response_cancel_not_active", None, "cancellation failed"),
    ),
    refusal(
        "cancel-unknown",
        "a response that is not there cannot be cancelled",
        Wrong(
            "response.cancel",
            {"response_id": "resp_nobody"},
            "response_cancel_not_active",
            None,
            "cancellation failed",
        ),
    ),
    refusal(
        "unknown-reference",
        "a response cannot be made from an item that is not there",
        Wrong(
            "response.create",
            {"response": {"input": [{"type": "item_reference", "id": NOBODY}]}},
            "invalid_value",
            "response.input[0].id",
        ),
    ),
    refusal(
        "unknown-conversation",
        "a response belongs to the conversation or to none",
        Wrong(
            "response.create",
            {"response": {"conversation": "elsewhere"}},
            "invalid_value",
            "response.conversation",
        ),
    ),
)


@case("a frame that is not JSON is refused without a param")
async def not_json(caller: Caller) -> None:
    await caller.refused_raw('{"type": "session.update", ', None, "invalid_event", None)


@case("a frame that is not an object is refused")
async def not_an_object(caller: Caller) -> None:
    await caller.refused_raw('["session.update"]', None, "invalid_event", None)


@case("an event without a type is refused, and its id is told")
async def missing_type(caller: Caller) -> None:
    await caller.refused_raw('{"event_id": "typeless"}', "typeless", "invalid_event", None)


@case("error.event_id is the event's own, and null where it has none")
async def error_names_event(caller: Caller) -> None:
    for event_id in ("a name of our own", None):
        event = {"type": "response.cancel"} | ({"event_id": event_id} if event_id else {})
        frame = msgspec.json.encode(event).decode()
        await caller.refused_raw(frame, event_id, "response_cancel_not_active", None)


@case("a value of the wrong type deep within the settings is named by its path")
async def wrong_type(caller: Caller) -> None:
    await refuse_setting(
        caller, "invalid_type", "threshold", {"type": "server_vad", "threshold": "high"}
    )


@case("a value outside its closed set is named by its path, and the set is listed")
async def unknown_value(caller: Caller) -> None:
    await refuse_setting(
        caller, "invalid_value", "type", {"type": "clairvoyance"}, "supported values"
    )


@case("turn detection has to say of which type it is", dialects=("ga",))
async def missing_detection_type(caller: Caller) -> None:
    await refuse_setting(caller, "missing_required_parameter", "type", {"threshold": 0.5})


async def refuse_setting(
    caller: Caller, code: str, key: str, detection: Json, says: str = ""
) -> None:
    """Turn detection as *detection* has to be refused for its *key*."""
    path = path_of(caller.dialect, "session", "turn_detection")
    session = caller.session(turn_detection=detection)
    await caller.refused("session.update", code, f"{path}.{key}", says, session=session)


@case("a number above its greatest value is refused and named")
async def number_too_large(caller: Caller) -> None:
    path = path_of(caller.dialect, "session", "speed")
    session = caller.session(speed=9.5)
    await caller.refused("session.update", "decimal_above_max_value", path, session=session)


@case("a tool choice that names a function has to name it")
async def missing_tool_name(caller: Caller) -> None:
    await caller.refused(
        "session.update",
        "missing_required_parameter",
        "session.tool_choice.name",
        session=caller.session(tool_choice={"type": "function"}),
    )


@case("more than 15 MiB of audio in one event is refused, and the session lives on")
async def append_too_large(caller: Caller) -> None:
    audio = pybase64.b64encode_as_string(bytes(TOO_LARGE))
    await caller.refused("input_audio_buffer.append", "invalid_value", "audio", audio=audio)


@case("half of the least length cannot be committed; the error says how much there is")
async def commit_too_short(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    await caller.append(bytes(24 * 2 * 50))
    await caller.refused(
        "input_audio_buffer.commit",
        "input_audio_buffer_commit_empty",
        None,
        "at least 100ms of audio, but buffer only has 50.00ms",
    )


@case("two items cannot have the same id")
async def duplicate_item(caller: Caller) -> None:
    item = text_item("Hello.", id="item_of_ours")
    await caller.put(item)
    await caller.refused(CREATE, "item_create_duplicate_item_id", None, "item_of_ours", item=item)


@case("only the assistant's speech can be truncated")
async def truncate_text(caller: Caller) -> None:
    await caller.put(text_item("Hello.", id="item_of_ours"))
    await caller.refused(
        "conversation.item.truncate",
        "unsupported_content_type",
        None,
        item_id="item_of_ours",
        content_index=0,
        audio_end_ms=0,
    )


@case("of a response refused nothing is created")
async def refused_response(caller: Caller) -> None:
    since = caller.here
    reference = {"type": "item_reference", "id": NOBODY}
    await caller.refused(
        "response.create",
        "invalid_value",
        "response.input[1].id",
        response=spelt(caller.dialect, conversation="none", input=[text_item("Hello."), reference]),
    )
    await caller.sign_of_life()
    if created := caller.heard("response.created", since):
        raise Breach("a response that was refused was created", *created)


CASES: tuple[Case, ...] = (
    not_json,
    not_an_object,
    missing_type,
    error_names_event,
    wrong_type,
    unknown_value,
    missing_detection_type,
    number_too_large,
    missing_tool_name,
    *IN_ITEMS,
    duplicate_item,
    truncate_text,
    *IN_AUDIO,
    append_too_large,
    commit_too_short,
    *IN_RESPONSES,
    refused_response,
)
