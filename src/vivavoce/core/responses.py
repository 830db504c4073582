"""The responses under way, what they wait for, and what of them the listener has heard."""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.conversation import Conversation
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.errors import Refusal
from vivavoce.core.events import StatusDetails
from vivavoce.core.items import FunctionCall, Item
from vivavoce.core.outgoing import Mint, Outgoing
from vivavoce.core.playback import Playback, Playing
from vivavoce.core.response import Frame, Response
from vivavoce.core.settings import SessionSettings, kept
from vivavoce.core.usage import CountTokens, of_input

Produced = (
    signals.TextProduced
    | signals.AudioProduced
    | signals.CallProduced
    | signals.GenerationFinished
    | signals.GenerationFailed
)


class Rules(Struct, frozen=True):
    """What holds for a session besides its settings.

    *reads*: the recipe answers words, so speech is transcribed whether the client wants to see it
    or not. *judges*: it can tell whether a turn sounds finished. *plays*: the server plays the audio and knows how much was heard. *voices*: those that
    there are; empty means any.
    """

    session_id: str
    max_seconds: int = 3600
    reads: bool = True
    judges: bool = False
    plays: bool = False
    voices: tuple[str, ...] = ()


class Responses:
    """All that run: at most one writes to the conversation, any number run out of band."""

    def __init__(
        self, conversation: Conversation, rules: Rules, out: Outgoing, count: CountTokens
    ) -> None:
        self.begun = False  # whether there ever was any
        self.spoke = False  # whether the conversation holds any speech of the assistant
        self._conversation = conversation
        self._rules = rules
        self._out = out
        self._count = count
        self._running: dict[str, Response] = {}
        self._playback = Playback()

    @property
    def active(self) -> Response | None:
        """The one that is writing to the conversation."""
        running = self._running.values()
        return next((each for each in running if each.conversation is not None), None)

    def maker_of(self, item_id: str) -> Response | None:
        """The one that makes that item of the conversation."""
        active = self.active
        return active if active is not None and active.owns(item_id) else None

    def item(self, item_id: str) -> Item | None:
        """An item of the conversation; one that is being made, as far as it is."""
        maker = self.maker_of(item_id)
        return maker.so_far(item_id) if maker else self._conversation.find(item_id)

    # Beginning.

    def check(self, command: commands.CreateResponse) -> None:
        """Refuse what cannot be responded to."""
        active = None if command.cancel_previous else self.active
        if command.conversation == "auto" and active is not None:
            raise Refusal(
                "Conversation already has an active response in progress: "
                f"{active.id}. Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        for index, each in enumerate(command.input or ()):
            reference = isinstance(each, commands.ItemReference)
            if reference and self._conversation.find(each.id) is None:
                raise Refusal(
                    f"Invalid value: '{each.id}'. No item of the conversation has that id.",
                    param=f"response.input[{index}].id",
                )

    def begin(
        self, command: commands.CreateResponse, settings: SessionSettings, due: set[str]
    ) -> None:
        """Create a response; it is made once the words of the items in *due* are known."""
        request = self._request(command, settings)
        audio_format = kept(command.format, settings.output.format)
        response = Response(
            Frame(self._out.mint("resp_"), request, audio_format, command.metadata),
            self._conversation if command.conversation == "auto" else None,
            self._out.mint,
            self._count,
            self._input_tokens(request),
        )
        self.begun = True
        self._running[response.id] = response
        self._out.say(response.begin())
        if self._rules.reads:
            response.answers = frozenset(due.intersection(self._conversed(request.context)))
            response.awaited = set(response.answers)
        if not response.awaited:
            self._generate(response)

    def _conversed(self, items: Iterable[Item]) -> Iterator[str]:
        """The ids of those that are of the conversation; what a client lists may share an id."""
        return (item.id for item in items if self._conversation.find(item.id) is item)

    def _request(
        self, command: commands.CreateResponse, settings: SessionSettings
    ) -> GenerationRequest:
        transcription = settings.input.transcription
        return GenerationRequest(
            instructions=kept(command.instructions, settings.instructions),
            context=self._context(command),
            tools=kept(command.tools, settings.tools),
            tool_choice=kept(command.tool_choice, settings.tool_choice),
            parallel_tool_calls=kept(command.parallel_tool_calls, settings.parallel_tool_calls),
            max_output_tokens=kept(command.max_output_tokens, settings.max_output_tokens),
            temperature=kept(command.temperature, settings.temperature),
            output_modality=kept(command.output_modality, settings.output_modality),
            voice=kept(command.voice, settings.output.voice),
            speed=settings.output.speed,
            rate_hz=kept(command.format, settings.output.format).rate_hz,
            language=transcription.language if transcription else None,
        )

    def _context(self, command: commands.CreateResponse) -> tuple[Item, ...]:
        """The turns to answer: the conversation, or exactly what was listed."""
        if command.input is None:
            listed: tuple[Item | None, ...] = tuple(
                item for item in self._conversation.items if item.status != "in_progress"
            )
        else:
            listed = tuple(map(self._resolve, command.input))
        return tuple(item for item in (*listed, *map(self.named, command.extra)) if item)

    def _resolve(self, each: Item | commands.ItemReference) -> Item | None:
        if isinstance(each, commands.ItemReference):
            return self.item(each.id)
        return self.named(each)

    def named(self, item: Item) -> Item:
        """The item with the ids that the client left to us."""
        return named(item, self._out.mint)

    def _input_tokens(self, request: GenerationRequest) -> events.Tokens:
        tools = " ".join(
            f"{tool.name} {tool.description or ''} {tool.parameters or ''}"
            for tool in request.tools
        )
        return of_input(request.instructions, tools, request.context, self._count)

    def _generate(self, response: Response) -> None:
        """Have it made, from the words as they are known by now."""
        request = response.frame.request
        context = tuple(
            (item.id in response.answers and self._conversation.find(item.id)) or item
            for item in request.context
        )
        self._out.do(
            effects.Generate(response.id, msgspec.structs.replace(request, context=context))
        )

    def learn(self, item_id: str) -> None:
        """The words of that item are known: go on with what waited for them."""
        for response in list(self._running.values()):
            if item_id in response.awaited:
                response.awaited.discard(item_id)
                if not response.awaited:
                    self._generate(response)

    def give_up(self, failure: signals.TranscriptFailed) -> list[Response]:
        """There will be no words of that item: what waited for them fails."""
        waiting = [each for each in self._running.values() if failure.item_id in each.awaited]
        details = StatusDetails(error_code=failure.code, error_message=failure.message)
        for response in waiting:
            self._end(response, "failed", details)
        return waiting

    # Going on.

    def progress(self, signal: Produced) -> Response | None:
        """Take what the engines made of a response; return it if that ended it."""
        response = self._running.get(signal.response_id)
        if response is None:
            return None  # not in progress: this is the one place where late output ends
        match signal:
            case signals.TextProduced(delta=delta):
                self._out.say(response.write(delta))
            case signals.AudioProduced(pcm=pcm, marks=marks):
                self._out.say(response.sound(pcm, marks))
                if response.samples:
                    self._note_sound(response)
            case signals.CallProduced():
                self._out.say(
                    response.call(signal.index, signal.name, signal.arguments, signal.final)
                )
            case signals.GenerationFinished():
                return self._end(response, "completed")
            case signals.GenerationFailed(code=code, message=message):
                details = StatusDetails(error_code=code, error_message=message)
                return self._end(response, "failed", details)
        if response.over_budget:
            self._out.do(effects.StopGenerating(response.id))
            return self._end(response, "incomplete", StatusDetails(reason="max_output_tokens"))
        return None

    def _note_sound(self, response: Response) -> None:
        self.spoke = self.spoke or response.conversation is not None
        rate_hz = response.frame.format.rate_hz
        item_id = response.speech_id
        if self._rules.plays and item_id and self._playback.begin(response.id, item_id, rate_hz):
            self._out.tell(
                events.OutputStarted(event_id=self._out.event_id(), response_id=response.id)
            )

    # Ending.

    def cancel(self, response_id: str | None) -> Response:
        """Stop one by its id, or the one that is writing to the conversation."""
        running = self._running.get(response_id) if response_id is not None else self.active
        if running is None:
            raise Refusal(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        return self.stop(running, "client_cancelled")

    def stop(
        self, response: Response, reason: Literal["turn_detected", "client_cancelled"]
    ) -> Response:
        """Stop one that runs; whatever its engines still send goes nowhere."""
        self._out.do(effects.StopGenerating(response.id))
        return self._end(response, "cancelled", StatusDetails(reason=reason))

    def _end(
        self,
        response: Response,
        status: events.ResponseStatus,
        details: StatusDetails | None = None,
    ) -> Response:
        del self._running[response.id]
        self._playback.conclude(response.id)
        self._out.say(response.end(status, details))
        return response

    # Playing.

    def played(self, played: signals.Played) -> None:
        """Note how much the listener has heard."""
        if self._playback.advance(played.response_id, played.samples, played.finished):
            self._out.tell(
                events.OutputStopped(event_id=self._out.event_id(), response_id=played.response_id)
            )

    def silence(self) -> list[Playing]:
        """Throw away what was not heard yet, and tell how far each came that played."""
        stopped = self._playback.flush()
        for playing in stopped:
            self._out.do(effects.FlushPlayback(playing.response_id))
            self._out.tell(
                events.OutputCleared(event_id=self._out.event_id(), response_id=playing.response_id)
            )
        return stopped


def named(item: Item, mint: Mint) -> Item:
    """The item with the ids that its client left to us."""
    if not item.id:
        item = msgspec.structs.replace(item, id=mint("item_"))
    if isinstance(item, FunctionCall) and not item.call_id:
        item = msgspec.structs.replace(item, call_id=mint("call_"))
    return item
