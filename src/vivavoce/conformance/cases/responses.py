"""Responses: their order, their options, calls, cancelling, truncating."""

from itertools import groupby

import msgspec

from vivavoce.conformance.cases.session import TOOL
from vivavoce.conformance.driver import Answer, Breach, Caller, Case, NotShown, case
from vivavoce.conformance.idiom import Json, kind_of, spelt, text_item

SHORT = "Good morning! How are you?"
LONG = "Please count from one to two hundred, in words, and leave nothing out."
REQUEST = "Please water the fern."
BYTES_PER_MS = 48  # of PCM16 at 24 kHz

OPENED = ["response.created", "response.output_item.added", "conversation.item.added"]
CLOSED = ["conversation.item.done", "response.output_item.done", "response.done"]
TEXT_ORDER = [
    *OPENED,
    "response.content_part.added",
    "delta",
    "response.output_text.done",
    "response.content_part.done",
    *CLOSED,
]
AUDIO_ORDER = [
    *OPENED,
    "response.content_part.added",
    "delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    *CLOSED,
]
CALL_ORDER = [*OPENED, "delta", "response.function_call_arguments.done", *CLOSED]


def expect_order(answer: Answer, order: list[str], caller: Caller) -> None:
    """The events of an answer of one item come just so, its deltas mixed in any way."""
    if len(answer.output) != 1:
        raise NotShown(f"the model made {len(answer.output)} items, not one")
    kinds = ["delta" if kind.endswith(".delta") else kind for kind in answer.kinds]
    found = [kind for kind, _ in groupby(kinds)]
    told = caller.dialect == "ga"
    wanted = [kind for kind in order if told or kind != "conversation.item.done"]
    if "delta" not in found:
        wanted.remove("delta")
    if found != wanted:
        raise Breach(f"the order is {', '.join(found)}, not {', '.join(wanted)}")


def expect_modality(answer: Answer, modality: str, caller: Caller) -> None:
    """The response is said to be in that modality, and its only message is."""
    wanted = caller.setting(spelt(caller.dialect, modality=modality), "modality")
    told = caller.setting(answer.response, "modality")
    if sorted(told or ()) != sorted(wanted):
        raise Breach(f"the response is said to be in {told!r}, not {wanted!r}", answer.response)
    kind = f"output_{modality}" if caller.dialect == "ga" else modality
    for item in answer.output:
        if any(part["type"] != kind for part in item.get("content", ())):
            raise Breach(f"the answer is not of {kind}", answer.response)
    if modality == "text" and answer.audio:
        raise Breach("an answer in writing was spoken", answer.response)


async def spoken(caller: Caller) -> tuple[str, int]:
    """Have something said; the item and its length in bytes."""
    await caller.put(text_item(SHORT))
    answer = await caller.respond(modality="audio")
    if not answer.audio:
        raise NotShown("the model said nothing")
    deltas = (e for e in answer.events if kind_of(e) == "response.output_audio.delta")
    return str(next(deltas)["item_id"]), len(answer.audio)


async def begun(caller: Caller, **settings: object) -> str:
    """Have a long response begun; its id."""
    since = caller.here
    await caller.put(text_item(LONG))
    await caller.ask(**settings)
    return str((await caller.event("response.created", since))["response"]["id"])


async def stop(caller: Caller) -> None:
    """Cancel the default response, should it still run."""
    await caller.say("response.cancel", may_fail=True)


def expect_cancelled(done: Json, reason: str) -> None:
    """It ended so; not shown if it was over before."""
    if done["status"] == "completed":
        raise NotShown("the response was over before it could be cancelled")
    details = done.get("status_details") or {}
    if done["status"] != "cancelled" or details.get("reason") != reason:
        raise Breach(f"the response is not cancelled as {reason}", done)


@case("a written answer comes in the documented order")
async def text_response(caller: Caller) -> None:
    await caller.put(text_item(SHORT))
    answer = await caller.respond(modality="text")
    expect_modality(answer, "text", caller)
    expect_order(answer, TEXT_ORDER, caller)


