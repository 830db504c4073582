"""The responses under way, what they wait for, and what of them the listener has heard."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, Struct

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.allowance import Allowances, Quota
from vivavoce.core.context import Context, Head, Reading
from vivavoce.core.conversation import Conversation
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.errors import Refusal
from vivavoce.core.events import StatusDetails, Tokens, Usage
from vivavoce.core.items import FunctionCall, InputAudio, Item, Message
from vivavoce.core.outgoing import Mint, Outgoing
from vivavoce.core.playback import Playback, Playing
from vivavoce.core.response import Frame, Response
from vivavoce.core.settings import AudioFormat, CustomVoice, SessionSettings, kept
from vivavoce.core.usage import CountTokens

Produced = (
    signals.TextProduced
    | signals.AudioProduced
    | signals.CallProduced
    | signals.UsageCounted
    | signals.GenerationFinished
    | signals.GenerationFailed
)


class Rules(Struct, frozen=True):
    """What holds for a session besides its settings.

    *reads*: the recipe answers words, so speech is transcribed whether the client wants to see it
    or not. *logprobs*: it can tell how sure it is of each word. *judges*: it can tell whether a
    turn sounds finished. *speculates*: its engines are so quick and idle that an answer is prepared
    before it is known whether the user has finished. *plays*: the server plays the audio and knows
    how much was heard; it is PCM16 at 24 kHz then, whatever the formats that the settings name.
    *voices*: those that there are; empty means any. *strict*: what the hosted service refuses is
    refused. *announces_conversation*: the client is told of its conversation at the beginning.
    """

    session_id: str
    max_seconds: int = 3600
    strict: bool = False
    announces_conversation: bool = False
    reads: bool = True
    logprobs: bool = False
    judges: bool = False
    speculates: bool = False
    plays: bool = False
    voices: tuple[str, ...] = ()
    quota: Quota = Quota()


MAX_RUNNING = 64  # responses of one session at once
MAX_LISTED = 1000  # items in the input of a response
OVER_BUDGET = StatusDetails(reason="max_output_tokens")
# What a response waits for: the item, and the part of it, that each dictation writes down.
Due = dict[str, tuple[Item, int]]


class Prepared(Struct, frozen=True):
    """An answer that is being made ready, and what it is made of."""

    response_id: str
    request: GenerationRequest


class Responses:
    """All that run: at most one writes to the conversation, any number run out of band."""

    def __init__(
        self, conversation: Conversation, rules: Rules, out: Outgoing, count: CountTokens
    ) -> None:
        self.begun = False  # whether there ever was any
        self._voices: dict[str, str | CustomVoice] = {}  # of the speech in the conversation
        self._conversation = conversation
        self._rules = rules
        self._out = out
        self._count = count
        self._running: dict[str, Response] = {}
        self._prepared: Prepared | None = None
        self._playback = Playback()
        self._context = Context(rules.quota.input_tokens, count)
        self._allowances = Allowances(rules.quota)

    @property
    def active(self) -> Response | None:
        """The one that is writing to the conversation."""
        running = self._running.values()
        return next((each for each in running if each.conversation is not None), None)

    @property
    def heard_voice(self) -> str | CustomVoice | None:
        """The voice of the assistant's speech in the conversation, if there is any."""
        return next(reversed(self._voices.values()), None)

    def forget(self, item_id: str) -> None:
        """That item is no longer in the conversation."""
        self._voices.pop(item_id, None)

    def is_output(self, item_id: str) -> bool:
        """Whether that item belongs to what the running response has made."""
        return self.active is not None and self.active.made(item_id)

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
        if self.blocks(command) and self.active is not None and not command.cancel_previous:
            raise Refusal(
                "Conversation already has an active response in progress: "
                f"{self.active.id}. Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        if len(self._running) >= MAX_RUNNING:
            raise Refusal(
                f"{MAX_RUNNING} responses are in progress. Wait until one of them is finished.",
                code="rate_limit_exceeded",
            )
        if len(command.input or ()) > MAX_LISTED:
            raise Refusal(
                f"Invalid 'response.input': array too long. Expected at most {MAX_LISTED} items, "
                f"but got {len(command.input or ())} instead.",
                code="array_above_max_length",
                param="response.input",
            )
        for index, each in enumerate(command.input or ()):
            reference = isinstance(each, commands.ItemReference)
            if reference and self._conversation.find(each.id) is None:
                raise Refusal(
                    f"Invalid value: '{each.id}'. No item of the conversation has that id.",
                    param=f"response.input[{index}].id",
                )

    def blocks(self, command: commands.CreateResponse) -> bool:
        """Whether the running response stands in the way of that one."""
        return command.conversation == "auto" and self.active is not None

    def prepare(self, said: Message, settings: SessionSettings) -> None:
        """Have the answer to what is being said made ready, should that be all of it.

        Nothing of it is told, counted or kept before `begin` takes it up.
        """
        self.discard()
        command = commands.CreateResponse()
        request = self._request(command, settings, self._voice(command, settings))
        try:
            reading = self._context.of_conversation(
                _head(request), (*self._finished_items, said), settings.truncation
            )
        except Refusal:
            return  # it will be refused for good when it is asked for
        request = msgspec.structs.replace(request, context=reading.items)
        self._prepared = Prepared(self._out.mint("resp_"), _gist(request))
        self._out.do(effects.Prepare(self._prepared.response_id, request))

    def discard(self) -> None:
        """What was made ready is not wanted."""
        if self._prepared is not None:
            self._out.do(effects.Discard(self._prepared.response_id))
            self._prepared = None

    def begin(
        self,
        command: commands.CreateResponse,
        settings: SessionSettings,
        due: Due,
        recordings: tuple[effects.Recording, ...] = (),
    ) -> Response | None:
        """Create a response; it is made once the words in *due* of what it answers are known.

        One that cannot be made, since there is too much to read or too little allowance left, is
        created all the same, and has failed: it is returned.
        """
        voice = self._voice(command, settings)
        request = self._request(command, settings, voice)
        try:
            reading, refusal = self._read(command, settings, request), None
        except Refusal as too_long:
            reading, refusal = Reading((), Tokens()), too_long
        request = msgspec.structs.replace(request, context=reading.items)
        audio_format = kept(command.format, settings.output.format)
        prepared, self._prepared = self._prepared, None
        response_id = prepared.response_id if prepared else self._out.mint("resp_")
        response = Response(
            Frame(
                response_id,
                request,
                AudioFormat() if self._rules.plays else audio_format,
                audio_format,
                voice,
                command.metadata,
            ),
            self._conversation if command.conversation == "auto" else None,
            self._out,
            self._count,
            Usage(input=reading.tokens, cached=reading.cached),
        )
        response.prepared = prepared.request if prepared else None
        response.recordings = recordings
        self.begun = True
        self._running[response.id] = response
        refusal = refusal or self._reserve(response, reading)
        if refusal is None:
            writes = response.conversation is not None
            self._context.remember(
                reading, of_conversation=writes, for_good=writes and _as_the_session_has_it(command)
            )
        self._out.say(response.begin())
        self._tell_limits(begins=True)
        if refusal is not None:
            details = StatusDetails(error_code=refusal.code, error_message=refusal.message)
            return self._end(response, "failed", details)
        if self._rules.reads:
            response.await_words(due)
        if not response.awaited:
            self._generate(response)
        return None

    def _request(
        self, command: commands.CreateResponse, settings: SessionSettings, voice: str | CustomVoice
    ) -> GenerationRequest:
        request = _request(command, settings, voice)
        if self._rules.plays:
            return msgspec.structs.replace(request, rate_hz=AudioFormat().rate_hz)
        return request

    def _voice(
        self, command: commands.CreateResponse, settings: SessionSettings
    ) -> str | CustomVoice:
        """Who speaks: as asked for, else who has spoken before, else as the settings say."""
        if command.voice is not UNSET:
            return command.voice
        return settings.output.voice if self.heard_voice is None else self.heard_voice

    def _reserve(self, response: Response, reading: Reading) -> Refusal | None:
        says = response.frame.request.max_output_tokens
        try:
            self._allowances.reserve(response.id, reading.tokens.total, says, self._out.now)
        except Refusal as refusal:
            return refusal
        return None

    def _tell_limits(self, *, begins: bool) -> None:
        limits = self._allowances.shown(self._out.now)
        if limits:
            self._out.tell(
                events.RateLimitsUpdated(
                    event_id=self._out.event_id(), begins=begins, rate_limits=limits
                )
            )

    def _read(
        self,
        command: commands.CreateResponse,
        settings: SessionSettings,
        request: GenerationRequest,
    ) -> Reading:
        """What of the items to answer is read; Refusal if they are too long."""
        head = _head(request)
        extra = tuple(map(self.named, command.extra))
        if command.input is None:
            return self._context.of_conversation(
                head, self._finished_items, settings.truncation, extra
            )
        listed = tuple(item for item in map(self._resolve, command.input) if item)
        return self._context.of_list(head, (*listed, *extra), settings.truncation)

    @property
    def _finished_items(self) -> tuple[Item, ...]:
        return tuple(item for item in self._conversation.items if item.status != "in_progress")

    def _resolve(self, each: Item | commands.ItemReference) -> Item | None:
        if isinstance(each, commands.ItemReference):
            return self.item(each.id)
        return self.named(each)

    def named(self, item: Item) -> Item:
        """The item with the ids that the client left to us."""
        return named(item, self._out.mint)

    def _generate(self, response: Response) -> None:
        """Have it made, from the words as they are known by now; or told, if it was made ready."""
        prepared, response.prepared = response.prepared, None
        if prepared is not None:
            if prepared == _gist(response.request):
                self._out.do(effects.Release(response.id))
                return
            self._out.do(effects.Discard(response.id))
        recordings = response.recordings
        if not self._rules.reads:
            recordings += tuple(self._recordings(response))
        self._out.do(effects.Generate(response.id, response.request, recordings))

    def _recordings(self, response: Response) -> Iterator[effects.Recording]:
        """What there is to hear of the conversation that is answered."""
        listed = {each.item_id for each in response.recordings}
        for item in response.request.context:
            if item.id not in listed:
                for index, pcm, audio_format in self._conversation.recordings.of(item.id):
                    yield effects.Recording(item.id, index, pcm, audio_format.rate_hz)

    def learn(self, dictation: str, words: str) -> None:
        """The words of that dictation are known: go on with what waited for them."""
        for response in list(self._running.values()):
            if response.learn(dictation, words) and not response.awaited:
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
            case signals.UsageCounted(cached_tokens=cached_tokens):
                response.count_cached(cached_tokens)
            case signals.GenerationFinished(reason=reason) if reason is not None:
                return self._end(response, "incomplete", StatusDetails(reason=reason))
            case signals.GenerationFinished() if response.cut_short:
                return self._end(response, "incomplete", OVER_BUDGET)
            case signals.GenerationFinished():
                return self._end(response, "completed")
            case signals.GenerationFailed(code=code, message=message):
                details = StatusDetails(error_code=code, error_message=message)
                return self._end(response, "failed", details)
        if response.over_budget:
            self._out.do(effects.StopGenerating(response.id))
            return self._end(response, "incomplete", OVER_BUDGET)
        return None

    def _note_sound(self, response: Response) -> None:
        rate_hz = response.frame.format.rate_hz
        item_id = response.speech_id
        if response.conversation is not None and item_id is not None:
            self._voices[item_id] = response.frame.voice
        if self._rules.plays and item_id:
            self._playback.expect(response.id, item_id, rate_hz)

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
        if response.prepared is not None:
            self._out.do(effects.Discard(response.id))
        self._playback.conclude(response.id)
        self._out.say(response.end(status, details))
        self._allowances.settle(response.id, response.usage(status).total, self._out.now)
        self._tell_limits(begins=False)
        return response

    # Playing.

    @property
    def playing(self) -> bool:
        """Whether there is anything that the listener has yet to hear."""
        return self._playback.pending

    def played(self, played: signals.Played) -> None:
        """Note how much the listener has heard."""
        response_id = played.response_id
        begins, ends = self._playback.advance(response_id, played.samples, played.finished)
        if begins:
            self._out.tell(
                events.OutputStarted(event_id=self._out.event_id(), response_id=response_id)
            )
        if ends:
            self._out.tell(
                events.OutputStopped(event_id=self._out.event_id(), response_id=response_id)
            )

    def silence(self) -> list[Playing]:
        """Throw away what was not heard yet, and tell how far each came that played."""
        stopped = self._playback.flush()
        for playing in stopped:
            self._out.do(effects.FlushPlayback(playing.response_id))
            if playing.begun:
                self._out.tell(
                    events.OutputCleared(
                        event_id=self._out.event_id(), response_id=playing.response_id
                    )
                )
        return stopped


def named(item: Item, mint: Mint) -> Item:
    """The item with the ids that its client left to us."""
    if not item.id:
        item = msgspec.structs.replace(item, id=mint("item_"))
    if isinstance(item, FunctionCall) and not item.call_id:
        item = msgspec.structs.replace(item, call_id=mint("call_"))
    return item


def _request(
    command: commands.CreateResponse, settings: SessionSettings, voice: str | CustomVoice
) -> GenerationRequest:
    """How a response is to be made, before it is known of what."""
    transcription = settings.input.transcription
    return GenerationRequest(
        instructions=kept(command.instructions, settings.instructions),
        context=(),
        tools=kept(command.tools, settings.tools),
        tool_choice=kept(command.tool_choice, settings.tool_choice),
        parallel_tool_calls=kept(command.parallel_tool_calls, settings.parallel_tool_calls),
        reasoning_effort=kept(command.reasoning_effort, settings.reasoning_effort),
        max_output_tokens=kept(command.max_output_tokens, settings.max_output_tokens),
        temperature=kept(command.temperature, settings.temperature),
        output_modality=kept(command.output_modality, settings.output_modality),
        voice=voice.id if isinstance(voice, CustomVoice) else voice,
        speed=settings.output.speed,
        rate_hz=kept(command.format, settings.output.format).rate_hz,
        language=transcription.language if transcription else None,
    )


def _as_the_session_has_it(command: commands.CreateResponse) -> bool:
    """Whether a response reads nothing of its own."""
    own = (command.input, command.extra or None)
    return own == (None, None) and command.instructions is UNSET and command.tools is UNSET


def _head(request: GenerationRequest) -> Head:
    """What stands before the items."""
    tools = (
        f"{each.name} {each.description or ''} {each.parameters or ''}" for each in request.tools
    )
    return request.instructions, " ".join(tools)


def _gist(request: GenerationRequest) -> GenerationRequest:
    """A request without what makes no difference to who reads it: how long speech was."""
    return msgspec.structs.replace(request, context=tuple(map(_without_length, request.context)))


def _without_length(item: Item) -> Item:
    if not isinstance(item, Message):
        return item
    content = tuple(
        InputAudio(0, part.rate_hz, part.transcript) if isinstance(part, InputAudio) else part
        for part in item.content
    )
    return msgspec.structs.replace(item, content=content)
