"""The cases about the door: one in order holds them, and each kind of mistake there breaks one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from wires import Event, Server, straight

from vivavoce.conformance.cases import door
from vivavoce.conformance.cases.door import AZURE_PREVIEW, NOT_A_MODEL, NOT_A_PATH, VERSIONS
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import Case, Setup, play
from vivavoce.conformance.knock import Knock, Line, NoSession, TurnedAway
from vivavoce.conformance.report import Result
from vivavoce.testing.virtual_time import VirtualLoop

pytestmark = pytest.mark.anyio
BY_NAME = {case.name: case for case in door.CASES}
GA, OPENAI = "/openai/v1/realtime", "/v1/realtime"
# How a knock is answered: by an HTTP status, by the code of an error and of a close, or a session.
Answer = int | tuple[str | None, int] | None
Judge = Callable[[Knock], Answer]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """asyncio in virtual time: no case waits."""
    return "asyncio", {"loop_factory": VirtualLoop}


def azure(knock: Knock) -> Answer:
    """As Azure answers."""
    if knock.path == NOT_A_PATH or knock.version not in (None, *VERSIONS):
        return 404
    if knock.key != "right":
        return 401
    if knock.model == NOT_A_MODEL:
        return 404
    return None if knock.intent in (None, "transcription") else ("invalid_intent", 4000)


def openai(knock: Knock) -> Answer:
    """As OpenAI answers."""
    if knock.path not in (None, OPENAI, f"{OPENAI}/"):
        return 404
    if knock.key != "right":
        return ("invalid_api_key" if knock.key == "wrong" else None), 3000
    return ("model_not_found", 4000) if knock.model == NOT_A_MODEL else azure(knock)


def but(judge: Judge, answer: Answer, when: Callable[[Knock], object]) -> Judge:
    """The same, with another answer to some."""
    return lambda knock: answer if when(knock) else judge(knock)


CODES = {401: "401", 404: "DeploymentNotFound"}


class Spurned:
    """A line on which there is an error and a close."""

    subprotocol = None

    def __init__(self, code: str | None, closed: int) -> None:
        error = {"type": "invalid_request_error", "message": "No.", "param": None, "event_id": None}
        self._told = {"type": "error", "event_id": "event_1", "error": error | {"code": code}}
        self.farewell = f"{closed} invalid_request_error.{code}"

    async def say(self, frame: str | bytes) -> None:
        raise AssertionError("nothing is said to one who shuts the door")

    async def frames(self) -> AsyncIterator[str | bytes]:
        yield msgspec.json.encode(self._told)


class Door:
    """Judges who knocks; behind it are sessions of ours in the dialect that was asked for."""

    def __init__(
        self, judge: Judge, path: str, *, deaf: bool = False, choose: str = "realtime"
    ) -> None:
        self._judge = judge
        self._path = path
        self._deaf = deaf  # to what dialect is asked for
        self._choose = choose

    @asynccontextmanager
    async def dial(self, knock: Knock) -> AsyncIterator[Line]:
        """See `Dial`."""
        answer = self._judge(knock)
        if isinstance(answer, int):
            error = {"code": CODES.get(answer, ""), "message": "No."}
            raise TurnedAway(f"refused with {answer}", answer, {"error": error})
        if answer is not None:
            yield Spurned(*answer)
            return
        async with Server(self._dialect(knock)).dial(knock) as line:
            if "realtime" in knock.subprotocols:
                line.subprotocol = self._choose  # type: ignore[misc]  # it is a Wire of ours
            yield line

    def _dialect(self, knock: Knock) -> DialectName:
        path = knock.path or self._path
        beta = knock.beta or "openai-beta.realtime-v1" in knock.subprotocols
        asked = path.startswith(AZURE_PREVIEW) or (path == OPENAI and beta)
        return "preview" if asked and not self._deaf else "ga"


async def judged(
    case: Case, judge: Judge, path: str = GA, dialect: DialectName = "ga", **keys: object
) -> Result:
    """What comes of a case at that door."""
    door_there = Door(judge, path, **keys)  # type: ignore[arg-type]  # the keywords of Door
    return await play(case, door_there.dial, Setup(dialect, path=path))


WAYS: list[tuple[Judge, str, DialectName]] = [
    (azure, GA, "ga"),
    (azure, AZURE_PREVIEW, "preview"),
    (openai, OPENAI, "ga"),
]
# OpenAI has one path, and takes the key of the other family's places or does not.
HIDDEN = {"session-expiry": "not tried"}


@pytest.mark.parametrize(
    ("judge", "path", "dialect", "case"),
    [
        pytest.param(*way, case, id=f"{way[1]}-{case.name}")
        for way in WAYS
        for case in door.CASES
        if way[2] in case.dialects
    ],
)
async def test_a_door_in_order_holds(
    judge: Judge, path: str, dialect: DialectName, case: Case
) -> None:
    result = await judged(case, judge, path, dialect)
    alone = path == OPENAI and case.name == "paths"
    expected = "not shown" if alone else HIDDEN.get(case.name, "held")
    assert (result.verdict, result.reasons, result.advice) == (expected, (), ()), result


NOBODY_IS_REFUSED = "a client with a wrong key was let in"
WRONG: list[tuple[str, Judge, str, str]] = [
    ("wrong-key", but(azure, None, lambda k: k.key == "wrong"), GA, NOBODY_IS_REFUSED),
    ("wrong-key", but(azure, 403, lambda k: k.key == "wrong"), GA, "refused with 403, not 401"),
    (
        "wrong-key",
        but(openai, ("oops", 3000), lambda k: k.key == "wrong"),
        OPENAI,
        "code is 'oops'",
    ),
    (
        "wrong-key",
        but(openai, ("invalid_api_key", 1000), lambda k: k.key == "wrong"),
        OPENAI,
        "not 3000",
    ),
    ("missing-key", but(azure, None, lambda k: k.key == "none"), GA, "no key was let in"),
    ("missing-key", but(openai, ("oops", 3000), lambda k: k.key == "none"), OPENAI, "is 'oops'"),
    ("key-places", but(azure, 401, lambda k: k.place == "query"), GA, "not taken as query"),
    ("key-places", but(openai, 401, lambda k: k.place == "bearer"), OPENAI, "not taken as bearer"),
    ("subprotocols", but(azure, 400, lambda k: k.subprotocols), GA, "no further session"),
    ("invalid-intent", but(azure, None, lambda k: k.intent), GA, "does not exist was let in"),
    ("invalid-intent", but(azure, ("oops", 4000), lambda k: k.intent), GA, "code is 'oops'"),
    ("invalid-intent", but(azure, ("invalid_intent", 1000), lambda k: k.intent), GA, "not 4000"),
    ("unknown-model", but(azure, 500, lambda k: k.model), GA, "with 500, not 404 or 400"),
    ("unknown-model", but(azure, ("oops", 1000), lambda k: k.model), GA, "not 4000"),
    ("unknown-path", lambda knock: None, GA, "was accepted"),
]


@pytest.mark.parametrize(
    ("name", "judge", "path", "says"),
    [pytest.param(*wrong, id=f"{place}-{wrong[0]}") for place, wrong in enumerate(WRONG)],
)
async def test_a_wrong_door_breaks_the_case_that_is_about_it(
    name: str, judge: Judge, path: str, says: str
) -> None:
    result = await judged(BY_NAME[name], judge, path)
    assert result.verdict == "broken"
    assert any(says in reason.sentence for reason in result.reasons), result.reasons


ADVICE: list[tuple[str, Judge, str, DialectName, str]] = [
    ("wrong-key", openai, GA, "ga", "Azure's paths answer"),
    ("key-places", but(azure, 401, lambda k: k.place == "bearer"), GA, "ga", "not taken as bearer"),
    ("trailing-slash", but(azure, 404, lambda k: k.path), GA, "ga", "not served"),
    ("invalid-intent", but(azure, 400, lambda k: k.intent), GA, "ga", "with 400"),
    ("unknown-model", but(azure, None, lambda k: k.model), GA, "ga", "is served"),
    ("unknown-path", but(azure, 403, lambda k: k.path), GA, "ga", "with 403, not 404"),
    (
        "api-versions",
        but(azure, 404, lambda k: k.version == "2024-12-17"),
        AZURE_PREVIEW,
        "preview",
        "api-version 2024-12-17 is not served",
    ),
    (
        "api-versions",
        but(azure, 500, lambda k: k.version == "2023-01-01-preview"),
        AZURE_PREVIEW,
        "preview",
        "neither served nor not found",
    ),
]


@pytest.mark.parametrize(
    ("name", "judge", "path", "dialect", "says"),
    [pytest.param(*each, id=f"{place}-{each[0]}") for place, each in enumerate(ADVICE)],
)
async def test_what_another_door_may_do_is_advice(
    name: str, judge: Judge, path: str, dialect: DialectName, says: str
) -> None:
    result = await judged(BY_NAME[name], judge, path, dialect)
    assert (result.verdict, result.reasons) == ("advice", ())
    assert any(says in reason.sentence for reason in result.advice), result.advice


@pytest.mark.parametrize("name", ["wrong-key", "missing-key"])
async def test_where_everybody_is_let_in_no_key_can_be_wrong(name: str) -> None:
    result = await judged(BY_NAME[name], lambda knock: None)
    assert (result.verdict, result.remark) == ("not shown", "the server asks for no key")


async def test_without_a_key_the_cases_about_it_are_not_tried() -> None:
    setup = Setup("ga", keyed=False)
    result = await play(BY_NAME["wrong-key"], Door(azure, GA).dial, setup)
    assert (result.verdict, result.remark) == (
        "not tried",
        "no key was named, so none can be wrong",
    )


async def test_a_door_deaf_to_the_dialect_breaks_the_case_about_paths() -> None:
    result = await judged(BY_NAME["paths"], azure, deaf=True)
    assert f"{AZURE_PREVIEW} should speak preview" in [each.sentence for each in result.reasons]


async def test_a_subprotocol_that_is_not_the_one_asked_for_breaks_the_case() -> None:
    result = await judged(BY_NAME["subprotocols"], azure, choose="another")
    assert "the subprotocol chosen is not 'realtime', which was offered" in [
        each.sentence for each in result.reasons
    ]


async def test_a_door_that_never_answers_is_told_so() -> None:
    class Mute(Spurned):
        async def frames(self) -> AsyncIterator[str | bytes]:
            for _ in ():
                yield ""

    @asynccontextmanager
    async def dial(knock: Knock) -> AsyncIterator[Line]:
        if knock.model == "":
            yield Mute(None, 1006)
            return
        async with Server("ga").dial(knock) as line:
            yield line

    result = await play(BY_NAME["no-model"], dial, Setup("ga"))
    assert [each.sentence for each in result.reasons] == [
        "a connection that names no model was neither let in nor told why not"
    ]


async def test_a_server_that_vanishes_amid_a_case_is_told_so() -> None:
    knocks: list[Knock] = []

    @asynccontextmanager
    async def dial(knock: Knock) -> AsyncIterator[Line]:
        knocks.append(knock)
        if len(knocks) > 1:
            raise NoSession("nobody is there")
        async with Server("ga").dial(knock) as line:
            yield line

    result = await play(BY_NAME["early-words"], dial, Setup("ga"))
    assert [each.sentence for each in result.reasons] == ["no further session: nobody is there"]


async def test_early_words_without_effect_break_the_case() -> None:
    def bend(event: Event) -> tuple[Event, ...]:
        if event["type"] != "session.updated":
            return (event,)
        return (event | {"session": event["session"] | {"instructions": "Be brief."}},)

    result = await play(BY_NAME["early-words"], Server("ga", bend).dial, Setup("ga"))
    assert result.reasons[0].sentence == "an early session.update had no effect"


async def test_a_binary_frame_that_ends_the_session_is_advice_alone() -> None:
    class Hangs(Server):
        @asynccontextmanager
        async def dial(self, knock: Knock) -> AsyncIterator[Line]:
            async with super().dial(knock) as line:
                say = line.say

                async def hang_up_on_bytes(frame: str | bytes) -> None:
                    if isinstance(frame, bytes):
                        await line.close(1003, "text only")  # type: ignore[attr-defined]
                    else:
                        await say(frame)

                line.say = hang_up_on_bytes  # type: ignore[method-assign]
                yield line

    result = await play(BY_NAME["binary-frame"], Hangs("ga", straight).dial, Setup("ga"))
    assert (result.verdict, result.reasons) == ("advice", ())
    assert "a binary frame ends the session" in result.advice[0].sentence


async def test_a_close_that_is_not_answered_breaks_the_case() -> None:
    class Rude(Server):
        @asynccontextmanager
        async def dial(self, knock: Knock) -> AsyncIterator[Line]:
            async with super().dial(knock) as line:
                line.farewell = "1006"  # type: ignore[misc]
                yield line

    result = await play(BY_NAME["goodbye"], Rude("ga").dial, Setup("ga"))
    assert result.reasons[0].sentence == "the close is 1006, not 1000"


async def test_a_session_that_expires_soon_is_waited_for() -> None:
    result = await play(BY_NAME["session-expiry"], Server("ga", max_seconds=5).dial, Setup("ga"))
    assert (result.verdict, result.reasons) == ("held", ())


async def test_a_session_that_ends_without_a_word_breaks_the_case() -> None:
    def bend(event: Event) -> tuple[Event, ...]:
        return () if event["type"] == "error" else (event,)

    server = Server("ga", bend, max_seconds=5)
    result = await play(BY_NAME["session-expiry"], server.dial, Setup("ga"))
    assert result.reasons[0].sentence == "the last event is not the error session_expired"


async def test_nobody_waits_longer_than_was_said() -> None:
    server = Server("ga", max_seconds=5)
    result = await play(BY_NAME["session-expiry"], server.dial, Setup("ga", wait_s=3))
    assert result.verdict == "not tried"
    assert "--max-wait says how long may be waited" in result.remark
