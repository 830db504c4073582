"""Items: put in where they belong, brought back with their audio, taken out."""

import pybase64

from vivavoce.conformance.driver import Breach, Caller, Case, NotShown, case
from vivavoce.conformance.idiom import Json, message, text_item
from vivavoce.conformance.tone import tone


@case("an item goes to the end, to the root, or behind the one that is named")
async def item_order(caller: Caller) -> None:
    places: tuple[tuple[str, Json, str | None], ...] = (
        ("item_b", {}, None),
        ("item_d", {"previous_item_id": None}, "item_b"),
        ("item_a", {"previous_item_id": "root"}, None),
        ("item_c", {"previous_item_id": "item_b"}, "item_b"),
        ("item_e", {}, "item_d"),
    )
    for item_id, place, expected in places:
        added = await caller.put(text_item("Hello.", id=item_id), **place)
        if added.get("previous_item_id") != expected:
            raise Breach(f"item {item_id} should follow {expected}", added)


@case("an item without an id is given one")
async def item_named(caller: Caller) -> None:
    first, second = [await caller.put(text_item("Hello.")) for _ in range(2)]
    if not first["item"]["id"] or first["item"]["id"] == second["item"]["id"]:
        raise Breach("two items have the same id, or none", first, second)


@case("a conversation from before is taken as it was: every role, a call and its result")
async def history(caller: Caller) -> None:
    written = "output_text" if caller.dialect == "ga" else "text"
    call = {"type": "function_call", "name": "water_plant", "call_id": "call_1", "arguments": "{}"}
    items = [
        message("system", {"type": "input_text", "text": "The user likes ferns."}),
        text_item("Is the fern thirsty?"),
        call,
        {"type": "function_call_output", "call_id": "call_1", "output": "watered"},
        message("assistant", {"type": written, "text": "Not any more."}),
    ]
    for item in items:
        told = (await caller.put(item))["item"]
        for key in item.keys() - {"content"}:
            if told.get(key) != item[key]:
                raise Breach(f"{key} of a {item['type']} is {told.get(key)!r}", told)
        texts = [(part["type"], part.get("text")) for part in told.get("content", ())]
        if texts != [(part["type"], part["text"]) for part in item.get("content", ())]:
            raise Breach(f"a {item['type']} does not say what was put in", told)
        if told["type"] != "function_call_output" and told.get("status") != "completed":
            raise Breach(f"a {item['type']} put in by the client is not completed", told)


@case("audio put in with an item is kept, and comes back only when it is retrieved")
async def item_audio(caller: Caller) -> None:
    spoken = tone(400)
    part = {"type": "input_audio", "audio": pybase64.b64encode_as_string(spoken)}
    added = await caller.put(message("user", part))
    if added["item"]["content"][0].get("audio") is not None:
        raise Breach("an item was announced with its audio", added)
    expect_audio(await caller.retrieve(added["item"]["id"]), len(spoken))


def expect_audio(item: Json, size: int) -> None:
    """The first part of a retrieved item holds that many bytes."""
    audio = item["content"][0].get("audio")
    if not isinstance(audio, str):
        raise Breach("an item was retrieved without its audio", item)
    if (found := len(pybase64.b64decode(audio))) != size:
        raise Breach(f"{found} bytes of audio were retrieved of {size}", item)


@case("an item that was deleted is gone, and what comes next follows the one before it")
async def item_deleted(caller: Caller) -> None:
    for item_id in ("item_a", "item_b"):
        await caller.put(text_item("Hello.", id=item_id))
    since = caller.here
    await caller.say("conversation.item.delete", item_id="item_b")
    await caller.event("conversation.item.deleted", since, item_id="item_b")
    code = "item_retrieve_invalid_item_id"
    await caller.refused("conversation.item.retrieve", code, None, item_id="item_b")
    added = await caller.put(text_item("Hello.", id="item_c"))
    if added.get("previous_item_id") != "item_a":
        raise Breach("an item follows one that was deleted", added)


@case("deleting in the middle, or at the root, leaves the others in their order")
async def deleted_amid(caller: Caller) -> None:
    for item_id in ("item_a", "item_b", "item_c"):
        await caller.put(text_item("Hello.", id=item_id))
    for item_id in ("item_b", "item_a"):
        since = caller.here
        await caller.say("conversation.item.delete", item_id=item_id)
        await caller.event("conversation.item.deleted", since, item_id=item_id)
    for item_id, place, expected in (
        ("item_d", {}, "item_c"),
        ("item_e", {"previous_item_id": "root"}, None),
        ("item_f", {"previous_item_id": "item_e"}, "item_e"),
    ):
        added = await caller.put(text_item("Hello.", id=item_id), **place)
        if added.get("previous_item_id") != expected:
            raise Breach(f"item {item_id} should follow {expected}", added)


@case("an item that is retrieved says what was put in")
async def item_text(caller: Caller) -> None:
    item = text_item("Grüß Gott, 你好, \U0001f33f!", id="item-of.ours:1")
    await caller.put(item)
    told = await caller.retrieve("item-of.ours:1")
    part = told["content"][0]
    if (part["type"], part.get("text")) != ("input_text", item["content"][0]["text"]):
        raise Breach("the text that was retrieved is not what was put in", told)


@case("a call put in without a call_id is given one, to which a result can refer")
async def call_named(caller: Caller) -> None:
    call = {"type": "function_call", "name": "water_plant", "arguments": "{}"}
    kind = "conversation.item.create"
    event = await caller.attempt(kind, "conversation.item.added", item=call)
    if event["type"] == "error":
        raise NotShown("the server wants a call_id")
    call_id = event["item"].get("call_id")
    if not call_id:
        raise Breach("a call has no call_id", event)
    result = {"type": "function_call_output", "call_id": call_id, "output": "watered"}
    await caller.put(result)


CASES: tuple[Case, ...] = (
    item_order,
    item_named,
    item_text,
    history,
    call_named,
    item_audio,
    item_deleted,
    deleted_amid,
)
