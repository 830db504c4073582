"""Leads a realtime server through one case: speaks, waits for events, judges every frame.

A case is a small async function with a `Caller`, one session of its own from the client's side.
The caller's own task takes the frames as they come and holds each against the catalogue and the
laws. The case only looks through what has arrived and waits for more: nothing is consumed, so the
order in which a case looks does not matter. After the case the session has to give a sign of life
and to conclude whatever it began.

What the services document or are seen to do has to hold. What this project recommends beyond that
is advice: a server that does otherwise is told so, and is not broken.
"""

import time
from collections.abc import Awaitable, Callable
from itertools import count, groupby
from typing import Any, Literal, cast

import anyio
import msgspec
import pybase64
from anyio.abc import TaskGroup
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.idiom import Json, kind_of, own_name, setting, shows, spelt
from vivavoce.conformance.knock import Dial, HungUp, Knock, Line, NoSession
from vivavoce.conformance.laws import Laws
from vivavoce.conformance.report import Reason, Result, Verdict, shortened
from vivavoce.conformance.validator import faults

RATE_HZ = 24000
CHUNK_BYTES = RATE_HZ // 10 * 2
MOST_EVENTS_SHOWN = 3
# A response that fails of these says nothing about the server's order.
SPENT = ("rate_limit", "quota")
PATIENCE_S = 5.0  # for what has to come at once: a refusal, a close

Need = Literal["speech", "tools", "key"]


class Breach(Exception):  # noqa: N818 - a law broken, not a fault of ours
    """What the case is about does not hold."""

    def __init__(self, sentence: str, *events: Json) -> None:
        super().__init__(sentence)
        self.reason = Reason(sentence, tuple(cast(Json, shortened(event)) for event in events))


class HangUp(Breach):
    """The server hung up where it had no reason to: never a matter of advice."""


class NotShown(Exception):  # noqa: N818 - a verdict, not an error
    """What the case is about could not be provoked; the message says why."""

    verdict: Verdict = "not shown"


class NotTried(NotShown):
    """Nobody tried to provoke it; the message says what is missing."""

    verdict: Verdict = "not tried"


class Case(Struct, frozen=True):
    """Something that holds of every realtime server, and how it is shown.

    What is *advised* only is this project's own recommendation, and breaks no other server.
    """

    name: str
    holds: str
    play: Callable[["Caller"], Awaitable[None]]
    dialects: tuple[DialectName, ...] = ("ga", "preview")
    needs: tuple[Need, ...] = ()
    intent: str | None = None
    advised: bool = False


def case(
    holds: str,
    *,
    dialects: tuple[DialectName, ...] = ("ga", "preview"),
    needs: tuple[Need, ...] = (),
    intent: str | None = None,
    advised: bool = False,
) -> Callable[[Callable[["Caller"], Awaitable[None]]], Case]:
    """Make a case of a function, by whose name it is called."""

    def made(play: Callable[[Caller], Awaitable[None]]) -> Case:
        name = str(getattr(play, "__name__", "")).replace("_", "-")
        return Case(name, holds, play, dialects, needs, intent, advised)

    return made


class Setup(Struct, frozen=True):
    """What every case is played with.

    *speech* is a sentence as PCM16 at 24 kHz, empty where there is none. With *strict* a server
    also has to send every key that ours always sends. A case that has to wait for something on
    purpose may wait *wait_s*, besides its limit. *path* is the address's, *keyed* whether it has
    a key.
    """

    dialect: DialectName
    speech: bytes = b""
    limit_s: float = 20.0
    strict: bool = False
    wait_s: float = 10.0
    path: str = "/openai/v1/realtime"
    keyed: bool = True

    @property
    def azure(self) -> bool:
        """Whether the path is of Azure's family."""
        return self.path.startswith("/openai/")


