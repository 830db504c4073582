"""The cases: a server in order holds all of them, and each kind of mistake breaks one."""

import copy
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest
from wires import Event, Server, verdict

from vivavoce.conformance.cases import CASES, door, leniency, limits, preview, refusals
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import (
    Breach,
    Caller,
    Case,
    NotShown,
    Setup,
    play,
)
from vivavoce.conformance.idiom import text_item
from vivavoce.conformance.knock import HungUp, Knock, Line, NoSession
from vivavoce.conformance.report import Reason, Result, as_json, counts, exit_status
from vivavoce.conformance.tone import tone
from vivavoce.testing.virtual_time import VirtualLoop

pytestmark = pytest.mark.anyio
DIALECTS: tuple[DialectName, ...] = ("ga", "preview")
SILENT = {"rate-limits"}  # what a session need not tell
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """asyncio in virtual time: no case waits."""
    return "asyncio", {"loop_factory": VirtualLoop}


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(CASES)


@pytest.mark.parametrize(
    ("dialect", "case"),
    [
        pytest.param(dialect, case, id=f"{dialect}-{case.name}")
        for dialect in DIALECTS
        for case in CASES
        if dialect in case.dialects and case not in door.CASES
    ],
)
async def test_our_own_session_holds(dialect: DialectName, case: Case) -> None:
    result = await verdict(case, dialect)
    assert (result.reasons, result.advice) == ((), ())
    assert result.verdict == "held" or case.name in SILENT, result.remark


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_case_asks_for_more_than_a_strict_server_takes(dialect: DialectName) -> None:
    server = Server(dialect, strict=True)
    setup = Setup(dialect, speech=tone(2500), strict=True)
    cases = [case for case in CASES if dialect in case.dialects and case not in door.CASES]
    results = [await play(case, server.dial, setup) for case in cases]
    assert [result for result in results if result.verdict == "broken"] == []
    hidden = {result.case for result in results if result.verdict == "not shown"} - SILENT
    assert hidden == (set() if dialect == "ga" else {case.name for case in preview.CASES})


# A server that is wrong in one way. Each is made of a right one by what becomes of its events.


def drops(kind: str) -> Callable[[Event], Iterable[Event]]:
    return lambda event: () if event["type"] == kind else (event,)


def twice(kind: str) -> Callable[[Event], Iterable[Event]]:
    def bend(event: Event) -> Iterable[Event]:
        again = event | {"event_id": f"{event['event_id']}_again"}
        return (event, again) if event["type"] == kind else (event,)

    return bend


def renames(kind: str, other: str) -> Callable[[Event], Iterable[Event]]:
    return lambda event: (event | {"type": other} if event["type"] == kind else event,)


def changes(kind: str, path: str, value: object) -> Callable[[Event], Iterable[Event]]:
    """Every event of that kind has another value at *path*; an ellipsis takes it away."""

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] != kind:
            return (event,)
        changed = copy.deepcopy(event)
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = changed
        for step in steps:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
        return (changed,)

    return bend


def swaps(first: str, second: str) -> Callable[[Event], Iterable[Event]]:
    """What should come first comes right after the second."""
    held: list[Event] = []

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] == first:
            held.append(event)
            return ()
        if event["type"] == second and held:
            return (event, held.pop())
        return (event,)

    return bend


def forgets_ids() -> Callable[[Event], Iterable[Event]]:
    return lambda event: (event | {"event_id": "event_1"},)


def adds_an_error(after: str) -> Callable[[Event], Iterable[Event]]:
    error = {"type": "server_error", "code": None, "message": "oh", "param": None, "event_id": None}
    return lambda event: (
        (event, {"type": "error", "event_id": "event_of_the_error", "error": error})
        if event["type"] == after
        else (event,)
    )


def adds_speech(after: str) -> Callable[[Event], Iterable[Event]]:
    speech = {"item_id": "item_of_nobody", "audio_start_ms": 0}
    started = {"type": "input_audio_buffer.speech_started", "event_id": "event_of_it", **speech}
    return lambda event: (event, started) if event["type"] == after else (event,)


def babbles(after: str) -> Callable[[Event], Iterable[Event | str]]:
    return lambda event: (event, "[]") if event["type"] == after else (event,)


