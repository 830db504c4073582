"""Everything a client may do wrong: an error that names it, and the session lives on."""

from functools import partial

import msgspec
import pybase64
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import Breach, Caller, Case, case
from vivavoce.conformance.idiom import Json, message, path_of, spelt, text_item
from vivavoce.conformance.tone import tone

NOBODY = "item_nobody_has"


class Wrong(Struct, frozen=True):
    """An event that has to be refused, and how. *says* stands in the error's message.

    *advised*: that it is refused is documented, but not with what code and param.
    """

    kind: str
    keys: Json
    code: str
    param: str | None
    says: str = ""
    advised: bool = False


async def refuse(wrong: Wrong, caller: Caller) -> None:
    """Send it, and expect the error."""
    await caller.refused(
        wrong.kind, wrong.code, wrong.param, wrong.says, advised=wrong.advised, **wrong.keys
    )


def refusal(
    name: str,
    holds: str,
    wrong: Wrong,
    *,
    dialects: tuple[DialectName, ...] = ("ga", "preview"),
    advised: bool = False,
) -> Case:
    """The case of an event that is wrong in a session that has just begun."""
    return Case(name, holds, partial(refuse, wrong), dialects, advised=advised)


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
        "missing-audio",
        "audio to append has to be there",
        Wrong("input_audio_buffer.append", {}, "missing_required_parameter", "audio"),
    ),
    refusal(
        "missing-item-type",
        "an item has to say what it is",
        Wrong(CREATE, {"item": {"call_id": "call_1"}}, "missing_required_parameter", "item.type"),
    ),
    refusal(
        "unknown-item-type",
        "an item of a type that does not exist is refused",
        Wrong(CREATE, {"item": {"type": "telegram"}}, "invalid_value", "item.type"),
    ),
    refusal(
        "unknown-role",
        "nobody has a role that does not exist",
        Wrong(
            CREATE,
            {"item": message("prompter", {"type": "input_text", "text": "Hello."})},
            "invalid_value",
            "item.role",
        ),
    ),
    refusal(
        "content-of-another-role",
        "what only the user can say nobody else does",
        Wrong(
            CREATE,
            {"item": message("system", {"type": "input_audio", "audio": ""})},
            "invalid_value",
            "item.content[0].type",
            advised=True,
        ),
    ),
    refusal(
        "content-as-text",
        "the content of an item is an array, and text in its place is refused",
        Wrong(
            CREATE,
            {"item": {"type": "message", "role": "user", "content": "Hello."}},
            "invalid_type",
            "item.content",
        ),
        advised=True,
    ),
    refusal(
        "call-without-name",
        "a function call has to name its function",
        Wrong(
            CREATE,
            {"item": {"type": "function_call", "call_id": "call_1", "arguments": "{}"}},
            "missing_required_parameter",
            "item.name",
            advised=True,
        ),
        dialects=("ga",),
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
            advised=True,
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
        advised=True,
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
            advised=True,
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
            advised=True,
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
        caller,
        "invalid_type",
        "threshold",
        {"type": "server_vad", "threshold": "high"},
        advised=True,
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
    caller: Caller, code: str, key: str, detection: Json, says: str = "", *, advised: bool = False
) -> None:
    """Turn detection as *detection* has to be refused for its *key*."""
    path = path_of(caller.dialect, "session", "turn_detection")
    session = caller.session(turn_detection=detection)
    await caller.refused(
        "session.update", code, f"{path}.{key}", says, advised=advised, session=session
    )


@case("a tool choice that names a function has to name it")
async def missing_tool_name(caller: Caller) -> None:
    await caller.refused(
        "session.update",
        "missing_required_parameter",
        "session.tool_choice.name",
        session=caller.session(tool_choice={"type": "function"}),
    )


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


@case("only the assistant's speech can be truncated: no text, nothing of the user's, no call")
async def truncate_text(caller: Caller) -> None:
    audio = pybase64.b64encode_as_string(tone(200))
    written = "output_text" if caller.dialect == "ga" else "text"
    others = (
        text_item("Hello."),
        message("user", {"type": "input_audio", "audio": audio}),
        message("assistant", {"type": written, "text": "Hello."}),
        {"type": "function_call", "name": "water_plant", "call_id": "call_1", "arguments": "{}"},
    )
    for number, item in enumerate(others):
        await caller.put(item | {"id": f"item_{number}"})
        await caller.refused(
            "conversation.item.truncate",
            "unsupported_content_type",
            None,
            item_id=f"item_{number}",
            content_index=0,
            audio_end_ms=0,
        )