class Answer(Struct, frozen=True):
    """One response: what `response.done` told of it, and all its events in order."""

    response: Json
    events: tuple[Json, ...]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.response["id"])

    @property
    def kinds(self) -> list[str]:
        """The types of its events by GA's names, each run of the same as one."""
        return [kind for kind, _ in groupby(map(kind_of, self.events))]

    @property
    def audio(self) -> bytes:
        """What it said, as it was on the wire."""
        deltas = (e["delta"] for e in self.events if kind_of(e) == "response.output_audio.delta")
        return b"".join(map(pybase64.b64decode, deltas))

    @property
    def output(self) -> list[Json]:
        """The items it made."""
        return list(self.response["output"])


class Caller:
    """One session as a case leads it."""

    def __init__(self, line: Line, setup: Setup, dial: Dial, tasks: TaskGroup) -> None:
        self.setup = setup
        self.dialect = setup.dialect
        self.speech = setup.speech
        self.events: list[Json] = []
        self.reasons: list[Reason] = []
        self.advice: list[Reason] = []
        self.advised = False  # whether what the case finds is advice
        self.limit = anyio.CancelScope()
        self.awaiting = "session.created"
        self.dial = dial
        self.tasks = tasks
        self._line = line
        self._strict = setup.strict
        self._laws = Laws(setup.dialect)
        self._news = anyio.Event()
        self._over = False
        self._dismissed = False
        self._numbers = count(1)
        self._may_fail: set[str | None] = set()
        self._complaint: Json | None = None

    # Hearing.

    async def listen(self) -> None:
        """Take and judge every frame; returns when the server has hung up."""
        async for frame in self._line.frames():
            self._take(frame)
            self._tell()
        self._over = True
        self._tell()

    def _take(self, frame: str | bytes) -> None:
        try:
            event = msgspec.json.decode(frame, type=dict[str, Any])
        except msgspec.DecodeError:
            self.blame("a frame is not a JSON object")
            return
        self.events.append(event)
        strict = self._strict
        for fault in faults(event, self.dialect, strict_emit=strict, transport="websocket"):
            self.blame(f"{event.get('type')}: {fault}", event)
        for law in self._laws.see(event):
            self.blame(law, event)
        if kind_of(event) == "error" and self._complaint is None:
            at_fault = error_of(event).get("event_id")
            # Some servers do not say which event was at fault; `refused` minds, this does not.
            if at_fault not in self._may_fail and not (at_fault is None and self._may_fail):
                self._complaint = event

    def blame(self, sentence: str, *events: Json) -> None:
        """Break the case; what was said before is not said again."""
        _note(self.reasons, Breach(sentence, *events).reason)

    def advise(self, sentence: str, *events: Json) -> None:
        """Say what ours does otherwise; it breaks nothing."""
        _note(self.advice, Breach(sentence, *events).reason)

    def find_fault(self, breach: Breach) -> None:
        """Break the case, or advise if the case is no more than advice."""
        advised = self.advised and not isinstance(breach, HangUp)
        _note(self.advice if advised else self.reasons, breach.reason)

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    @property
    def here(self) -> int:
        """Where the next event will stand; waits may be told to look only from there on."""
        return len(self.events)

    def pardon(self) -> None:
        """Forget the error that nothing called for, so that the rest can be judged."""
        self._complaint = None

    async def find(self, what: str, fits: Callable[[Json], bool], since: int = 0) -> Json:
        """The first event that fits; *what* it is goes into the verdict if it never comes."""
        at = since
        while True:
            news, self.awaiting = self._news, what
            if self._complaint is not None:
                text = error_of(self._complaint).get("message")
                raise Breach(f"an error that nothing called for: {text}", self._complaint)
            while at < len(self.events):
                at += 1
                if fits(self.events[at - 1]):
                    return self.events[at - 1]
            if self._over:
                raise self._hung_up(f"instead of sending {what}")
            await news.wait()

    async def event(self, kind: str, since: int = 0, **keys: object) -> Json:
        """The first event of that type, by GA's name, with those keys."""

        def fits(event: Json) -> bool:
            return kind_of(event) == kind and shows(event, keys)

        return await self.find(own_name(self.dialect, kind), fits, since)

    def heard(self, kind: str, since: int = 0) -> list[Json]:
        """The events of that type, by GA's name, that have come by now."""
        return [event for event in self.events[since:] if kind_of(event) == kind]

    def latest(self) -> list[Json]:
        """The last few events, for a verdict."""
        return self.events[-MOST_EVENTS_SHOWN:]

    async def news(self) -> None:
        """Wait for one more frame, or the end of them."""
        await self._news.wait()

    @property
    def over(self) -> bool:
        """Whether the server has hung up."""
        return self._over

    @property
    def farewell(self) -> str:
        """With what code and reason the connection was closed, if it was."""
        return self._line.farewell

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of those that were offered."""
        return self._line.subprotocol

    async def hung_up(self) -> None:
        """Return when the server has hung up, as it has to here: the session is over."""
        self._dismissed = True
        while not self._over:
            self.awaiting = "a close"
            await self.news()

    def will_take(self, seconds: float) -> None:
        """Have so much more time, unless that is longer than anybody wants to wait."""
        if seconds > self.setup.wait_s:
            raise NotTried(f"it takes {seconds:.0f} s; --max-wait says how long may be waited")
        self.limit.deadline += max(seconds, 0)

    # Speaking.

    async def say(self, kind: str, *, may_fail: bool = False, **keys: object) -> str:
        """Send an event; return its id. An error in answer breaks the case unless it *may_fail*."""
        event_id = f"event_of_ours_{next(self._numbers)}"
        if may_fail:
            self._may_fail.add(event_id)
        event = {"type": kind, "event_id": event_id, **keys}
        await self.say_raw(msgspec.json.encode(event).decode())
        return event_id

    async def say_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is, binary if of bytes."""
        try:
            await self._line.say(frame)
        except HungUp:
            raise self._hung_up("amid the case") from None

    async def refused(
        self,
        kind: str,
        code: str | None,
        param: str | None,
        says: str = "",
        *,
        advised: bool = False,
        **keys: object,
    ) -> Json:
        """Send an event that has to be refused so, and return the error.

        *says* stands in the message. Where no service documents the code and the param they are
        *advised*: others break nothing.
        """
        since = self.here
        event_id = await self.say(kind, may_fail=True, **keys)
        return await self._refusal(since, event_id, code, param, says, advised=advised)

    async def refused_raw(
        self, frame: str, event_id: str | None, code: str, param: str | None
    ) -> None:
        """The same of a frame; *event_id* is the one within it."""
        since = self.here
        self._may_fail.add(event_id)
        await self.say_raw(frame)
        await self._refusal(since, event_id, code, param, "", advised=False)
        self._may_fail.discard(None)

    async def _refusal(
        self,
        since: int,
        event_id: str | None,
        code: str | None,
        param: str | None,
        says: str,
        *,
        advised: bool,
    ) -> Json:
        def fits(event: Json) -> bool:
            at_fault = error_of(event).get("event_id")
            return kind_of(event) == "error" and at_fault in (event_id, None)

        with anyio.move_on_after(PATIENCE_S) as limit:
            event = await self.find(f"an error with code {code}", fits, since)
        if limit.cancelled_caught:
            raise Breach(f"no error came within {PATIENCE_S:g} s, nor any with code {code}")
        error = error_of(event)
        if error.get("event_id") != event_id:
            # The hosted services are seen to leave it out at times.
            self.advise(f"error.event_id is null, not {event_id!r}", event)
        for key, expected in (("code", code), ("param", param)):
            if error.get(key) != expected:
                breach = Breach(f"error.{key} is {error.get(key)!r}, not {expected!r}", event)
                if not advised:
                    raise breach
                _note(self.advice, breach.reason)
        if says.lower() not in str(error.get("message")).lower():
            raise Breach(f"error.message does not say {says!r}", event)
        return event

    async def attempt(self, kind: str, answer: str, **keys: object) -> Json:
        """Send what a server may take or refuse: the answer of that type, by GA's name, or the
        error."""
        since = self.here
        event_id = await self.say(kind, may_fail=True, **keys)
        return await self._taken_or_refused(answer, event_id, since)

    async def attempt_raw(self, frame: str | bytes, event_id: str | None, answer: str) -> Json:
        """The same of a frame; *event_id* is the one within it."""
        since = self.here
        self._may_fail.add(event_id)
        await self.say_raw(frame)
        event = await self._taken_or_refused(answer, event_id, since)
        self._may_fail.discard(None)
        return event

    async def _taken_or_refused(self, answer: str, event_id: str | None, since: int) -> Json:
        def fits(event: Json) -> bool:
            if kind_of(event) == "error":
                return error_of(event).get("event_id") in (event_id, None)
            return kind_of(event) == answer

        return await self.find(f"{own_name(self.dialect, answer)} or an error", fits, since)

    def _hung_up(self, when: str) -> HangUp:
        return HangUp(f"the server hung up {when}: {self._line.farewell}", *self.latest())

    # What many cases do.

    async def opened(self) -> Json:
        """The session as it was announced."""
        return dict((await self.event("session.created"))["session"])

    async def configure(self, **settings: object) -> Json:
        """Change settings, by the names of `idiom`; the session as it is then."""
        since = self.here
        await self.say("session.update", session=self.session(**settings))
        return dict((await self.event("session.updated", since))["session"])

    def session(self, **settings: object) -> Json:
        """A partial session in the dialect's words."""
        kind: Json = {"type": "realtime"} if self.dialect == "ga" else {}
        return kind | spelt(self.dialect, **settings)

    def setting(self, whole: Json, name: str) -> Any:  # whatever the server put there
        """One setting of a session or response, as the server told it."""
        return setting(self.dialect, whole, name)

    async def put(self, item: Json, **keys: Any) -> Json:  # whatever the event takes
        """Put an item into the conversation; the event that announces it."""
        since = self.here
        await self.say("conversation.item.create", item=item, **keys)
        # A response that runs may announce an item of its own before ours.
        ours = {key: item[key] for key in ("id", "type", "role") if key in item}
        return await self.joined(since, **ours)

    async def joined(self, since: int, **keys: object) -> Json:
        """The event that announces the next item with those keys, once the item is done."""
        added = await self.event("conversation.item.added", since, item=keys)
        if self.dialect == "ga":
            item_id = added["item"]["id"]
            await self.event("conversation.item.done", since, item={"id": item_id})
        return added

    async def retrieve(self, item_id: str) -> Json:
        """The item with its audio."""
        since = self.here
        await self.say("conversation.item.retrieve", item_id=item_id)
        found = await self.event("conversation.item.retrieved", since, item={"id": item_id})
        return dict(found["item"])

    async def append(self, audio: bytes, chunk: int = CHUNK_BYTES) -> None:
        """Send audio in pieces, as fast as the line takes it."""
        for start in range(0, len(audio), chunk):
            piece = pybase64.b64encode_as_string(audio[start : start + chunk])
            await self.say("input_audio_buffer.append", audio=piece)

    async def ask(self, **settings: object) -> None:
        """Ask for a response, with settings by the names of `idiom`."""
        await self.say("response.create", response=spelt(self.dialect, **settings))

    async def respond(self, **settings: object) -> Answer:
        """Ask for a response and wait until it is done."""
        since = self.here
        await self.ask(**settings)
        return await self.answer(since)

    async def answer(self, since: int, **keys: object) -> Answer:
        """The first response with those keys, when it is done; it may not have failed."""
        created = await self.event("response.created", since, response=keys)
        done = await self.ended(created["response"]["id"])
        if done["status"] == "failed":
            self._explain(done)
        return self.whole(done)

    async def ended(self, response_id: str) -> Json:
        """What `response.done` tells of that response."""
        done = await self.event("response.done", response={"id": response_id})
        return dict(done["response"])

    def whole(self, done: Json) -> Answer:
        """All there was of a response that is done."""
        items = {item.get("id") for item in done.get("output", ())}

        def belongs(event: Json) -> bool:
            if kind_of(event) in ("conversation.item.added", "conversation.item.done"):
                return event["item"]["id"] in items
            inner = event.get("response", {}).get("id")
            return done["id"] in (inner, event.get("response_id"))

        return Answer(done, tuple(event for event in self.events if belongs(event)))

    def _explain(self, failed: Json) -> None:
        error = (failed.get("status_details") or {}).get("error") or {}
        code = str(error.get("code"))
        if any(word in code for word in SPENT):
            raise NotShown(f"the response failed: {code}")
        raise Breach(f"the response failed: {code}", failed)

    async def sign_of_life(self) -> None:
        """Return when all that was said before has been dealt with."""
        since = self.here
        await self.say("input_audio_buffer.clear")
        await self.event("input_audio_buffer.cleared", since)

    async def conclude(self) -> None:
        """Return when the server owes nothing any more."""
        if self._dismissed:
            return
        await self.sign_of_life()
        while owed := self._laws.end():
            since = self.here
            await self.find(f"what is owed: {'; '.join(owed)}", lambda _: True, since)


