"""A conversation as the messages of a chat-completions request; pure.

Servers are strict where a conversation is not: each function call has to be answered, right behind
the message that makes it, and its arguments have to be JSON. A result whose call is not among the
items, as a client may pick them for one response, is told in the user's place. What has no words is left out, and
somebody other than the system has to have spoken.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    Item,
    Message,
    Part,
    words_of,
)
from vivavoce.core.settings import FunctionTool, NamedTool

Wire = dict[str, Any]  # JSON on its way to the server

UNANSWERED = "(no result yet)"
UNSEEN = "(a picture that cannot be shown)"
UNBEGUN = "(Nothing was said yet.)"
CALLED_ELSEWHERE = "(A function that was called earlier returned this.)"
NO_PARAMETERS: Wire = {"type": "object", "properties": {}}


def messages_of(request: GenerationRequest, *, images: bool) -> list[Wire]:
    """Instructions and conversation; without *images* a word in the place of each."""
    messages = [_message("system", request.instructions)] if request.instructions.strip() else []
    messages += _spoken(request.context, images=images)
    if all(each["role"] == "system" for each in messages):
        messages.append(_message("user", UNBEGUN))
    return messages


def has_images(items: Iterable[Item]) -> bool:
    """Whether there is any picture among the items."""
    return any(
        isinstance(part, InputImage)
        for item in items
        if isinstance(item, Message)
        for part in item.content
    )


def tools_of(request: GenerationRequest) -> Wire:
    """The fields that say which functions may or have to be called; none where none may.

    A server that pays no heed to `tool_choice` still sees no other function than the one it has to
    call, and none when it has to call none.
    """
    choice, offered = request.tool_choice, request.tools
    if isinstance(choice, NamedTool):
        offered = tuple(each for each in offered if each.name == choice.name)
    if not offered or choice == "none":
        return {}
    named = {"type": "function", "function": {"name": offered[0].name}}
    fields: Wire = {
        "tools": [_tool(each) for each in offered],
        "tool_choice": named if isinstance(choice, NamedTool) else choice,
    }
    if request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def _tool(tool: FunctionTool) -> Wire:
    function: Wire = {"name": tool.name, "parameters": dict(tool.parameters or NO_PARAMETERS)}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _spoken(items: Sequence[Item], *, images: bool) -> Iterator[Wire]:
    outputs = {each.call_id: each for each in items if isinstance(each, FunctionCallOutput)}
    called = {each.call_id for each in items if isinstance(each, FunctionCall)}
    turns = [item for item in items if _counts(item, outputs, called)]
    at = 0
    while at < len(turns):
        match turns[at]:
            case Message(role="assistant") as message if later := _calls_from(turns, at + 1):
                yield from _calling(_text(message.content), later, outputs)
                at += 1 + len(later)
            case Message() as message:
                yield from _said(message, images=images)
                at += 1
            case FunctionCallOutput(output=output):
                yield _message("user", f"{CALLED_ELSEWHERE} {output}".strip())
                at += 1
            case _:
                calls = _calls_from(turns, at)
                yield from _calling("", calls, outputs)
                at += len(calls)


def _counts(item: Item, outputs: dict[str, FunctionCallOutput], called: set[str]) -> bool:
    """Outputs are placed with their calls; a call that was broken off nobody has carried out."""
    match item:
        case FunctionCallOutput(call_id=call_id):
            return call_id not in called
        case FunctionCall(call_id=call_id, status=status):
            return status == "completed" or call_id in outputs
        case Message():
            return True


def _calls_from(turns: Sequence[Item], at: int) -> list[FunctionCall]:
    """The calls that stand there without a word between them."""
    calls: list[FunctionCall] = []
    while at < len(turns) and isinstance(turn := turns[at], FunctionCall):
        calls.append(turn)
        at += 1
    return calls


def _calling(
    words: str, calls: Sequence[FunctionCall], outputs: dict[str, FunctionCallOutput]
) -> Iterator[Wire]:
    yield {
        "role": "assistant",
        "content": words or None,
        "tool_calls": [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": _object(call.arguments)},
            }
            for call in calls
        ],
    }
    for call in calls:
        output = outputs.get(call.call_id)
        yield {
            "role": "tool",
            "tool_call_id": call.call_id,
            "content": output.output if output else UNANSWERED,
        }


def _object(arguments: str) -> str:
    """The arguments, or an empty object for what is none: some servers parse them again."""
    try:
        msgspec.json.decode(arguments, type=dict)
    except msgspec.DecodeError:
        return "{}"
    return arguments


def _said(message: Message, *, images: bool) -> Iterator[Wire]:
    if images and has_images((message,)):
        yield {"role": message.role, "content": [*filter(None, map(_part, message.content))]}
    elif words := _text(message.content):
        yield _message(message.role, words)


def _part(part: Part) -> Wire | None:
    if isinstance(part, InputImage):
        return {"type": "image_url", "image_url": {"url": part.image_url, "detail": part.detail}}
    words = words_of(part).strip()
    return {"type": "text", "text": words} if words else None


def _text(content: Sequence[Part]) -> str:
    words = (UNSEEN if isinstance(part, InputImage) else words_of(part) for part in content)
    return " ".join(filter(None, (each.strip() for each in words)))


def _message(role: str, words: str) -> Wire:
    return {"role": role, "content": words}