def answers_uncalled(after: str = "error") -> Callable[[Event], Iterable[Event]]:
    """A response is created that nobody asked for, such as after an error."""
    response = {
        "object": "realtime.response",
        "id": "resp_uncalled",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": None,
        "output_modalities": ["text"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
        "usage": None,
        "metadata": None,
    }
    created = {"type": "response.created", "event_id": "event_uncalled", "response": response}
    return lambda event: (event, created) if event["type"] == after else (event,)


def later(kind: str, path: str, value: object, since: int) -> Callable[[Event], Iterable[Event]]:
    """As `changes`, from the *since*-th event of that kind on."""
    seen = itertools.count(1)
    bend = changes(kind, path, value)
    return lambda event: bend(event) if event["type"] == kind and next(seen) >= since else (event,)


def stuck() -> Callable[[Event], Iterable[Event]]:
    """Every update is acknowledged, and none has any effect."""
    first: list[Event] = []

    def bend(event: Event) -> Iterable[Event]:
        if event["type"].endswith(("session.created", "session.updated")):
            first.append(event["session"])
            return (event | {"session": first[0]},)
        return (event,)

    return bend


def shrugs() -> Callable[[Event], Iterable[Event]]:
    """What is wrong is not refused but said to be done."""
    told: list[Event] = []

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] in ("session.created", "session.updated"):
            told.append(event["session"])
        if event["type"] != "error":
            return (event,)
        return ({"type": "session.updated", "event_id": event["event_id"], "session": told[-1]},)

    return bend


def adds(after: str, kind: str, **keys: object) -> Callable[[Event], Iterable[Event]]:
    """An event of that kind comes behind each of the other."""
    names = itertools.count(1)
    return lambda event: (
        (event, {"type": kind, "event_id": f"event_more_{next(names)}", **keys})
        if event["type"] == after
        else (event,)
    )


