"""One session kept alive: the single reader of its inbox and the only caller of its machine.

The runner waits on its inbox and on nothing else. Channels put commands into the inbox, engines put
signals; each step of the machine is taken at once, its events are offered to the channels' outboxes
and its effects handed to hearing and responding. So bounded queues never form a ring: a full inbox
stops the socket from being read, a full outbox makes the generators wait, and the runner runs.

A channel has a seat: its view, its outbox and a writer. A client that takes nothing is cut off,
either at the outbox's cap or when one event could not be handed over within the grace period.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, assert_never

import anyio
import msgspec
from msgspec import Struct

from vivavoce.audio import formats
from vivavoce.audio.pcm import Pcm
from vivavoce.core import commands, effects, events
from vivavoce.core.effects import Effect, Origin, Tell
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import InputImage, Item, Message, Part, text_of, words_of
from vivavoce.core.responses import Rules
from vivavoce.core.session import Input, Session
from vivavoce.core.settings import FunctionTool, SessionSettings, SessionUpdate
from vivavoce.core.signals import Connected, Signal
from vivavoce.core.usage import CountTokens, estimate
from vivavoce.mailbox import Closed, Mailbox
from vivavoce.runtime.channel import Captured, Channel, Live, Opening, View
from vivavoce.runtime.clock import Clock
from vivavoce.runtime.hearing import Hearing
from vivavoce.runtime.microphone import Microphone
from vivavoce.runtime.observer import Observer, Step
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.responding import Responding
from vivavoce.runtime.views import Sight

SMALL = 512  # bytes: about what an event without audio or long text weighs
PART = 32  # and a part of an item without its words
TURNS_PER_BREATH = 16  # inputs taken in a row before other sessions get their turn
CLOSE_SECONDS = 1
Inline = TypeVar("Inline", commands.ItemAudio, commands.ListedAudio)
# What is answered with all that it brought: of a client that does not read, no more of it is taken.
ECHOED = (commands.CreateItem, commands.UpdateSession, commands.RetrieveItem)


class Limits(Struct, frozen=True):
    """How much may wait where, and how long a client may take to read one event."""

    inbox_items: int = 512
    inbox_bytes: int = 48 * 1024 * 1024
    outbox_items: int = 4096
    outbox_bytes: int = 4 * 1024 * 1024
    grace_seconds: float = 20


class Concluded(Struct, frozen=True):
    """All audio of that response was said, and is to be played."""

    response_id: str


class Seat:
    """A channel's place at the session."""

    def __init__(self, channel: Channel, view: View, limits: Limits) -> None:
        self.channel = channel
        self.view = view
        self.outbox: Mailbox[ServerEvent | Concluded] = Mailbox(
            limits.outbox_items, limits.outbox_bytes
        )
        self.answered = anyio.Event()  # the newest command that is answered with what it brought
        self.answered.set()
        self.sending = anyio.CancelScope()
        self.sight = Sight(view)
        self.goodbye = (1000, "")
        # However large an event is, it fits where there is room for what is echoed.
        self._most = limits.outbox_bytes // 4

    def offer(self, event: ServerEvent, weight: int) -> bool:
        """Have an event said, if its view shows it; False when the client takes too little."""
        shown = self.sight.shown(event)
        taken = shown is None or self._put(shown, weight)
        if self.view.plays and isinstance(event, events.ResponseDone):
            taken = self._put(Concluded(event.response.id), SMALL) and taken
        return taken

    def _put(self, said: ServerEvent | Concluded, weight: int) -> bool:
        try:
            return self.outbox.put_nowait(said, min(weight, self._most))
        except Closed:
            return True  # it is leaving

    def dismiss(self, code: int, reason: str, within: float) -> None:
        """Hang up once everything that was said before is out, or after so many seconds."""
        if not self.outbox.closed:
            self.goodbye = (code, reason)
            self.outbox.close()
            self.sending.deadline = anyio.current_time() + within

    def cut_off(self) -> None:
        """Hang up at once on a client that does not take what is said."""
        self.dismiss(1008, "the client does not read what it is sent", within=0)