@case("a spoken answer comes in the documented order, with audio and its transcript")
async def audio_response(caller: Caller) -> None:
    await caller.put(text_item(SHORT))
    answer = await caller.respond(modality="audio")
    expect_modality(answer, "audio", caller)
    expect_order(answer, AUDIO_ORDER, caller)
    if not answer.audio:
        raise NotShown("the model said nothing")


@case("one answer may be in writing where the session speaks, and only that one is")
async def text_among_speech(caller: Caller) -> None:
    await caller.configure(modality="audio")
    await caller.put(text_item(SHORT))
    expect_modality(await caller.respond(modality="text"), "text", caller)
    expect_modality(await caller.respond(), "audio", caller)


@case("the items of a response follow each other and the user's")
async def answers_follow(caller: Caller) -> None:
    last = (await caller.put(text_item(SHORT)))["item"]["id"]
    for _ in range(2):
        answer = await caller.respond(modality="text")
        added = [e for e in answer.events if kind_of(e) == "conversation.item.added"]
        for event in added:
            if event.get("previous_item_id") != last:
                raise Breach(f"an item of the response should follow {last}", event)
            last = event["item"]["id"]


@case("an item may be put in while a response runs, which goes on")
async def item_amid_response(caller: Caller) -> None:
    response_id = await begun(caller, modality="text")
    await caller.put(text_item("And I forgot to say hello."))
    await stop(caller)
    if (await caller.ended(response_id))["status"] not in ("completed", "cancelled"):
        raise Breach("the response did not go on", *caller.latest())


@case("an answer out of band answers its own input, keeps its metadata, and joins nothing")
async def out_of_band(caller: Caller) -> None:
    metadata = {"topic": "ferns", "step": "1"}
    since = caller.here
    answer = await caller.respond(
        conversation="none", modality="text", metadata=metadata, input=[text_item(SHORT)]
    )
    if answer.response.get("metadata") != metadata:
        raise Breach("the metadata did not come back", answer.response)
    if answer.response.get("conversation_id") is not None:
        raise Breach("a response out of band names a conversation", answer.response)
    if joined := caller.heard("conversation.item.added", since):
        raise Breach("an answer out of band joined the conversation", *joined)


@case("two responses out of band run beside the default one, and are told apart")
async def side_by_side(caller: Caller) -> None:
    since = caller.here
    await caller.put(text_item(SHORT))
    for number, conversation in enumerate(("auto", "none", "none")):
        metadata = {"number": str(number)}
        await caller.ask(conversation=conversation, modality="text", metadata=metadata)
    answers = [await caller.answer(since, metadata={"number": str(n)}) for n in range(3)]
    outside = [answer.response.get("conversation_id") is None for answer in answers]
    if outside != [False, True, True]:
        raise Breach("not just the first writes to the conversation", *caller.latest())


@case("while a response runs a second one in the conversation is refused, and the first goes on")
async def second_response(caller: Caller) -> None:
    since = caller.here
    await caller.put(text_item(LONG))
    await caller.ask(modality="text")
    second = await caller.say("response.create", may_fail=True)
    first = (await caller.event("response.created", since))["response"]["id"]

    def decided(event: Json) -> bool:
        another = event.get("response", {}).get("id") != first
        refused = kind_of(event) == "error"
        return refused or (kind_of(event) == "response.created" and another)

    event = await caller.find("an error, for a response runs already", decided, since)
    await stop(caller)
    if kind_of(event) == "response.created":
        raise NotShown("the first response was over before the second was asked for")
    error = event["error"]
    if error["code"] != "conversation_already_has_active_response":
        raise Breach(f"the error's code is {error['code']!r}", event)
    if error.get("event_id") not in (second, None):
        raise Breach("the error names another event than the second response.create", event)
    said = ("already has an active response", first)
    if error.get("param") is not None or not all(each in error["message"] for each in said):
        raise Breach(f"the error does not say that {first} runs already", event)