GARDENS = "Speak of gardens only."
TEXT = {"type": "audio", "transcript": "all of it"}
LISTENS = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300}
WRONG = [
    # What is missing or too much.
    ("text-response", drops("response.done"), "waited 20 s for response.done"),
    ("text-response", drops("response.content_part.done"), "part 0 of"),
    ("item-order", drops("conversation.item.done"), "waited 20 s for conversation.item.done"),
    ("turn-by-voice", drops("input_audio_buffer.speech_stopped"), "speech_stopped"),
    (
        "transcription",
        twice("conversation.item.input_audio_transcription.completed"),
        "concluded more than once",
    ),
    ("item-order", adds_an_error("session.created"), "an error that nothing called for: oh"),
    ("turn-by-hand", adds_speech("session.updated"), "though nobody listens for it"),
    ("refused-response", answers_uncalled(), "a response that was refused was created"),
    # What it is called, where it stands.
    ("text-response", renames("response.output_text.delta", "response.text.delta"), "does not"),
    (
        "text-response",
        swaps("response.output_item.added", "conversation.item.added"),
        "the order is response.created, conversation.item.added, response.output_item.added",
    ),
    ("item-named", forgets_ids(), "event id event_1 came twice"),
    (
        "audio-response",
        swaps("response.output_audio.done", "response.output_audio_transcript.done"),
        "transcript of part 0",
    ),
    ("turn-by-hand", swaps("input_audio_buffer.committed", "conversation.item.added"), "committed"),
    # What it says.
    (
        "cancel-nothing",
        changes("error", "error.event_id", "event_of_another"),
        "an error that nothing called for",
    ),
    ("cancel-nothing", changes("error", "error.code", "oops"), "error.code is 'oops'"),
    ("cancel-nothing", changes("error", "error.message", "oops"), "'cancellation failed'"),
    ("unknown-value", changes("error", "error.param", "session"), "error.param is 'session'"),
    ("not-json", changes("error", "error.param", "type"), "error.param is 'type'"),
    ("session-created", changes("session.created", "session.tools", ...), "lacks tools"),
    ("session-echo", changes("session.updated", "session.instructions", "Be."), "instructions is"),
    (
        "null-and-absent",
        changes("session.updated", "session.audio.input.turn_detection", LISTENS),
        "session.audio.input.turn_detection is",
    ),
    (
        "out-of-band",
        changes("response.done", "response.metadata", {}),
        "was created with another metadata",
    ),
    ("item-order", changes("conversation.item.added", "previous_item_id", "item_b"), "item_b"),
    ("text-response", changes("response.output_text.delta", "delta", "x"), "are not what its"),
    ("audio-response", changes("response.output_audio.delta", "delta", "AAAA"), "within a sample"),
    ("audio-response", changes("response.output_audio.delta", "delta", 7), "expected"),
    ("item-audio", changes("conversation.item.retrieved", "item.content.0.audio", "AAAA"), "3 byt"),
    ("text-response", changes("response.done", "response.usage", None), "without usage"),
    ("token-limit", changes("response.done", "response.status", "completed"), "otherwise"),
    (
        "cancel",
        changes("response.done", "response.status_details.reason", "turn_detected"),
        "not cancelled as client_cancelled",
    ),
    (
        "named-call",
        changes("response.function_call_arguments.done", "arguments", "{"),
        "arguments of",
    ),
    ("truncated", changes("conversation.item.retrieved", "item.content.0", TEXT), "cut away"),
    (
        "truncated",
        changes("conversation.item.truncated", "audio_end_ms", 1),
        "waited 20 s for conversation.item.truncated",
    ),
    (
        "turn-by-voice",
        changes("input_audio_buffer.speech_started", "audio_start_ms", 99_000),
        "before its start",
    ),
    ("text-response", changes("response.created", "response", "none"), "an object expected"),
    ("item-named", babbles("session.created"), "a frame is not a JSON object"),
    # What has no effect, or another.
    ("truncation-echo", stuck(), "session.truncation is"),
    ("semantic-whole", stuck(), "turn detection is"),
    ("cleared", changes("session.updated", "session.instructions", GARDENS), "cannot be cleared"),
    ("null-event-id", drops("input_audio_buffer.cleared"), "waited 20 s for input_audio_buffer"),
    ("in-order", swaps("session.updated", "conversation.item.added"), "came in the order"),
    ("unknown-key", changes("session.updated", "session.key_of_nobody", True), "is shown"),
    ("read-only", later("session.updated", "session.id", "sess_other", 3), "session.id was"),
    ("model-fixed", later("session.updated", "session.model", "other", 3), "model was changed"),
    ("trailing-comma", stuck(), "session.instructions is"),
    (
        "other-spelling",
        changes("conversation.item.added", "item.content.0.type", "text"),
        "not told as output_text",
    ),
    ("unknown-response-key", drops("response.done"), "waited 20 s for response.done"),
    (
        "transcription-update-of-preview",
        changes("session.updated", "session.object", "realtime.session"),
        "does not transcribe",
    ),
    (
        "large-append",
        changes("conversation.item.retrieved", "item.content.0.audio", "AAAA"),
        "3 by",
    ),
    (
        "deleted-amid",
        changes("conversation.item.added", "previous_item_id", "item_b"),
        "should follow",
    ),
    (
        "item-text",
        changes("conversation.item.retrieved", "item.content.0.text", "Hello."),
        "not what was put in",
    ),
    ("call-named", changes("conversation.item.added", "item.call_id", ""), "has no call_id"),
    (
        "truncated-to-nothing",
        changes("conversation.item.retrieved", "item.content.0", TEXT),
        "something is left",
    ),
    ("bare-create", drops("response.done"), "waited 20 s for response.done"),
    (
        "empty-input",
        changes("conversation.item.added", "previous_item_id", None),
        "the answer does not follow",
    ),
    (
        "input-reference",
        adds(
            "response.created",
            "conversation.item.added",
            previous_item_id=None,
            item=text_item("Briefly.", id="item_more", object="realtime.item", status="completed"),
        ),
        "the input of a response joined",
    ),
    ("update-amid-response", stuck(), "has no effect"),
    (
        "rate-limits",
        adds("response.output_item.added", "rate_limits.updated", rate_limits=[]),
        "within the response",
    ),
    ("mcp-tool", shrugs(), "neither refused nor kept"),
    (
        "commit-follows",
        changes("input_audio_buffer.committed", "previous_item_id", None),
        "should follow",
    ),
    (
        "commit-amid-speech",
        changes("input_audio_buffer.speech_started", "item_id", "item_of_another"),
        "another id than was told",
    ),
    (
        "transcription-by-voice",
        answers_uncalled("input_audio_buffer.committed"),
        "in a session for transcription",
    ),
    ("ulaw-in", drops("error"), "no error came within 5 s"),
    ("alaw-out", drops("error"), "no error came within 5 s"),
    ("idle-timeout", drops("input_audio_buffer.timeout_triggered"), "timeout_triggered"),
]


@pytest.mark.parametrize(
    ("name", "bend", "says"),
    [pytest.param(*wrong, id=f"{place}-{wrong[0]}") for place, wrong in enumerate(WRONG)],
)
async def test_a_wrong_server_breaks_the_case_that_is_about_it(
    name: str, bend: Callable[[Event], Iterable[Event]], says: str
) -> None:
    result = await verdict(BY_NAME[name], "ga", bend)
    assert result.verdict == "broken"
    assert any(says in reason.sentence for reason in result.reasons), result.reasons