@case("of an item refused nothing is left: it is not there, and nothing follows it")
async def refused_item(caller: Caller) -> None:
    await caller.put(text_item("Hello.", id="item_a"))
    code = "item_create_invalid_previous_item_id"
    item = text_item("Hello.", id="item_b")
    await caller.refused(CREATE, code, None, NOBODY, item=item, previous_item_id=NOBODY)
    code = "item_retrieve_invalid_item_id"
    await caller.refused("conversation.item.retrieve", code, None, item_id="item_b")
    added = await caller.put(text_item("Hello.", id="item_c"))
    if added.get("previous_item_id") != "item_a":
        raise Breach("an item should follow item_a", added)


@case("an item can be deleted once")
async def deleted_twice(caller: Caller) -> None:
    await caller.put(text_item("Hello.", id="item_a"))
    since = caller.here
    await caller.say("conversation.item.delete", item_id="item_a")
    await caller.event("conversation.item.deleted", since, item_id="item_a")
    code = "item_delete_invalid_item_id"
    await caller.refused("conversation.item.delete", code, None, "item_a", item_id="item_a")


@case("what was committed or cleared is gone from the buffer")
async def buffer_emptied(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    for emptied in ("committed", "cleared"):
        since = caller.here
        await caller.append(tone(200))
        await caller.say(f"input_audio_buffer.{'commit' if emptied == 'committed' else 'clear'}")
        await caller.event(f"input_audio_buffer.{emptied}", since)
        code = "input_audio_buffer_commit_empty"
        await caller.refused("input_audio_buffer.commit", code, None, "only has 0.00ms")


@case("an audio format or a rate that does not exist is refused")
async def unknown_format(caller: Caller) -> None:
    path = path_of(caller.dialect, "session", "input_format")
    wrong: tuple[tuple[object, str], ...] = (
        (
            ({"type": "audio/mp3"}, f"{path}.type"),
            ({"type": "audio/pcm", "rate": 8000}, f"{path}.rate"),
        )
        if caller.dialect == "ga"
        else (("mp3", path),)
    )
    for value, param in wrong:
        session = caller.session(input_format="pcm")
        place = session["audio"]["input"] if caller.dialect == "ga" else session
        place["format" if caller.dialect == "ga" else "input_audio_format"] = value
        await caller.refused(
            "session.update", "invalid_value", param, advised=True, session=session
        )


@case("a tool choice that does not exist is refused")
async def unknown_tool_choice(caller: Caller) -> None:
    session = caller.session(tool_choice="perhaps")
    path = "session.tool_choice"
    await caller.refused("session.update", "invalid_value", path, advised=True, session=session)


@case("of a response refused nothing is created")
async def refused_response(caller: Caller) -> None:
    since = caller.here
    reference = {"type": "item_reference", "id": NOBODY}
    await caller.refused(
        "response.create",
        "invalid_value",
        "response.input[1].id",
        advised=True,
        response=spelt(caller.dialect, conversation="none", input=[text_item("Hello."), reference]),
    )
    await caller.sign_of_life()
    if created := caller.heard("response.created", since):
        raise Breach("a response that was refused was created", *created)


@case("what was never asked cannot be approved", dialects=("ga",))
async def unknown_approval(caller: Caller) -> None:
    # Of a server without MCP not even the item's type is known.
    params = ("item.approval_request_id", "item.type")
    item = {"type": "mcp_approval_response", "approval_request_id": NOBODY, "approve": True}
    event = await caller.attempt(CREATE, "conversation.item.added", item=item)
    if event["type"] != "error":
        raise Breach("an approval of nothing was taken", event)
    error = event["error"]
    if error["code"] != "invalid_value" or error["param"] not in params:
        told = (error["code"], error["param"])
        caller.advise(f"the error is {told}, not ('invalid_value', {params[0]!r})", event)


CASES: tuple[Case, ...] = (
    not_json,
    not_an_object,
    missing_type,
    error_names_event,
    wrong_type,
    unknown_value,
    missing_detection_type,
    missing_tool_name,
    *IN_ITEMS,
    duplicate_item,
    unknown_approval,
    refused_item,
    deleted_twice,
    truncate_text,
    unknown_format,
    unknown_tool_choice,
    *IN_AUDIO,
    buffer_emptied,
    commit_too_short,
    *IN_RESPONSES,
    refused_response,
)