@case("the default response can be cancelled; all that is open is closed")
async def cancel(caller: Caller) -> None:
    response_id = await begun(caller)
    await stop(caller)
    expect_cancelled(await caller.ended(response_id), "client_cancelled")


@case("a response out of band can be cancelled by its id, and no other is")
async def cancel_by_id(caller: Caller) -> None:
    default = await begun(caller)
    outside = await begun(caller, conversation="none")
    await caller.say("response.cancel", may_fail=True, response_id=outside)
    expect_cancelled(await caller.ended(outside), "client_cancelled")
    await caller.sign_of_life()
    if any(event["response"]["id"] == default for event in caller.heard("response.done")):
        raise NotShown("the default response was over before")
    await stop(caller)
    expect_cancelled(await caller.ended(default), "client_cancelled")


@case("a response that may take one token is incomplete for that reason")
async def token_limit(caller: Caller) -> None:
    await caller.put(text_item(LONG))
    response = (await caller.respond(modality="text", max_tokens=1)).response
    if response["status"] == "completed" and response["usage"]["output_tokens"] <= 1:
        raise NotShown("the model said no more than that")
    details = response.get("status_details") or {}
    if response["status"] != "incomplete" or details.get("reason") != "max_output_tokens":
        raise Breach("the response is not incomplete for its max_output_tokens", response)


async def called(caller: Caller, choice: object) -> tuple[Answer, Json]:
    """Make it call a function; the answer and its call."""
    await caller.put(text_item(REQUEST))
    answer = await caller.respond(tools=[TOOL], tool_choice=choice)
    calls = [item for item in answer.output if item["type"] == "function_call"]
    # Whether there is a call, to what and with what, is the model's: the protocol can only ask.
    if not calls:
        raise NotShown("the model called no function")
    if calls[0]["name"] != TOOL["name"]:
        caller.advise(f"the model called {calls[0]['name']!r}, which is not there", calls[0])
    try:
        msgspec.json.decode(calls[0]["arguments"], type=dict)
    except msgspec.DecodeError:
        caller.advise("the arguments that the model made are not a JSON object", calls[0])
    return answer, calls[0]


@case("a function that must be called by its name is, in the documented order", needs=("tools",))
async def named_call(caller: Caller) -> None:
    choice = {"type": "function", "name": TOOL["name"]}
    expect_order((await called(caller, choice))[0], CALL_ORDER, caller)


@case("where some function must be called, one is", needs=("tools",))
async def required_call(caller: Caller) -> None:
    await called(caller, "required")


@case("what a function returned is taken and answered", needs=("tools",))
async def call_result(caller: Caller) -> None:
    answer, call = await called(caller, "required")
    added = await caller.put(
        {"type": "function_call_output", "call_id": call["call_id"], "output": '{"ok": true}'}
    )
    if added.get("previous_item_id") != answer.output[-1]["id"]:
        raise Breach("the result does not follow what the response made", added)
    follow_up = await caller.respond(modality="text", tools=[TOOL], tool_choice="none")
    if any(item["type"] == "function_call" for item in follow_up.output):
        raise Breach("a function was called where none may be", follow_up.response)


@case("the voice stays as it is once the assistant has spoken")
async def voice_fixed(caller: Caller) -> None:
    await spoken(caller)
    voice = caller.setting(await caller.configure(), "voice")
    other = "echo" if voice != "echo" else "shimmer"
    await caller.refused(
        "session.update", "cannot_update_voice", None, session=caller.session(voice=other)
    )
    await caller.configure(voice=voice)


async def truncate(caller: Caller, item_id: str, at_ms: int) -> None:
    """Cut the speech of an item, and have it confirmed."""
    since = caller.here
    keys: Json = {"item_id": item_id, "content_index": 0, "audio_end_ms": at_ms}
    await caller.say("conversation.item.truncate", **keys)
    await caller.event("conversation.item.truncated", since, **keys)