REFUSING = (
    *refusals.CASES,
    *limits.CASES,
    *(
        BY_NAME[name]
        for name in (
            "cancel-another",
            "cancel-over",
            "out-of-band-gone",
            "response-voice",
            "tracing-fixed",
            "truncate-no-part",
            "voice-fixed",
        )
    ),
)


@pytest.mark.parametrize(
    ("dialect", "case"),
    [
        pytest.param(dialect, case, id=f"{dialect}-{case.name}")
        for dialect in DIALECTS
        for case in REFUSING
        if dialect in case.dialects and case.name != "large-append"
    ],
)
async def test_a_server_that_refuses_nothing_breaks_every_case_of_a_refusal(
    dialect: DialectName, case: Case
) -> None:
    result = await verdict(case, dialect, drops("error"))
    assert result.verdict == ("advice" if case.advised else "broken")


@pytest.mark.parametrize(
    ("dialect", "case"),
    [
        pytest.param(case.dialects[0], case, id=case.name)
        for case in (*leniency.LIBERTIES, *limits.NUMBERS)
    ],
)
async def test_what_is_acknowledged_without_effect_breaks_the_case(
    dialect: DialectName, case: Case
) -> None:
    result = await verdict(case, dialect, stuck())
    assert result.verdict == ("advice" if case.advised else "broken")
    assert "not" in (*result.reasons, *result.advice)[0].sentence


async def test_what_is_refused_but_done_breaks_the_case() -> None:
    refused = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "No."}

    def bend(event: Event) -> Iterable[Event]:
        session = event.get("session", {})
        if event["type"] != "session.updated" or session["instructions"] != GARDENS or said:
            return (event,)
        error = refused | {"param": "session", "event_id": "event_of_ours_2"}
        said.append({"type": "error", "event_id": event["event_id"], "error": error})
        return said

    said: list[Event] = []
    result = await verdict(BY_NAME["unknown-key"], "ga", bend)
    assert [reason.sentence for reason in result.reasons] == [
        "an update that was refused changed the session"
    ]


@pytest.mark.parametrize(
    ("name", "dialect", "bend", "says"),
    [
        (
            "detection-replaced",
            "ga",
            changes("session.updated", "session.audio.input.turn_detection.threshold", 0.9),
            "turn_detection is",
        ),
        (
            "untyped-item",
            "ga",
            lambda event: () if event["type"] == "conversation.item.added" else (event,),
            "waited 20 s for conversation.item.added or an error",
        ),
        ("empty-append", "ga", drops("input_audio_buffer.cleared"), "waited 20 s"),
        (
            "idle-timeout",
            "ga",
            changes("input_audio_buffer.timeout_triggered", "audio_end_ms", 99_000),
            "the silence is said to last",
        ),
        ("mcp-tool", "ga", changes("error", "error.code", "oops"), "the error is ('oops'"),
        ("unknown-approval", "ga", changes("error", "error.code", "oops"), "the error is ('oops'"),
        (
            "cancel-nothing",
            "ga",
            changes("error", "error.event_id", None),
            "error.event_id is null",
        ),
        ("wrong-type", "ga", changes("error", "error.code", "oops"), "error.code is 'oops'"),
        (
            "odd-pieces",
            "ga",
            changes("conversation.item.retrieved", "item.content.0.audio", ""),
            "0 b",
        ),
        (
            "commit-amid-speech",
            "ga",
            adds(
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                audio_end_ms=900,
                item_id="item_of_another",
            ),
            "cut by hand",
        ),
    ],
)
async def test_what_only_we_recommend_is_advice_and_breaks_nothing_by_itself(
    name: str, dialect: DialectName, bend: Callable[[Event], Iterable[Event]], says: str
) -> None:
    result = await verdict(BY_NAME[name], dialect, bend)
    assert any(says in reason.sentence for reason in result.advice), result
    assert not any(says in reason.sentence for reason in result.reasons)


@pytest.mark.parametrize("after", ["response.created", "response.done"])
async def test_rate_limits_may_come_at_either_end_of_a_response(after: str) -> None:
    result = await verdict(
        BY_NAME["rate-limits"], "ga", adds(after, "rate_limits.updated", rate_limits=[])
    )
    assert (result.verdict, result.reasons) == ("held", ())