class Runner:
    """A live session."""

    def __init__(
        self,
        session: Session,
        recipe: Recipe,
        clock: Clock,
        limits: Limits,
        observers: Sequence[Observer],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._session = session
        self._clock = clock
        self._limits = limits
        self._observers = observers
        self._tasks = tasks
        self._inbox: Mailbox[tuple[Origin | None, Input | Captured | None]] = Mailbox(
            limits.inbox_items, limits.inbox_bytes
        )
        self._seats: dict[Origin, Seat] = {}
        self._seated = 0
        self._microphone = Microphone()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: float | None = None
        self._scale = Scale()
        self._hearing = Hearing(recipe, tasks, self._report)
        self._responding = Responding(recipe, tasks, self._report, self._room, self._room_to_play)

    # Channels.

    async def attach(self, channel: Channel, view: View) -> None:
        """Serve *channel* until it leaves or the session ends."""
        if self._inbox.closed:
            await channel.close(1000, "")
            return
        origin, seat = self._seated, Seat(channel, view, self._limits)
        self._seated += 1
        self._seats[origin] = seat
        try:
            async with anyio.create_task_group() as both:
                both.start_soon(self._write, seat, both.cancel_scope)
                if view.owns:
                    await self._report(Connected(self._clock.wall()))
                await self._read(origin, seat)
                both.cancel_scope.cancel()
        finally:
            del self._seats[origin]
            if view.owns:
                self._dismiss(1000, "")

    async def _read(self, origin: Origin, seat: Seat) -> None:
        """Put what the client says into the inbox, at the pace at which it is taken."""
        async for said in seat.channel.inputs():
            if isinstance(said, commands.Command):
                refusal = seat.sight.allowed(said)
                if refusal is not None:
                    await self._put(origin, refusal.of(said.event_id), SMALL)
                    continue
            # Before it goes in: afterwards the runner has not taken it yet, and there still is room.
            if isinstance(said, commands.AppendAudio | Captured):
                await self._hearing.room()
            elif _is_echoed(said):
                await seat.answered.wait()  # the one before; until then there seems to be room
                await _room_in(seat)
                await self._room()  # it is told to others as well
                seat.answered = anyio.Event()
            await self._put(origin, said, _size(said))

    async def _put(self, origin: Origin | None, said: Input | Captured, size: int) -> None:
        try:
            await self._inbox.put((origin, said), size)
        except Closed:
            return  # the session is over

    async def _write(self, seat: Seat, scope: anyio.CancelScope) -> None:
        """Hand the events of a seat to its client, one after the other."""
        with seat.sending:
            await seat.channel.ready()
            async for said in seat.outbox:
                match said:
                    case Concluded(response_id=response_id):
                        seat.channel.conclude(response_id)
                        continue
                    case events.AudioDelta(response_id=response_id) if seat.view.plays:
                        pcm = Pcm(said.audio, said.format.rate_hz)
                        seat.channel.play(response_id, pcm)
                        continue
                with anyio.move_on_after(self._limits.grace_seconds) as grace:
                    await seat.channel.send(said)
                if grace.cancelled_caught:
                    seat.cut_off()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await seat.channel.close(*seat.goodbye)
        scope.cancel()

    async def _room(self) -> None:
        """Wait until the clients whose session this is have taken most of what was said."""
        for seat in list(self._seats.values()):
            if seat.view.owns:
                await _room_in(seat)

    async def _room_to_play(self, response_id: str) -> None:
        """Wait until the clients have heard most of what there is of a response."""
        for seat in list(self._seats.values()):
            if seat.view.plays:
                await seat.channel.room(response_id)

    @property
    def inbox_depth(self) -> int:
        """How many inputs wait to be taken."""
        return len(self._inbox)

    @property
    def outbox_depth(self) -> int:
        """How many events wait to be read by clients."""
        return sum(len(seat.outbox) for seat in self._seats.values())

    # The machine.

    async def _report(self, signal: Signal) -> None:
        await self._put(None, signal, SMALL)

    async def run(self) -> None:
        """Take one input after the other, until the session is over."""
        taken = 0
        try:
            async for origin, said in self._inbox:
                self._step(origin, said)
                taken += 1
                if taken % TURNS_PER_BREATH == 0:
                    await asyncio.sleep(0)
        except Exception:  # a fault of ours, which every client of the session is told
            self._dismiss(1011, "the server made a mistake")
            raise

    def _step(self, origin: Origin | None, said: Input | Captured | None) -> None:
        now = self._clock.now()
        if said is not None:
            if isinstance(said, commands.Command) and origin in self._seats:
                said = self._seats[origin].sight.veiled(said)
            said = self._decoded(said)
            self._act(Step(self._id, now, origin, said, self._session.receive(said, now, origin)))
            if origin in self._seats and _is_echoed(said):
                self._seats[origin].answered.set()
        deadline = self._session.deadline
        if deadline is not None and now >= deadline:
            self._act(Step(self._id, now, None, None, self._session.tick(now)))
        self._set_alarm()

    @property
    def _id(self) -> str:
        return self._session.rules.session_id

    def _decoded(self, said: Input | Captured) -> Input:
        """Audio of the wire as PCM16 at the session's input rate, cleaned if that was asked for.

        What is appended goes on in the format of what it is appended to, an item's own audio is in
        the one that the settings name by now.
        """
        match said:
            case Captured(pcm=captured):
                return commands.AppendAudio(audio=self._heard(captured))
            case commands.AppendAudio(audio=audio) if self._session.rules.plays:
                # Beside what the microphone sends: half a sample would put that out of step.
                wire = self._session.settings.input.format
                pcm = formats.decode(wire.type, audio)
                whole = Pcm(pcm[: len(pcm) // 2 * 2], wire.rate_hz)
                return msgspec.structs.replace(said, audio=self._heard(whole))
            case commands.AppendAudio(audio=audio):
                reduction = self._session.settings.input.noise_reduction
                pcm = self._microphone.pcm(audio, self._session.input_format, reduction)
                return msgspec.structs.replace(said, audio=pcm)
            case commands.CreateItem():
                return self._decoded_item(said)
            case commands.CreateResponse(audio=inline, append=append) if inline or append:
                return msgspec.structs.replace(
                    said,
                    audio=self._decoded_parts(inline),
                    append=tuple(map(self._decoded_item, append)),
                )
            case _:
                return said

    def _heard(self, audio: Pcm) -> bytes:
        reduction = self._session.settings.input.noise_reduction
        return self._microphone.captured(audio, self._session.input_format.rate_hz, reduction)

    def _decoded_item(self, command: commands.CreateItem) -> commands.CreateItem:
        if not command.audio:
            return command
        return msgspec.structs.replace(command, audio=self._decoded_parts(command.audio))

    def _decoded_parts(self, parts: tuple[Inline, ...]) -> tuple[Inline, ...]:
        kind = self._session.settings.input.format.type
        return tuple(
            msgspec.structs.replace(each, audio=formats.decode(kind, each.audio)) for each in parts
        )

    def _act(self, step: Step) -> None:
        for output in step.outputs:
            if isinstance(output, Tell):
                self._deliver(output)
            else:
                self._do(output)
        for observer in self._observers:
            observer(step)

    def _deliver(self, told: Tell) -> None:
        weight = self._scale.weigh(told.event)
        for origin, seat in self._seats.items():
            if told.to not in (None, origin):
                continue
            if not seat.offer(told.event, weight):
                seat.cut_off()

    def _do(self, effect: Effect) -> None:
        match effect:
            case effects.Listen():
                self._hearing.listen(effect)
            case effects.Transcribe():
                self._hearing.transcribe(effect)
            case effects.TranscribeMore(item_id=item_id, pcm=pcm):
                self._hearing.transcribe_more(item_id, pcm)
            case effects.PeekTranscript(item_id=item_id, number=number):
                self._hearing.peek_transcript(item_id, number)
            case effects.DropPeek(item_id=item_id):
                self._hearing.drop_peek(item_id)
            case effects.FinishTranscript(item_id=item_id, peeked=peeked):
                self._hearing.finish_transcript(item_id, peeked)
            case effects.DropTranscript(item_id=item_id):
                self._hearing.drop_transcript(item_id)
            case effects.JudgeTurn():
                self._hearing.judge(effect)
            case effects.Generate(response_id=response_id, request=request):
                self._responding.generate(response_id, request, effect.recordings)
            case effects.Prepare(response_id=response_id, request=request):
                self._responding.prepare(response_id, request)
            case effects.Release(response_id=response_id):
                self._responding.release(response_id)
            case effects.Discard(response_id=response_id):
                self._responding.stop(response_id)
            case effects.StopGenerating(response_id=response_id):
                self._responding.stop(response_id)
            case effects.FlushPlayback(response_id=response_id):
                for seat in self._seats.values():
                    seat.channel.flush(response_id)
            case effects.HangUp(code=code, reason=reason):
                self._dismiss(code, reason)
            case _:
                assert_never(effect)

    def _set_alarm(self) -> None:
        """Wake up for the machine's next deadline, should nothing else come in by then."""
        deadline = None if self._inbox.closed else self._session.deadline
        if self._alarm_at == deadline:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = None if deadline is None else self._clock.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._alarm_at = None
        # A full inbox wakes the runner anyway, and every step looks at the deadline.
        self._inbox.put_nowait((None, None))

    # The end.

    def _dismiss(self, code: int, reason: str) -> None:
        self._inbox.close()
        self._set_alarm()
        for seat in self._seats.values():
            seat.dismiss(code, reason, within=self._limits.grace_seconds)


class Runners:
    """The backend that answers with engines of our own."""

    def __init__(
        self,
        recipe: Recipe,
        clock: Clock,
        mint: Callable[[str], str],
        *,
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
        voices: tuple[str, ...] = (),
        count: CountTokens = estimate,
    ) -> None:
        self.live: set[Runner] = set()
        self._recipe = recipe
        self._clock = clock
        self._mint = mint
        self._limits = limits or Limits()
        self._observers = observers
        self._voices = voices
        self._count = count

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Live]:
        """Begin a session; leaving the context ends it and everything it runs."""
        session = self._session(opening)
        async with anyio.create_task_group() as tasks:
            runner = Runner(
                session, self._recipe, self._clock, self._limits, self._observers, tasks
            )
            tasks.start_soon(runner.run)
            self.live.add(runner)
            try:
                yield runner
            finally:
                self.live.discard(runner)
                tasks.cancel_scope.cancel()

    def settle(self, opening: Opening, update: SessionUpdate) -> SessionSettings:
        """The settings that a session so opened would have after *update*; Refusal if it may not."""
        return self._session(opening).settle(commands.UpdateSession(update=update))

    def _session(self, opening: Opening) -> Session:
        rules = Rules(
            opening.session_id,
            opening.max_seconds,
            strict=opening.strict,
            announces_conversation=opening.announces_conversation,
            reads=self._recipe.speech_model is None,
            judges=self._recipe.judge is not None,
            speculates=self._recipe.speculates,
            plays=opening.plays,
            voices=self._voices,
            quota=opening.quota,
        )
        return Session(opening.settings, self._mint, rules, self._count)


async def _room_in(seat: Seat) -> None:
    """Wait until a client has taken most of what was said to it, or leaves."""
    try:
        await seat.outbox.room()
    except Closed:
        return


def _is_echoed(said: Input) -> bool:
    if isinstance(said, commands.CreateResponse):
        return bool(said.append)
    return isinstance(said, ECHOED)


def _size(said: Input | Captured) -> int:
    """About how many bytes an input takes while it waits."""
    match said:
        case Captured(pcm=pcm):
            return SMALL + len(pcm.data)
        case commands.AppendAudio(audio=audio):
            return SMALL + len(audio)
        case commands.CreateItem(item=item, audio=audio):
            return SMALL + _size_of_item(item) + sum(len(part.audio) for part in audio)
        case commands.CreateResponse():
            listed = (*(said.input or ()), *said.extra)
            return (
                SMALL
                + sum(map(_size, said.append))
                + sum(map(_size_of_item, listed))
                + sum(len(part.audio) for part in said.audio)
                + len(said.instructions or "")
                + _json_size(said.tools or None)
            )
        case commands.UpdateSession(update=update):
            return (
                SMALL
                + len(update.instructions or "")
                + sum(
                    map(
                        _json_size,
                        (update.tools, update.prompt, update.tracing, update.input.transcription),
                    )
                )
            )
        case _:
            return SMALL


class Scale:
    """Says about how many bytes an event takes while it waits.

    The tools of a session are in each event that shows its settings; they are weighed when they
    have changed.
    """

    def __init__(self) -> None:
        self._tools: tuple[FunctionTool, ...] = ()
        self._tools_size = 0

    def weigh(self, event: ServerEvent) -> int:
        """The weight of *event*."""
        match event:
            case events.AudioDelta(audio=audio):
                return SMALL + len(audio)
            case events.ItemRetrieved(audio=audio):
                return SMALL + sum(len(part.pcm) for part in audio)
            case events.ItemAdded(item=item):  # which it shares with the event that it is done
                return SMALL + _size_of_item(item)
            case events.SessionCreated(session=view) | events.SessionUpdated(session=view):
                return SMALL + self._weigh_settings(view.settings)
            case _:
                return SMALL

    def _weigh_settings(self, settings: SessionSettings) -> int:
        if settings.tools is not self._tools:
            self._tools, self._tools_size = settings.tools, _json_size(settings.tools)
        carried = (settings.prompt, settings.tracing, settings.input.transcription)
        return len(settings.instructions) + self._tools_size + sum(map(_json_size, carried))


def _size_of_item(item: Item | commands.ItemReference) -> int:
    """Its words and its pictures."""
    match item:
        case Message(content=content):
            return sum(map(_size_of_part, content))
        case commands.ItemReference():
            return PART
        case _:
            return len(text_of(item))


def _size_of_part(part: Part) -> int:
    return PART + len(part.image_url if isinstance(part, InputImage) else words_of(part))


def _json_size(value: object) -> int:
    """Of something that was sent as JSON; what is absent takes nothing."""
    return len(msgspec.json.encode(value)) if value else 0