LACKING: dict[Need, str] = {
    "speech": "there is no speech to send; --speech names a file of it",
    "key": "no key was named, so none can be wrong",
}


async def play(case: Case, dial: Dial, setup: Setup) -> Result:
    """Play a case in a session of its own, and judge."""
    began = time.perf_counter()
    why: NotShown | None = _lacking(case, setup)
    reasons: list[Reason] = []
    advice: list[Reason] = []
    begun = True
    if why is None:
        begun = False
        try:
            async with dial(Knock(intent=case.intent)) as line:
                begun, why = await _lead(case, line, setup, dial, reasons, advice)
        except NoSession as refused:
            reasons.append(Reason(f"no session: {refused}"))
    return Result(
        case.name,
        case.holds,
        setup.dialect,
        _verdict(reasons, advice, why),
        tuple(reasons),
        tuple(advice),
        "" if why is None else str(why),
        begun,
        round((time.perf_counter() - began) * 1000),
    )


def _verdict(reasons: list[Reason], advice: list[Reason], why: NotShown | None) -> Verdict:
    if reasons:
        return "broken"
    if why is not None:
        return why.verdict
    return "advice" if advice else "held"


def _lacking(case: Case, setup: Setup) -> NotTried | None:
    there: dict[Need, bool] = {"speech": bool(setup.speech), "key": setup.keyed, "tools": True}
    return next((NotTried(LACKING[need]) for need in case.needs if not there[need]), None)