@case("speech cut in its middle keeps its first half, and no longer all of its transcript")
async def truncated(caller: Caller) -> None:
    item_id, size = await spoken(caller)
    whole = (await caller.retrieve(item_id))["content"][0]
    half_ms = size // BYTES_PER_MS // 2
    await truncate(caller, item_id, half_ms)
    part = (await caller.retrieve(item_id))["content"][0]
    if part.get("transcript") and part["transcript"] == whole.get("transcript"):
        raise Breach("the transcript still says what was cut away", part)
    # Three bytes of audio are four characters of base64.
    if len(part.get("audio") or "") * 3 // 4 > half_ms * BYTES_PER_MS + 3:
        raise Breach("the audio still holds what was cut away", part)


@case("speech can be cut at its very end, but not beyond")
async def truncated_beyond(caller: Caller) -> None:
    item_id, size = await spoken(caller)
    await refuse_beyond(caller, item_id, size // BYTES_PER_MS)


@case("speech can be cut to nothing")
async def truncated_to_nothing(caller: Caller) -> None:
    item_id, _ = await spoken(caller)
    await truncate(caller, item_id, 0)
    part = (await caller.retrieve(item_id))["content"][0]
    if part.get("audio") or part.get("transcript"):
        raise Breach("something is left of speech that was cut to nothing", part)


@case("a part that an item does not have cannot be truncated")
async def truncate_no_part(caller: Caller) -> None:
    item_id, _ = await spoken(caller)
    await caller.refused(
        "conversation.item.truncate",
        "invalid_value",
        "content_index",
        advised=True,
        item_id=item_id,
        content_index=7,
        audio_end_ms=0,
    )


@case("a response may be asked for with nothing said about it")
async def bare_create(caller: Caller) -> None:
    ways: tuple[Json, ...] = ({}, {"response": None}, {"response": {}})
    for keys in ways:
        await caller.put(text_item(SHORT))
        since = caller.here
        await caller.say("response.create", **keys)
        await caller.answer(since)


@case("an empty input is an empty context; the answer joins the conversation all the same")
async def empty_input(caller: Caller) -> None:
    before = (await caller.put(text_item(SHORT)))["item"]["id"]
    answer = await caller.respond(modality="text", input=[], instructions="Say hello.")
    if not answer.output:
        raise NotShown("the model said nothing")
    added = [e for e in answer.events if kind_of(e) == "conversation.item.added"]
    if not added or added[0].get("previous_item_id") != before:
        raise Breach(f"the answer does not follow {before}", *added)


@case("an item can be answered by reference, in the conversation or out of band")
async def input_reference(caller: Caller) -> None:
    await caller.put(text_item(SHORT, id="item_of_ours"))
    reference = {"type": "item_reference", "id": "item_of_ours"}
    for conversation in ("none", "auto"):
        since = caller.here
        await caller.respond(
            conversation=conversation, modality="text", input=[reference, text_item("Briefly.")]
        )
        joined = caller.heard("conversation.item.added", since)
        if any((event["item"].get("role")) == "user" for event in joined):
            raise Breach("the input of a response joined the conversation", *joined)


@case("what was answered out of band is in no conversation, and cannot be retrieved")
async def out_of_band_gone(caller: Caller) -> None:
    answer = await caller.respond(conversation="none", modality="text", input=[text_item(SHORT)])
    if not answer.output:
        raise NotShown("the model said nothing")
    item_id = answer.output[0]["id"]
    code = "item_retrieve_invalid_item_id"
    await caller.refused("conversation.item.retrieve", code, None, item_id, item_id=item_id)


@case("a response that is over cannot be cancelled, by its id or without")
async def cancel_over(caller: Caller) -> None:
    await caller.put(text_item(SHORT))
    answer = await caller.respond(modality="text")
    ways: tuple[Json, ...] = ({}, {"response_id": answer.id})
    for keys in ways:
        code, says = "response_cancel_not_active", "cancellation failed"
        await caller.refused("response.cancel", code, None, says, **keys)


@case("a wrong id cancels nothing: the response that runs goes on")
async def cancel_another(caller: Caller) -> None:
    response_id = await begun(caller, modality="text")
    code = "response_cancel_not_active"
    await caller.refused("response.cancel", code, None, response_id="resp_nobody")
    over = [e for e in caller.heard("response.done") if e["response"]["id"] == response_id]
    await stop(caller)
    done = await caller.ended(response_id)
    if over and done["status"] == "cancelled":
        raise Breach("a response was cancelled by the id of another", done)


@case("settings may change while a response runs, which goes on as it was")
async def update_amid_response(caller: Caller) -> None:
    response_id = await begun(caller, modality="text")
    session = await caller.configure(instructions="Speak of gardens only.")
    if caller.setting(session, "instructions") != "Speak of gardens only.":
        raise Breach("an update while a response runs has no effect", {"session": session})
    await stop(caller)
    if (await caller.ended(response_id))["status"] not in ("completed", "cancelled"):
        raise Breach("the response did not go on", *caller.latest())


@case("once the assistant has spoken no single response has another voice either")
async def response_voice(caller: Caller) -> None:
    await spoken(caller)
    voice = caller.setting(await caller.configure(), "voice")
    other = "echo" if voice != "echo" else "shimmer"
    response = spelt(caller.dialect, voice=other)
    await caller.refused("response.create", "cannot_update_voice", None, response=response)


@case("rate limits, where they are told, follow the beginning or the end of a response")
async def rate_limits(caller: Caller) -> None:
    await caller.put(text_item(SHORT))
    answer = await caller.respond(modality="text")
    await caller.sign_of_life()
    told = caller.heard("rate_limits.updated")
    if not told:
        raise NotShown("the server tells no rate limits")
    at = {kind_of(event): caller.events.index(event) for event in answer.events}
    for event in told:
        place = caller.events.index(event)
        opened = at.get("response.output_item.added", at["response.done"])
        if not at["response.created"] < place < opened and place < at["response.done"]:
            raise Breach("rate limits came within the response", event)


@case(
    "a tool on an MCP server is refused, or its tools are listed until that is over",
    dialects=("ga",),
)
async def mcp_tool(caller: Caller) -> None:
    since = caller.here
    tool = {"type": "mcp", "server_label": "nowhere", "server_url": "https://mcp.invalid/"}
    session = caller.session(tools=[tool])
    event = await caller.attempt("session.update", "session.updated", session=session)
    if event["type"] == "error":
        told = (event["error"]["code"], event["error"]["param"])
        if told != ("invalid_value", "session.tools[0].type"):
            caller.advise(f"the error is {told}, without MCP", event)
        return
    if not caller.setting(event["session"], "tools"):
        raise Breach("an MCP server was neither refused nor kept", event)
    began = await caller.event("mcp_list_tools.in_progress", since)
    ends = ("mcp_list_tools.completed", "mcp_list_tools.failed")

    def concludes(each: Json) -> bool:
        return kind_of(each) in ends and each["item_id"] == began["item_id"]

    await caller.find("mcp_list_tools.completed or failed", concludes, since)
    await caller.event("conversation.item.done", since, item={"id": began["item_id"]})


async def refuse_beyond(caller: Caller, item_id: str, length_ms: int) -> None:
    """The item is that long, and no longer."""
    await caller.refused(
        "conversation.item.truncate",
        "invalid_value",
        None,
        item_id=item_id,
        content_index=0,
        audio_end_ms=length_ms + 1000,
    )
    await truncate(caller, item_id, length_ms)


CASES: tuple[Case, ...] = (
    text_response,
    audio_response,
    text_among_speech,
    answers_follow,
    item_amid_response,
    out_of_band,
    side_by_side,
    out_of_band_gone,
    bare_create,
    empty_input,
    input_reference,
    second_response,
    cancel,
    cancel_by_id,
    cancel_over,
    cancel_another,
    update_amid_response,
    rate_limits,
    token_limit,
    named_call,
    required_call,
    call_result,
    mcp_tool,
    voice_fixed,
    response_voice,
    truncated,
    truncated_beyond,
    truncated_to_nothing,
    truncate_no_part,
)