async def test_fields_beside_the_type_have_their_effect_or_break_the_case() -> None:
    bend = changes("transcription_session.updated", "session.input_audio_format", "pcm16")
    result = await verdict(BY_NAME["beside-type"], "preview", bend)
    assert "an update was taken without effect" in [each.sentence for each in result.reasons]


async def test_a_model_that_calls_no_function_breaks_nothing() -> None:
    def bend(event: Event) -> Iterable[Event]:
        if event["type"] != "response.done":
            return (event,)
        return (event | {"response": event["response"] | {"output": []}},)

    result = await verdict(BY_NAME["required-call"], "ga", bend)
    assert result.remark == "the model called no function"


# How a case is led, and how it is judged.


def made(play_it: Callable[[Caller], Awaitable[None]]) -> Case:
    return Case("made-up", "something holds", play_it)


async def test_what_could_not_be_provoked_is_not_shown() -> None:
    async def give_up(caller: Caller) -> None:
        raise NotShown("there was no time")

    result = await verdict(made(give_up), "ga")
    assert (result.verdict, result.remark) == ("not shown", "there was no time")


async def test_what_was_not_shown_may_still_have_broken_a_law() -> None:
    async def give_up(caller: Caller) -> None:
        raise NotShown("there was no time")

    result = await verdict(made(give_up), "ga", twice("session.created"))
    assert result.verdict == "broken"
    assert result.reasons[0].sentence == "session.created came twice"


@pytest.mark.parametrize(
    ("code", "expected"), [("rate_limit_exceeded", "not shown"), ("server_error", "broken")]
)
async def test_a_response_may_fail_only_because_an_allowance_is_spent(
    code: str, expected: str
) -> None:
    details = {"type": "failed", "error": {"type": "error", "code": code, "message": ""}}

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] != "response.done":
            return (event,)
        response = event["response"] | {"status": "failed", "status_details": details}
        return (event | {"response": response},)

    result = await verdict(BY_NAME["answers-follow"], "ga", bend)
    assert result.verdict == expected
    told = [result.remark, *(reason.sentence for reason in result.reasons)]
    assert f"the response failed: {code}" in told


async def test_an_item_of_a_response_is_not_taken_for_the_one_put_in() -> None:
    put: list[Event] = []

    async def put_one_in(caller: Caller) -> None:
        put.append(await caller.put(text_item("Hello.")))

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] != "conversation.item.added":
            return (event,)
        other = event["item"] | {"role": "assistant", "id": "item_of_another"}
        return (event | {"event_id": "event_of_another", "item": other}, event)

    await verdict(made(put_one_in), "ga", bend)
    assert [event["item"]["role"] for event in put] == ["user"]


async def test_a_case_is_over_only_when_the_server_owes_nothing() -> None:
    async def ask_and_leave(caller: Caller) -> None:
        await caller.ask(modality="text")

    assert (await verdict(made(ask_and_leave), "ga")).verdict == "held"
    result = await verdict(made(ask_and_leave), "ga", drops("response.done"))
    assert "waited 20 s for what is owed: response resp_" in result.reasons[-1].sentence


async def test_each_breach_is_told_once_and_all_are() -> None:
    async def write(caller: Caller) -> None:
        for _ in range(2):
            await caller.respond(modality="text")

    def bend(event: Event) -> Iterable[Event]:
        if event["type"] == "response.output_text.delta":
            return (event | {"loud": True, "quiet": True},)
        return (event,)

    result = await verdict(made(write), "ga", bend)
    assert [reason.sentence for reason in result.reasons] == [
        "response.output_text.delta: loud: unknown",
        "response.output_text.delta: quiet: unknown",
    ]
    assert result.reasons[0].events[0]["loud"] is True


async def test_an_error_that_was_expected_breaks_nothing() -> None:
    async def cancel(caller: Caller) -> None:
        await caller.say("response.cancel", may_fail=True)

    async def cancel_in_earnest(caller: Caller) -> None:
        await caller.say("response.cancel")

    assert (await verdict(made(cancel), "ga")).verdict == "held"
    result = await verdict(made(cancel_in_earnest), "ga")
    assert "an error that nothing called for" in result.reasons[0].sentence


async def test_an_event_that_a_case_cannot_read_breaks_it() -> None:
    async def read(caller: Caller) -> None:
        (await caller.opened())["nothing"]["of the kind"]

    result = await verdict(made(read), "ga")
    assert "an event cannot be read: KeyError('nothing')" in result.reasons[0].sentence


