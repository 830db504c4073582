"""What only the preview dialect has: the fields of its published examples.

A server that is as strict as the newest of the real ones does not know these fields; that breaks
nothing, and is not shown.
"""

from typing import Any

from vivavoce.conformance.cases.hearing import COMMITTED
from vivavoce.conformance.cases.responses import (
    AUDIO_ORDER,
    SHORT,
    begun,
    expect_cancelled,
    expect_order,
    stop,
)
from vivavoce.conformance.driver import Breach, Caller, Case, NotShown, case
from vivavoce.conformance.idiom import Json, kind_of, message, text_item
from vivavoce.conformance.tone import tone

SPENT_ON = ("text_tokens", "audio_tokens")


@case(
    "an answer may be asked for by instructions alone, with nothing to commit or cancel",
    dialects=("preview",),
)
async def instructions_alone(caller: Caller) -> None:
    since = caller.here
    response = {
        "commit": True,
        "cancel_previous": True,
        "instructions": "Wish the user a good day in five words.",
        "modalities": ["text", "audio"],
    }
    await create(caller, response, event_id=None)
    answer = await caller.answer(since)
    expect_order(answer, AUDIO_ORDER, caller)
    parts = answer.output[0]["content"]
    if [part["type"] for part in parts] != ["audio"] or "transcript" not in parts[0]:
        raise Breach("the answer is not one part of audio with its transcript", answer.response)
    usage = answer.response["usage"]
    details = (usage["input_token_details"], usage["output_token_details"])
    if not all(key in each for key in SPENT_ON for each in details):
        raise Breach("the usage lacks its details", answer.response)


@case(
    "commit: true makes an item of what was said before the response is created",
    dialects=("preview",),
)
async def commit_first(caller: Caller) -> None:
    await caller.configure(turn_detection=None)
    await caller.append(tone(300))
    since = caller.here
    created = await create(caller, {"commit": True, "modalities": ["text"]})
    committed = await caller.event(COMMITTED, since)
    added = await caller.joined(since, id=committed["item_id"])
    in_order = [committed, added, created]
    if sorted(in_order, key=caller.events.index) != in_order:
        raise Breach("the audio was not committed before the response was created", *in_order)


@case(
    "cancel_previous: true ends the response that runs before the next is created",
    dialects=("preview",),
)
async def cancel_previous(caller: Caller) -> None:
    first = await begun(caller)
    try:
        created = await create(caller, {"cancel_previous": True, "modalities": ["text"]})
    finally:
        await stop(caller)
    done = await caller.ended(first)
    ended = next(e for e in caller.heard("response.done") if e["response"]["id"] == first)
    if caller.events.index(created) < caller.events.index(ended):
        raise Breach("the next response was created before the first had ended", created, ended)
    expect_cancelled(done, "client_cancelled")


@case(
    "a prompt as plain text is answered out of band, and the metadata comes back",
    dialects=("preview",),
)
async def prompt_text(caller: Caller) -> None:
    await prompted(caller)


@case(
    "a prompt as plain text goes with input: an item by reference and one in full",
    dialects=("preview",),
)
async def prompt_with_input(caller: Caller) -> None:
    await caller.put(text_item(SHORT, id="item_of_ours"))
    reference = {"type": "item_reference", "id": "item_of_ours"}
    await prompted(caller, input=[reference, message("user", *text_item(SHORT)["content"])])


async def create(caller: Caller, response: Json, **beside: Any) -> Json:
    """Ask for a response; `response.created`, unless the server does not know such a field."""
    since = caller.here
    await caller.say("response.create", may_fail=True, response=response, **beside)

    def decided(event: Json) -> bool:
        return kind_of(event) in ("error", "response.created")

    event = await caller.find("response.created", decided, since)
    if kind_of(event) == "error":
        if event["error"]["code"] == "unknown_parameter":
            raise NotShown(f"the server takes no {event['error']['param']}")
        raise Breach(f"the response was refused: {event['error']['message']}", event)
    return event


async def prompted(caller: Caller, **keys: object) -> None:
    """Ask by a prompt; nothing joins the conversation."""
    metadata = {"purpose": "a label"}
    response: Json = {
        "conversation": "none",
        "metadata": metadata,
        "modalities": ["text"],
        "prompt": "Is the user friendly or not? Answer with one word.",
    }
    since = caller.here
    await create(caller, response | keys)
    answer = await caller.answer(since)
    if answer.response.get("metadata") != metadata:
        raise Breach("the metadata did not come back", answer.response)
    if joined := caller.heard("conversation.item.added", since):
        raise Breach("what was asked out of band joined the conversation", *joined)
    if not answer.output:
        raise NotShown("the model said nothing")


CASES: tuple[Case, ...] = (
    instructions_alone,
    commit_first,
    cancel_previous,
    prompt_text,
    prompt_with_input,
)