async def _lead(
    case: Case,
    line: Line,
    setup: Setup,
    dial: Dial,
    reasons: list[Reason],
    advice: list[Reason],
) -> tuple[bool, NotShown | None]:
    """Play it within the time; whether the session began, and why it could not be shown, if so."""
    why: NotShown | None = None
    async with anyio.create_task_group() as tasks:
        caller = Caller(line, setup, dial, tasks)
        caller.reasons, caller.advice = reasons, advice
        tasks.start_soon(caller.listen)
        with anyio.move_on_after(setup.limit_s) as caller.limit:
            why = await _through(case, caller)
        if caller.limit.cancelled_caught:
            waited = f"waited {setup.limit_s:g} s for {caller.awaiting}"
            caller.find_fault(Breach(waited, *caller.latest()))
        tasks.cancel_scope.cancel()
    return bool(caller.heard("session.created")), why


async def _through(case: Case, caller: Caller) -> NotShown | None:
    why: NotShown | None = None
    try:
        await caller.opened()
        caller.advised = case.advised
        try:
            await case.play(caller)
        except NotShown as hidden:
            why = hidden
        except Breach as breach:
            if not case.advised or isinstance(breach, HangUp):
                raise
            caller.find_fault(breach)
            caller.pardon()
        caller.advised = False
        await caller.conclude()
    except Breach as breach:
        caller.reasons.append(breach.reason)
    except NoSession as refused:
        caller.find_fault(Breach(f"no further session: {refused}"))
    except (LookupError, TypeError, ValueError) as unreadable:
        # A key that is not there, or not what it should be: the validator has said which.
        caller.blame(f"an event cannot be read: {unreadable!r}", *caller.latest())
    return why


def _note(reasons: list[Reason], reason: Reason) -> None:
    if reason.sentence not in (known.sentence for known in reasons):
        reasons.append(reason)


def error_of(event: Json) -> Json:
    """What an error event, or the body of a refusal, says is wrong; empty if it says nothing."""
    error = event.get("error")
    return error if isinstance(error, dict) else {}