class Gone:
    """A line whose server says one frame, if any, and hangs up."""

    farewell = "1011 out of order"
    subprotocol = None

    def __init__(self, *said: str) -> None:
        self._said = said

    async def say(self, frame: str | bytes) -> None:
        raise HungUp

    async def frames(self) -> AsyncIterator[str | bytes]:
        for frame in self._said:
            yield frame


async def gone(*said: str) -> Result:
    @asynccontextmanager
    async def dial(knock: Knock) -> AsyncIterator[Line]:
        yield Gone(*said)

    return await play(BY_NAME["item-named"], dial, Setup("ga"))


async def test_a_server_that_hangs_up_breaks_the_case() -> None:
    sentence = "the server hung up instead of sending session.created: 1011 out of order"
    assert (await gone()).reasons == (Reason(sentence),)


async def test_a_server_that_has_hung_up_when_it_is_spoken_to_breaks_the_case() -> None:
    result = await gone('{"type": "session.created", "session": {}}')
    assert result.reasons[-1].sentence == "the server hung up amid the case: 1011 out of order"


async def test_where_no_session_is_to_be_had_the_case_is_broken() -> None:
    def dial(knock: Knock) -> AbstractAsyncContextManager[Line]:
        raise NoSession("the server refused with 503")

    result = await play(BY_NAME["item-named"], dial, Setup("ga"))
    assert result.reasons == (Reason("no session: the server refused with 503"),)
    assert not result.begun


async def test_a_case_about_speech_is_not_shown_without_any() -> None:
    def dial(knock: Knock) -> AbstractAsyncContextManager[Line]:
        raise AssertionError("there is nothing to call for")

    result = await play(BY_NAME["turn-by-voice"], dial, Setup("ga"))
    assert result.verdict == "not tried"
    assert result.remark == "there is no speech to send; --speech names a file of it"


async def test_only_a_strict_judge_minds_keys_that_other_servers_leave_out() -> None:
    bend = changes("conversation.item.added", "item.object", ...)
    server = Server("ga", bend)
    loose = await play(BY_NAME["item-named"], server.dial, Setup("ga", strict=False))
    strict = await play(BY_NAME["item-named"], server.dial, Setup("ga", strict=True))
    assert (loose.verdict, strict.verdict) == ("held", "broken")


async def test_the_time_limit_is_the_one_that_was_set() -> None:
    server = Server("ga", drops("session.created"))
    result = await play(BY_NAME["item-named"], server.dial, Setup("ga", limit_s=3))
    assert result.reasons == (Reason("waited 3 s for session.created"),)


# What is told of it.

HELD = Result("a", "a holds", "ga", "held")
BROKEN = Result("b", "b holds", "ga", "broken", (Reason("it does not", ({"type": "error"},)),))
HIDDEN = Result("c", "c holds", "ga", "not shown", remark="too late")
HINTED = Result("d", "d holds", "ga", "advice", advice=(Reason("ours does not"),))
UNTRIED = Result("e", "e holds", "ga", "not tried", remark="no key")


def test_the_exit_status_tells_whether_anything_broke() -> None:
    allowed = [HELD, HIDDEN, HINTED, UNTRIED]
    assert [exit_status(allowed), exit_status([HELD, BROKEN]), exit_status([])] == [0, 1, 0]


def test_the_results_are_counted() -> None:
    assert counts([HELD, HELD, BROKEN, HIDDEN]) == "2 held, 1 broken, 1 not shown"
    assert counts([HINTED, UNTRIED]) == "0 held, 0 broken, 1 with advice, 1 not tried"


def test_machines_are_told_everything() -> None:
    told = msgspec.json.decode(as_json([BROKEN, HIDDEN], "ws://here/v1/realtime"))
    assert told["server"] == "ws://here/v1/realtime"
    assert told["summary"] == "0 held, 1 broken, 1 not shown"
    assert [result["verdict"] for result in told["results"]] == ["broken", "not shown"]
    assert told["results"][0]["reasons"] == [
        {"sentence": "it does not", "events": [{"type": "error"}]}
    ]
    assert told["results"][1]["remark"] == "too late"


def test_what_is_long_is_shown_by_its_beginning() -> None:
    shown = Breach("too loud", {"parts": [{"delta": "A" * 99, "index": 0}]}).reason.events[0]
    assert shown == {"parts": [{"delta": "A" * 64 + "... (99 characters)", "index": 0}]}
