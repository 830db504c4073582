"""A conversation by dice: a client and engines that do anything they may, and some of what they may not.

`Chatter` plays both against one session and checks each step: what effects promise, that a refusal
changed nothing, and every frame of both dialects by the catalogue and by the laws of order.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice, repeat
from random import Random
from typing import Any, NamedTuple

import msgspec

from vivavoce.conformance.laws import Laws
from vivavoce.conformance.validator import faults
from vivavoce.core import commands, effects, events, signals
from vivavoce.core.allowance import Quota
from vivavoce.core.effects import Effect, Output, Tell
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Mark,
    Message,
    OutputText,
    Part,
)
from vivavoce.core.responses import Rules
from vivavoce.core.session import Input, Session
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioInputUpdate,
    AudioOutputUpdate,
    CustomVoice,
    DetectionUpdate,
    FunctionTool,
    NamedTool,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
    TurnDetection,
)
from vivavoce.dialects.api import Dialect, codec
from vivavoce.testing.ids import CountingIds

Step = tuple[Input | None, float, int]  # None is a tick
Frame = dict[str, Any]  # a wire event as JSON decodes it
Wishes = Mapping[str, tuple[object, ...]]

DIALECTS: tuple[Dialect, ...] = ("ga", "preview")
WORDS = ("one ", "two, ", "three. ", "four ", "five! ", "six")
FORMATS = (AudioFormat("audio/pcm"), AudioFormat("audio/pcmu"), AudioFormat("audio/pcma"))
DETECTIONS: tuple[TurnDetection | None, ...] = (
    None,
    ServerVad(),
    ServerVad(threshold=0.1, prefix_padding_ms=0, silence_duration_ms=0),
    ServerVad(prefix_padding_ms=2000, silence_duration_ms=64, interrupt_response=False),
    ServerVad(idle_timeout_ms=5000),
    ServerVad(silence_duration_ms=64, idle_timeout_ms=5000),
    ServerVad(create_response=False),
    SemanticVad("high"),
    SemanticVad("low", create_response=False, interrupt_response=False),
)
TRANSCRIPTIONS = (None, Transcription("whisper-1"), Transcription("gpt-4o-transcribe", "en", "hi"))
TOOLS = (
    (),
    (FunctionTool("f"),),
    (FunctionTool("f", "does it", {"type": "object", "properties": {}}), FunctionTool("g")),
)
VOICES = ("alloy", "alloy", "verse", "nobody")
WAITS = "waits"  # the event id of responses that may begin, or be refused, much later
PICTURE = "data:image/png;base64,iVBORw0KGgo="
QUOTAS = (
    *[Quota()] * 9,
    Quota(tokens_per_minute=None, requests_per_minute=None),
    Quota(input_tokens=40),
    Quota(tokens_per_minute=6000, requests_per_minute=3),
)
# What a client may wish of each setting, beginning with those that responses have too.
OF_RESPONSES: Wishes = {
    "output_modality": ("audio", "text"),
    "instructions": ("", "Be brief."),
    "tools": TOOLS,
    "tool_choice": ("auto", "none", "required", NamedTool("f")),
    "max_output_tokens": (None, None, 20, 4096),
    "temperature": (0.6, 0.8, 1.2),
    "parallel_tool_calls": (None, True, False),
    "reasoning_effort": (None, "low", "high"),
}
OF_SESSIONS: Wishes = {
    **OF_RESPONSES,
    "instructions": (None, "", "Be brief."),
    "type": ("realtime",) * 5 + ("transcription",),
    "tracing": (None, "auto", {"workflow_name": "w"}),
    "truncation": ("auto", "disabled", RetentionRatio(0.5), RetentionRatio(0.8, 2000)),
    "prompt": (None, {"id": "pmpt_1"}),
    "include": (None, (), ("item.input_audio_transcription.logprobs",)),
}
OF_INPUT: Wishes = {
    "format": FORMATS,
    "transcription": TRANSCRIPTIONS,
    "noise_reduction": (None, NoiseReduction("near_field"), NoiseReduction("far_field")),
    "turn_detection": (*DETECTIONS, DetectionUpdate(ServerVad, {"threshold": 0.3})),
}
OF_OUTPUT = {"format": FORMATS, "speed": (0.5, 1.0, 1.5)}
# What may be said again, or too late, without a new meaning.
CONCLUSIONS = (
    signals.DetectionFailed,
    signals.TranscriptFinished,
    signals.TranscriptFailed,
    signals.TurnJudged,
    signals.TranscriptPeeked,
    signals.GenerationFinished,
    signals.GenerationFailed,
)


class Opening:
    """How a conversation begins, by dice."""

    def __init__(self, dice: Random) -> None:
        self.settings = SessionSettings(
            type=dice.choice(("realtime",) * 5 + ("transcription",)),
            output_modality=dice.choice(("audio", "audio", "text")),
            max_output_tokens=dice.choice((None, None, None, 30)),
            input=AudioInput(
                format=dice.choice(FORMATS),
                transcription=dice.choice(TRANSCRIPTIONS),
                turn_detection=dice.choice(DETECTIONS),
            ),
        )
        self.rules = Rules(
            "sess_1",
            max_seconds=3600,
            reads=dice.random() < 0.8,
            judges=dice.random() < 0.7,
            speculates=dice.random() < 0.5,
            plays=dice.random() < 0.4,
            voices=dice.choice(((), ("alloy", "verse"))),
            strict=dice.random() < 0.1,
            logprobs=dice.random() < 0.5,
            announces_conversation=dice.random() < 0.1,
            quota=dice.choice(QUOTAS),
        )
        self.ga_alone = dice.random() < 0.1  # with what preview has not

    def session(self) -> Session:
        """A session that begins so."""
        return Session(self.settings, CountingIds(), self.rules)


class Generating:
    """A response that the engines were asked for."""

    def __init__(self, order: effects.Generate | effects.Prepare) -> None:
        self.speaks = order.request.output_modality == "audio"
        self.samples = 0
        self.text = 0


class Engines:
    """What the engines were asked for, and whether they may have been."""

    def __init__(self, *, reads: bool) -> None:
        self._reads = reads
        self.in_progress: set[str] = set()
        self.stopped: set[str] = set()
        self.finished: set[str] = set()
        self.generating: dict[str, Generating] = {}
        self.generated: dict[str, Generating] = {}
        self.transcribing: dict[str, bool] = {}  # open transcripts, and whether all audio is in
        self.dropped: list[str] = []
        self.concluded: list[str] = []
        self.told: dict[str, str] = {}  # the words given so far
        self.unheard: dict[int, int] = {}  # ms of each stream that nobody judged yet
        self.questions: list[int] = []  # whether a turn is over
        self.peeks: list[effects.PeekTranscript] = []
        self.prepared: dict[str, Generating] = {}

    def take(self, output: Output, listening: bool) -> None:
        """Note one output, and see whether it may come now."""
        match output:
            case Tell(event=events.ResponseCreated(response=response)):
                self.in_progress.add(response.id)
            case Tell(event=events.ResponseDone(response=response)):
                self._end(response)
            case effects.Generate(response_id=response_id):
                assert response_id in self.in_progress
                assert response_id not in self.generated
                assert response_id not in self.prepared
                self._check_context(output.request)
                self.generating[response_id] = Generating(output)
                self.generated[response_id] = self.generating[response_id]
            case effects.Prepare(response_id=response_id, request=request):
                assert not self.prepared, "one answer is prepared at a time"
                assert response_id not in self.in_progress
                self._check_context(request)
                self.prepared[response_id] = Generating(output)
            case effects.Release(response_id=response_id):
                assert response_id in self.in_progress
                self.generating[response_id] = self.prepared.pop(response_id)
                self.generated[response_id] = self.generating[response_id]
            case effects.Discard(response_id=response_id):
                del self.prepared[response_id]
            case effects.PeekTranscript(item_id=item_id, number=number):
                assert listening, "nobody detects turns"
                assert self.transcribing[item_id] is False
                assert number > max((each.number for each in self.peeks), default=0)
                self.peeks.append(output)
            case effects.DropPeek(item_id=item_id):
                assert item_id in self.transcribing or item_id in self.concluded
            case effects.StopGenerating(response_id=response_id):
                assert response_id in self.in_progress
                self.stopped.add(response_id)
            case effects.Listen(stream=stream, pcm=pcm, rate_hz=rate_hz):
                assert listening, "nobody detects turns"
                assert pcm
                assert stream >= max(self.unheard, default=0)
                self.unheard[stream] = self.unheard.get(stream, 0) + len(pcm) * 500 // rate_hz
            case effects.JudgeTurn(number=number, pcm=pcm):
                assert listening, "nobody detects turns"
                assert len(pcm) % 2 == 0
                assert number > max(self.questions, default=-1)
                self.questions.append(number)
            case Tell():
                pass
            case _:
                self._take_transcription(output)

    @property
    def heard(self) -> bool:
        """Whether any speech was, or is being, written down."""
        return bool(self.transcribing or self.dropped or self.concluded)

    def _check_context(self, request: effects.GenerationRequest) -> None:
        """A recipe that reads gets all the words that are to come."""
        for item in request.context if self._reads else ():
            audio = item.content if isinstance(item, Message) else ()
            unwritten = any(isinstance(part, InputAudio) and not part.transcript for part in audio)
            assert not (unwritten and item.id in self.transcribing)

    def _take_transcription(self, effect: Effect) -> None:
        match effect:
            case effects.Transcribe(item_id=item_id, pcm=pcm):
                assert item_id not in self.transcribing
                assert len(pcm) % 2 == 0
                self.transcribing[item_id] = False
            case effects.TranscribeMore(item_id=item_id, pcm=pcm):
                assert self.transcribing[item_id] is False
                assert len(pcm) % 2 == 0
            case effects.FinishTranscript(item_id=item_id):
                assert self.transcribing[item_id] is False
                self.transcribing[item_id] = True
            case effects.DropTranscript(item_id=item_id):
                # The engine may have ended it by itself in the meantime.
                assert self.transcribing.pop(item_id, None) is not None or (
                    item_id in self.concluded
                )
                self.dropped.append(item_id)

    def _end(self, response: events.ResponseView) -> None:
        self.in_progress.remove(response.id)
        self.generating.pop(response.id, None)
        by_us = response.status == "cancelled" or (
            # Its engines may come to their end themselves, where the rest was no longer wanted.
            response.status == "incomplete" and response.id not in self.finished
        )
        assert (response.id in self.stopped) == by_us
        if response.max_output_tokens is not None:
            assert response.usage is not None
            assert response.usage.output.total <= response.max_output_tokens


class Chatter:
    """One conversation, and everything that was said in it."""

    def __init__(self, seed: int) -> None:
        self.opening = Opening(Random(seed))
        self.session = self.opening.session()
        self.engines = Engines(reads=self.opening.rules.reads)
        self.steps: list[Step] = []
        self.outputs: list[Output] = []
        dialects = DIALECTS[:1] if self.opening.ga_alone else DIALECTS
        self.frames: dict[Dialect, list[Frame]] = {dialect: [] for dialect in dialects}
        self.now = 0.0
        self._codecs = {dialect: codec(dialect) for dialect in dialects}
        self._laws = {dialect: Laws(dialect) for dialect in dialects}
        self._items: list[str] = ["nowhere"]
        self._calls: list[str] = ["call_0"]
        self._playing: dict[str, int] = {}
        self._chain: list[str] = []  # the items in order, as a client knows them
        self._concluded: list[Input] = []
        self._over = False
        self._named = 0
        self.say(signals.Connected(1_700_000_000.0))

    # Taking steps.

    def say(self, said: Input, origin: int = 0) -> None:
        """Have something come in."""
        asked = isinstance(said, commands.Command | Refusal)
        before = self._fingerprint() if asked else None
        self.steps.append((said, self.now, origin))
        if isinstance(said, CONCLUSIONS):
            self._concluded.append(said)
        if isinstance(said, signals.GenerationFinished):
            self.engines.finished.add(said.response_id)
        made = self.session.receive(said, self.now, origin)
        for each in made:
            if isinstance(each, Tell) and isinstance(each.event, events.ErrorRaised):
                if each.event.refusal.event_id == WAITS and len(made) > 1:
                    continue  # its turn came after what was said now
                assert len(made) == 1, "what is refused has no other consequence"
                self._check_refusal(said, each.event, before)
        self._note(made, origin if asked else None)

    def _check_refusal(self, said: Input, error: events.ErrorRaised, before: object) -> None:
        if isinstance(said, signals.DetectionFailed) or error.refusal.event_id == WAITS:
            return
        assert isinstance(said, commands.Command | Refusal), f"{said} was refused"
        assert error.refusal.event_id == said.event_id
        assert self._fingerprint() == before, "what is refused is not done"

    def tick(self) -> None:
        """Have the time come that the session waits for."""
        self.steps.append((None, self.now, 0))
        self._note(self.session.tick(self.now), None)

    def _note(self, made: list[Output], origin: int | None) -> None:
        assert not (made and self._over), "the session was over"
        self.outputs += made
        listening = self.session.settings.input.turn_detection is not None
        for output in made:
            self.engines.take(output, listening)
            if isinstance(output, Tell):
                told = isinstance(output.event, events.ErrorRaised | events.ItemRetrieved)
                assert output.to == (origin if told else None) or _waited(output.event)
                self._read(output.event)
            elif isinstance(output, effects.HangUp):
                self._over = True
        assert self._chain == self.session._conversation._order

    def _read(self, event: events.ServerEvent) -> None:
        """Be the client of either dialect."""
        for dialect, frames in self.frames.items():
            for frame in map(msgspec.json.decode, self._codecs[dialect].encode(event)):
                frames.append(frame)
                found = [*faults(frame, dialect), *self._laws[dialect].see(frame)]
                assert not found, f"{frame['type']}: {found}"
        match event:
            case events.ItemAdded(item=item, previous_item_id=previous):
                self._items.append(item.id)
                at = 0 if previous is None else self._chain.index(previous) + 1
                self._chain.insert(at, item.id)
                if isinstance(item, FunctionCall):
                    self._calls.append(item.call_id)
            case events.ItemDeleted(item_id=item_id):
                self._chain.remove(item_id)
            case (
                events.SpeechStarted(item_id=item_id)
                | events.OutputItemAdded(item=Message(id=item_id))
            ):
                self._items.append(item_id)
            case events.AudioDelta(response_id=response_id) if self.session.rules.plays:
                self._playing.setdefault(response_id, 0)
            case events.OutputStopped(response_id=response_id):
                del self._playing[response_id]
            case events.OutputCleared(response_id=response_id):
                self._playing.pop(response_id, None)

    def _fingerprint(self) -> object:
        """What a refusal must not change."""
        session = self.session
        return (
            session.settings,
            session.input_format,
            session.deadline,
            session._conversation.items,
            tuple(session._responses._running),
            session._ear.speaking,
            session._ear._buffer.end,
            session._ear.due,
            len(session._waiting),
        )

    # The client.

    def pause(self, _: Random) -> None:
        """Do nothing: to this, whatever does not matter to a failure is reduced."""

    def append(self, dice: Random) -> None:
        self._append(dice.choice((0, 1, 7, 480, 1536, 5000, 48000)))

    def _append(self, size: int) -> None:
        self.say(commands.AppendAudio(audio=bytes(size)))

    def speak(self, dice: Random) -> None:
        frames = [dice.random() for _ in range(dice.randrange(2))]
        frames += [0.9] * dice.randrange(12) + [0.02] * dice.randrange(16)
        for probability in frames:
            self._append(1536 if self.session.input_format.rate_hz == 24000 else 512)
            self._judge(repeat(probability))
        if dice.random() < 0.3:
            self.peek(dice)

    def listen_late(self, dice: Random) -> None:
        voiced = dice.random() < 0.5
        among = (0.9, 0.9, 0.02) if voiced else (0.02, 0.02, 0.4)
        self._judge(dice.choice(among) for _ in count())

    def commit(self, _: Random) -> None:
        self.say(commands.CommitAudio())

    def clear(self, _: Random) -> None:
        self.say(commands.ClearAudio())

    def clear_output(self, _: Random) -> None:
        self.say(commands.ClearOutput())

    def write(self, dice: Random) -> None:
        text = dice.choice(("", "hello", "a longer line of text"))
        picture = (InputImage(PICTURE),) if self.opening.ga_alone else ()
        made: Message = dice.choice(
            (
                Message("", "user", (InputText(text), *picture)),
                Message("", "system", (InputText(text),)),
                Message("", "assistant", (OutputText(text),)),
            )
        )
        self._create(dice, made)

    def call(self, dice: Random) -> None:
        self._create(dice, FunctionCall("", "f", dice.choice(("", "call_x")), "{}"))

    def answer_call(self, dice: Random) -> None:
        self._create(dice, FunctionCallOutput("", dice.choice(self._calls), "done"))

    def send_recording(self, dice: Random) -> None:
        parts: list[Part] = []
        audio = []
        for _ in range(dice.choice((1, 1, 1, 2))):
            if dice.random() < 0.3:
                parts.append(InputText("look:"))
            audio.append(commands.ItemAudio(len(parts), bytes(dice.choice((0, 1, 2, 4800, 9601)))))
            parts.append(InputAudio(0, 24000, dice.choice((None, None, "hello"))))
        self._create(dice, Message("", "user", tuple(parts)), tuple(audio))

    def _create(self, dice: Random, item: Item, audio: tuple[commands.ItemAudio, ...] = ()) -> None:
        after = dice.choice((None, None, None, "root", dice.choice(self._items)))
        item_id = ""
        if dice.random() < 0.3:
            # One of its own, or one that is taken; not one that was used before and is free again.
            self._named += 1
            item_id = dice.choice((f"mine_{self._named}", self._known(dice)))
        item = _with_id(item, item_id)
        self.say(commands.CreateItem(item=item, previous_item_id=after, audio=audio))

    def _known(self, dice: Random) -> str:
        session = self.session
        taken = [
            each
            for each in self._items
            if session._conversation.find(each) is not None or session._ear.reserves(each)
        ]
        return dice.choice(taken) if taken else ""

    def retrieve(self, dice: Random) -> None:
        self.say(commands.RetrieveItem(item_id=dice.choice(self._items)), dice.randrange(3))

    def delete(self, dice: Random) -> None:
        self.say(commands.DeleteItem(item_id=dice.choice(self._items)))

    def truncate(self, dice: Random) -> None:
        at_ms = dice.choice((0, 0, 10, 100, 150, 1000, 10**6))
        item_id = dice.choice(self._items[-4:])
        index = dice.choice((0, 0, 0, 1))
        self.say(commands.TruncateItem(item_id=item_id, content_index=index, audio_end_ms=at_ms))

    def respond(self, dice: Random) -> None:
        listed: tuple[Item | commands.ItemReference, ...] | None = None
        if dice.random() < 0.2:
            choices = (
                commands.ItemReference(dice.choice(self._items)),
                Message(dice.choice(self._items), "user", (InputText("listed"),)),
                Message("", "user", (InputText("listed"),)),
                Message("", "user", (InputAudio(0, 24000),)),
            )
            listed = tuple(dice.choices(choices, k=dice.randrange(3)))
        cancel_previous = dice.choice((None, None, None, True, False))
        written = Message("", "user", (InputText("more"),))
        self.say(
            commands.CreateResponse(
                **_some({**OF_RESPONSES, "format": FORMATS, "voice": self._voices}, dice, 0.15),
                conversation=dice.choice(("auto", "auto", "none")),
                metadata=dice.choice((None, {"topic": "x"})),
                input=listed,
                audio=tuple(
                    commands.ListedAudio(index, 0, bytes(dice.choice((1, 4800))))
                    for index, item in enumerate(listed or ())
                    if isinstance(item, Message) and isinstance(item.content[0], InputAudio)
                ),
                append=(commands.CreateItem(item=written),) * (dice.random() < 0.1),
                extra=(written,) * (dice.random() < 0.1),
                commit=dice.random() < 0.2,
                cancel_previous=cancel_previous,
                event_id=WAITS if cancel_previous is False else dice.choice((None, "asked")),
            ),
            dice.randrange(2),
        )

    @property
    def _voices(self) -> tuple[str | CustomVoice, ...]:
        return (*VOICES, CustomVoice("voice_1")) if self.opening.ga_alone else VOICES

    def respond_at_length(self, dice: Random) -> None:
        self.respond(dice)
        for _ in range(dice.randrange(9)):
            self.produce(dice)

    def cancel(self, dice: Random) -> None:
        known = dice.choice([None, "resp_9", *sorted(self.engines.in_progress)])
        self.say(commands.CancelResponse(response_id=known))

    def update(self, dice: Random) -> None:
        where = dice.choice(("session", "input", "input", "output"))
        update = SessionUpdate(
            **_some(OF_SESSIONS, dice, 0.15 * (where == "session")),
            input=AudioInputUpdate(**_some(OF_INPUT, dice, 0.4 * (where == "input"))),
            output=AudioOutputUpdate(
                **_some({**OF_OUTPUT, "voice": self._voices}, dice, 0.4 * (where == "output"))
            ),
        )
        self.say(
            commands.UpdateSession(
                update=update,
                as_transcription=dice.random() < 0.02,
                event_id=dice.choice((None, "asked")),
            )
        )

    def mumble(self, dice: Random) -> None:
        self.say(Refusal("not JSON", code="invalid_event"), dice.randrange(2))

    # The engines.

    def _judge(self, probabilities: Iterator[float]) -> None:
        """Have the detector judge whatever frames are complete, those of dropped streams too."""
        for stream, unheard_ms in list(self.engines.unheard.items()):
            frames = unheard_ms // 32
            if frames:
                self.engines.unheard[stream] -= frames * 32
                self.say(signals.Heard(stream, tuple(islice(probabilities, frames))))

    def break_detection(self, dice: Random) -> None:
        if self.engines.unheard:
            stream = dice.choice(sorted(self.engines.unheard))
            del self.engines.unheard[stream]
            self.say(signals.DetectionFailed(stream, "voice detection broke"))

    def judge_turn(self, dice: Random) -> None:
        """Answer the newest question, sometimes an old one."""
        if asked := self.engines.questions:
            number = asked[-1] if dice.random() < 0.8 else dice.choice(asked)
            self.say(signals.TurnJudged(number, dice.choice((None, 0.0, 0.3, 0.7, 0.95, 1.0))))

    def peek(self, dice: Random) -> None:
        """Say what the newest question would get, sometimes an old one; often as it turns out."""
        if asked := self.engines.peeks:
            question = asked[-1] if dice.random() < 0.8 else dice.choice(asked)
            words = self.engines.told.get(question.item_id, "unheard of").strip()
            answer = dice.choice((words, words, words, None, "something else", ""))
            self.say(signals.TranscriptPeeked(question.item_id, question.number, answer))
            if dice.random() < 0.5:
                self._append(48000)
                self._judge(repeat(0.02))
                if self.engines.transcribing.get(question.item_id):
                    self._conclude(question.item_id, fails=False)

    def conclude_again(self, dice: Random) -> None:
        if self._concluded:
            self.say(dice.choice(self._concluded))

    def caption(self, dice: Random) -> None:
        if (item_id := self._transcribed(dice)) is not None:
            delta = dice.choice(WORDS)
            told = self.engines.told
            told[item_id] = told.get(item_id, "") + delta
            self.say(signals.TranscriptGrew(item_id, delta))

    def transcribe(self, dice: Random) -> None:
        """Conclude one: mostly when all its audio is in, sometimes before, sometimes too late."""
        item_id = self._transcribed(dice)
        if item_id is None:
            return
        if self.engines.transcribing.get(item_id) is False and dice.random() < 0.7:
            return
        self._conclude(item_id, fails=dice.random() < 0.25)

    def _transcribed(self, dice: Random) -> str | None:
        late = [*self.engines.dropped, *self.engines.concluded] if dice.random() < 0.2 else []
        known = [*self.engines.transcribing, *late]
        return dice.choice(known) if known else None

    def _conclude(self, item_id: str, *, fails: bool) -> None:
        self.engines.transcribing.pop(item_id, None)
        self.engines.concluded.append(item_id)
        if fails:
            self.say(signals.TranscriptFailed(item_id, "server_error", "it broke"))
        else:
            words = self.engines.told.get(item_id, "unheard of")
            self.say(signals.TranscriptFinished(item_id, words.strip()))

    def produce(self, dice: Random) -> None:
        if (response_id := self._made(dice)) is not None:
            produced = dice.choice(
                (self._text, self._text, self._audio, self._audio, self._call, self._usage)
            )
            self.say(produced(response_id, dice))

    def finish(self, dice: Random) -> None:
        if (response_id := self._made(dice)) is not None:
            self.say(self._ending(response_id, dice))

    def _made(self, dice: Random) -> str | None:
        """A response that is made, or was; its late output goes nowhere."""
        late = [*self.engines.generated] if dice.random() < 0.1 else []
        making = [*self.engines.generating, *late]
        return dice.choice(making) if making else None

    def _text(self, response_id: str, dice: Random) -> Input:
        delta = dice.choice(("", *WORDS))
        self.engines.generated[response_id].text += len(delta)
        return signals.TextProduced(response_id, delta)

    def _audio(self, response_id: str, dice: Random) -> Input:
        made = self.engines.generated[response_id]
        if not made.speaks:
            return self._text(response_id, dice)
        pcm = bytes(dice.choice((0, 2, 480, 4800, 48000)))
        marks = (Mark(0, made.text, made.samples),) if dice.random() < 0.3 else ()
        made.samples += len(pcm) // 2
        return signals.AudioProduced(response_id, pcm, marks)

    def _call(self, response_id: str, dice: Random) -> Input:
        final = dice.random() < 0.3
        return signals.CallProduced(
            response_id, dice.randrange(2), "f", dice.choice(("", "{", "}")), final
        )

    def _usage(self, response_id: str, dice: Random) -> Input:
        return signals.UsageCounted(response_id, 100, 10, dice.choice((0, 10, 10**6)))

    def _ending(self, response_id: str, dice: Random) -> Input:
        if dice.random() < 0.7:
            return signals.GenerationFinished(response_id)
        return signals.GenerationFailed(response_id, "server_error", "it broke")

    # The listener, and time.

    def play(self, dice: Random) -> None:
        late = ["resp_1"] if dice.random() < 0.1 else []
        if known := [*self._playing, *late]:
            self._play(dice.choice(known), dice.random())

    def _play(self, response_id: str, share: float) -> None:
        made = self.engines.generated.get(response_id)
        samples = made.samples if made else 0
        heard = max(self._playing.get(response_id, 0), int(samples * share))
        over = heard == samples and response_id not in self.engines.in_progress
        if response_id in self._playing:
            self._playing[response_id] = heard
        self.say(signals.Played(response_id, heard, finished=over))

    def wait(self, dice: Random) -> None:
        until = self.now + dice.choice((0.01, 1, 4, 4, 10, 10, 10, 10, 10, 40, 40, 4000))
        while (due := self.session.deadline) is not None and due <= until:
            assert due >= self.now
            self.now = due
            self.tick()
        self.now = until

    def keep_silent(self, dice: Random) -> None:
        """The microphone is on all the while."""
        self.finish(dice)
        self._append(48000)
        self._judge(repeat(0.02))
        self.wait(dice)
        self._append(7680)
        self._judge(repeat(0.02))

    # The end.

    def end(self) -> None:
        """Drive everything to its end, and see that nothing is owed."""
        if not self._over:
            self.say(commands.ClearAudio())
            while self.engines.transcribing or self.engines.in_progress:
                while self.engines.transcribing:
                    self._finish_transcripts()
                self._finish_response()
            for response_id in list(self._playing):
                self._play(response_id, 1)
        for laws in self._laws.values():
            owed = laws.end()
            assert not owed, owed
        if not self._over:
            self._look_for_leftovers()
        self._replay()

    def _finish_transcripts(self) -> None:
        for item_id in list(self.engines.transcribing):
            assert self.engines.transcribing[item_id], f"{item_id} is still being heard"
            self._conclude(item_id, fails=False)

    def _finish_response(self) -> None:
        """Finish the first; its end may let another begin, with words of its own to wait for."""
        if self.engines.in_progress:
            response_id = min(self.engines.in_progress)
            assert response_id in self.engines.generating, f"{response_id} waits for nothing"
            self.say(signals.GenerationFinished(response_id))
            assert response_id not in self.engines.in_progress

    def _look_for_leftovers(self) -> None:
        session = self.session
        assert not self.engines.in_progress
        assert not session._responses._running
        assert not session._ear.due
        assert not session._captions._followed
        assert not session._captions._held
        assert not session._intake.dictations._running
        assert not session._intake.dictations._waiting
        assert not session._responses._prepared
        assert not self.engines.prepared
        assert not session._waiting

    def _replay(self) -> None:
        again = self.opening.session()
        outputs: list[Output] = []
        for said, now, origin in self.steps:
            outputs += again.tick(now) if said is None else again.receive(said, now, origin)
        assert outputs == self.outputs

    @property
    def story(self) -> str:
        """What came in and when, for whoever has to find out what went wrong."""
        lines = (
            f"{now:8.2f} s  {'(a tick)' if said is None else _shortened(said)}"
            for said, now, _ in self.steps
        )
        return "\n".join([f"{self.opening.settings}", f"{self.opening.rules}", *lines])


class Move(NamedTuple):
    """What anyone may do next: one of these deeds, at most that often in a row, when it tells."""

    name: str
    deeds: tuple[Callable[[Chatter, Random], None], ...]
    most: int = 1
    may: Callable[[Chatter], object] = lambda chatter: True

    def make(self, chatter: Chatter, seed: int) -> None:
        """Do it, by the dice of that seed."""
        dice = Random(seed)
        for _ in range(dice.randrange(self.most) + 1):
            dice.choice(self.deeds)(chatter, dice)


# Few and of equal weight: what makes conversations go on stands alone, what disturbs them together.
MOVES = (
    Move("pause", (Chatter.pause,)),
    Move("speak", (Chatter.speak,), 4),
    Move("append", (Chatter.append,), 3),
    Move("listen_late", (Chatter.listen_late,), 2, lambda chatter: chatter.engines.unheard),
    Move("arrange_input", (Chatter.commit, Chatter.clear)),
    Move("put", (Chatter.write, Chatter.call, Chatter.answer_call, Chatter.send_recording), 3),
    Move("alter", (Chatter.retrieve, Chatter.delete, Chatter.truncate), 3),
    Move("respond", (Chatter.respond, Chatter.respond_at_length), 2),
    Move("stop", (Chatter.cancel, Chatter.clear_output)),
    Move("update", (Chatter.update,), 3),
    Move("disturb", (Chatter.mumble, Chatter.break_detection, Chatter.conclude_again)),
    Move("judge_turn", (Chatter.judge_turn,), 3, lambda chatter: chatter.engines.questions),
    Move("peek", (Chatter.peek,), 3, lambda chatter: chatter.engines.peeks),
    Move("caption", (Chatter.caption,), 4, lambda chatter: chatter.engines.heard),
    Move("transcribe", (Chatter.transcribe,), 4, lambda chatter: chatter.engines.heard),
    Move("produce", (Chatter.produce,), 10, lambda chatter: chatter.engines.generated),
    Move("finish", (Chatter.finish,), 1, lambda chatter: chatter.engines.generated),
    Move("play", (Chatter.play,), 2, lambda chatter: chatter._playing),
    Move("wait", (Chatter.wait, Chatter.keep_silent)),
)
MOVES_EACH = 18  # moves of a conversation, which is about a hundred inputs


def conversation(seed: int) -> Chatter:
    """A whole conversation by dice alone, the same for the same seed."""
    chatter, dice = Chatter(seed), Random(seed)
    for _ in range(MOVES_EACH):
        move = dice.choice([move for move in MOVES if move.may(chatter)])
        move.make(chatter, dice.randrange(2**16))
    chatter.end()
    return chatter


def _waited(event: events.ServerEvent) -> bool:
    """Whether that is the refusal of a response that had to wait."""
    return isinstance(event, events.ErrorRaised) and event.refusal.event_id == WAITS


def _some(wishes: Wishes, dice: Random, chance: float) -> dict[str, Any]:
    """Wishes by dice, for each of those keys with that chance."""
    return {key: dice.choice(among) for key, among in wishes.items() if dice.random() < chance}


def _shortened(said: Input) -> str:
    """What was said, with the length of its audio instead of all its noughts."""
    return re.sub(r"b'((\\x00)+)'", lambda audio: f"bytes({len(audio[1]) // 4})", repr(said))


def _with_id(item: Item, item_id: str) -> Item:
    match item:
        case Message(role=role, content=content):
            return Message(item_id, role, content)
        case FunctionCall(name=name, call_id=call_id, arguments=arguments):
            return FunctionCall(item_id, name, call_id, arguments)
        case FunctionCallOutput(call_id=call_id, output=output):
            return FunctionCallOutput(item_id, call_id, output)
