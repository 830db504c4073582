"""The conversation as a machine: routes each input to its parts and gathers what they produce.

Nothing here waits, listens, sends, reads a clock or rolls dice: time and ids are handed in, audio
is counted. The same inputs, times and ids give the same outputs, byte for byte.

One spoken turn runs through it so: `AppendAudio` asks the ears to `Listen`; `Heard` tells the turn
detector, which finds where speech starts (an item id is allotted, transcription begins, a running
response is stopped) and where it ends (the audio becomes an item, a response is created). A recipe
that reads needs the words first, so the response's `Generate` waits for `TranscriptFinished`. What
the engines make of it comes back as signals and goes through `Response` to the client.
"""

from typing import assert_never

import msgspec
from msgspec import UNSET

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.captions import Captions, Followed
from vivavoce.core.conversation import Conversation
from vivavoce.core.ear import Began, Ear, SpokenAudio, TranscriptEnd
from vivavoce.core.effects import Origin, Output
from vivavoce.core.errors import Refusal
from vivavoce.core.intake import Intake
from vivavoce.core.items import (
    InputAudio,
    Message,
    OutputAudio,
    text_of,
    unwritten,
    written,
)
from vivavoce.core.outgoing import Mint, Outgoing
from vivavoce.core.response import Response
from vivavoce.core.responses import Responses, Rules
from vivavoce.core.settings import AudioFormat, AudioInput, CustomVoice, SessionSettings, merge
from vivavoce.core.silence import Silence, idle_timeout_ms
from vivavoce.core.turns import Resumed
from vivavoce.core.usage import CountTokens, estimate

Input = commands.AnyCommand | Refusal | signals.Signal

MAX_WAITING = 8  # responses that wait for the one before them


class Session:
    """One client's session with one conversation, from `Connected` to `HangUp`."""

    def __init__(
        self, settings: SessionSettings, mint: Mint, rules: Rules, count: CountTokens = estimate
    ) -> None:
        self.settings = settings
        self.rules = rules
        self._opening = settings
        self._count = count
        self._out = Outgoing(mint)
        self._over = False
        self._expires: float | None = None
        self._expires_at = 0
        self._silence = Silence()
        self._waiting: list[tuple[commands.CreateResponse, Origin | None]] = []
        self._conversation = Conversation(mint("conv_"))
        self._responses = Responses(self._conversation, rules, self._out, count)
        self._ear = Ear(
            self._heard_as(settings.input),
            transcribes=rules.reads,
            judges=rules.judges,
            hasty=rules.speculates,
        )
        self._captions = Captions(self._out, count)
        self._intake = Intake(
            self._conversation, self._ear, self._captions, self._out, reads=rules.reads
        )

    # The machine's three levers.

    def receive(self, said: Input, now: float, origin: Origin | None = None) -> list[Output]:
        """Take one input at time *now* and return everything that follows from it, in order."""
        self._out.now = now
        if self._over:
            return []
        self._attempt(said, origin)
        self._go_on()
        return self._out.drain()

    def _attempt(self, said: Input, origin: Origin | None) -> None:
        try:
            self._take(said, origin)
        except Refusal as refusal:
            event_id = said.event_id if isinstance(said, commands.Command) else refusal.event_id
            self._tell_error(refusal.of(event_id), origin)

    def _go_on(self) -> None:
        """Take what waited for the response before it to end."""
        if self._ear.speaking:
            return  # nobody talks over the user
        while self._waiting and self._responses.active is None:
            self._attempt(*self._waiting.pop(0))

    def tick(self, now: float) -> list[Output]:
        """Do what is due by the clock."""
        self._out.now = now
        if self._over:
            return []
        if self._expires is not None and now >= self._expires:
            self._expire()
        elif self._silence.due_at is not None and now >= self._silence.due_at:
            if self._responses.playing and self._idle_ms is not None:
                self._silence.postpone(self._idle_ms, now)
            else:
                self._silence.due_at, self._silence.overdue = None, True
                self._address_silence()
        return self._out.drain()

    @property
    def deadline(self) -> float | None:
        """When it next wants a tick."""
        times = [time for time in (self._expires, self._silence.due_at) if time is not None]
        return min(times) if times and not self._over else None

    @property
    def input_format(self) -> AudioFormat:
        """The format whose rate the audio that is heard now has."""
        return self._ear.format

    def settle(self, command: commands.UpdateSession) -> SessionSettings:
        """The settings as that would make them; Refusal if it may not. Nothing changes."""
        settings = merge(self.settings, command.update, self._opening)
        if command.as_transcription:
            settings = msgspec.structs.replace(settings, type="transcription")
        if settings.type != self.settings.type:
            self._check_type(settings.type, command)
        if settings.include and not self.rules.logprobs:
            raise Refusal(
                f"Invalid value: '{settings.include[0]}'. The engine that transcribes here has no "
                "log probabilities; leave 'include' away.",
                param="session.include",
            )
        if settings.output.voice != self.settings.output.voice:
            self._check_voice(settings.output.voice, "session.audio.output.voice")
        return settings

    def _take(self, said: Input, origin: Origin | None) -> None:
        if isinstance(said, Refusal):
            raise said
        if isinstance(said, commands.Command):
            self._obey(said, origin)
        else:
            self._note(said)

    def _obey(self, command: commands.AnyCommand, origin: Origin | None) -> None:
        match command:
            case commands.AppendAudio(audio=audio):
                self._out.do(*self._ear.append(audio, self._out.mint))
            case commands.UpdateSession():
                self._update(command)
            case commands.CommitAudio():
                self._commit_by_hand()
            case commands.ClearAudio():
                self._drop_transcript(self._ear.clear())
                self._responses.discard()
                self._out.tell(events.AudioCleared(event_id=self._out.event_id()))
            case commands.ClearOutput():
                self._clear_output()
            case commands.CreateItem():
                self._intake.create(command, self.settings.input)
            case commands.RetrieveItem(item_id=item_id):
                self._retrieve(item_id, origin)
            case commands.TruncateItem():
                self._truncate(command)
            case commands.DeleteItem(item_id=item_id):
                self._delete(item_id)
            case commands.CreateResponse():
                self._create_response(command, origin)
            case commands.CancelResponse(response_id=response_id):
                self._cancel(response_id)
            case _:
                assert_never(command)

    def _note(self, signal: signals.Signal) -> None:
        match signal:
            case signals.Heard():
                self._hear(signal)
            case signals.Connected(wall_time=wall_time):
                self._connect(wall_time)
            case signals.DetectionFailed(stream=stream, message=message):
                if self._ear.listen_again(stream):
                    self._responses.discard()
                    self._tell_error(Refusal(message, kind="server_error", code=None))
            case signals.TranscriptGrew(item_id=item_id, delta=delta):
                self._caption(item_id, delta)
            case signals.TranscriptPeeked():
                if (said := self._ear.peeked(signal)) is not None:
                    self._prepare_answer(said)
            case signals.TurnJudged():
                if (spoken := self._ear.judged(signal, self._out.mint)) is not None:
                    self._end_turn(spoken)
            case signals.TranscriptFinished() | signals.TranscriptFailed():
                self._end_transcript(signal)
            case signals.Played():
                self._responses.played(signal)
                if signal.finished and self._idle_ms is not None:
                    self._silence.postpone(self._idle_ms, self._out.now)
            case _:
                self._await_silence(self._responses.progress(signal))

    # The session itself.

    def _connect(self, wall_time: float) -> None:
        self._expires = self._out.now + self.rules.max_seconds
        self._expires_at = int(wall_time) + self.rules.max_seconds
        self._out.tell(events.SessionCreated(event_id=self._out.event_id(), session=self._view()))
        if self.rules.announces_conversation:
            self._out.tell(
                events.ConversationCreated(
                    event_id=self._out.event_id(), conversation_id=self._conversation.id
                )
            )

    def _view(self) -> events.SessionView:
        return events.SessionView(self.rules.session_id, self.settings, self._expires_at)

    def _update(self, command: commands.UpdateSession) -> None:
        settings = self.settle(command)
        self.settings = settings
        self._drop_transcript(self._ear.follow(self._heard_as(settings.input)))
        self._responses.discard()
        if self._idle_ms is None:
            self._silence.end()
        self._out.tell(events.SessionUpdated(event_id=self._out.event_id(), session=self._view()))

    def _heard_as(self, settings: AudioInput) -> AudioInput:
        """Where the server plays, audio comes by a track of its own, in a format of its own."""
        if self.rules.plays:
            return msgspec.structs.replace(settings, format=AudioFormat())
        return settings

    def _check_type(self, kind: str, command: commands.UpdateSession) -> None:
        """A session may turn to transcription before it has responded, and to nothing else."""
        if kind == "realtime":
            raise Refusal("A transcription session stays one.", param="session.type")
        if self._responses.begun:
            raise Refusal(
                "Cannot change the type of a session that has responded.", param="session.type"
            )
        if self.rules.strict and command.as_transcription:
            raise Refusal(
                "Invalid value: 'transcription_session.update'. This is not a transcription "
                "session: connect with intent=transcription.",
                param="type",
            )

    def _check_voice(self, voice: str | CustomVoice, param: str) -> None:
        """Refuse a voice that does not exist, or another than the one that was heard."""
        heard = self._responses.heard_voice
        if voice == (self.settings.output.voice if heard is None else heard):
            return
        if self.rules.voices and isinstance(voice, str) and voice not in self.rules.voices:
            listed = ", ".join(f"'{name}'" for name in self.rules.voices)
            raise Refusal(f"Invalid value: '{voice}'. Supported values are: {listed}.", param=param)
        if heard is not None:
            raise Refusal(
                "Cannot update a conversation's voice if assistant audio is present.",
                code="cannot_update_voice",
            )

    def _expire(self) -> None:
        seconds = self.rules.max_seconds
        lasted = f"{seconds} seconds" if seconds % 60 else f"{seconds // 60} minutes"
        text = f"Your session hit the maximum duration of {lasted}."
        self._tell_error(Refusal(text, code="session_expired"))
        self._responses.discard()
        self._out.do(effects.HangUp(1001, text))
        self._over = True

    def _tell_error(self, refusal: Refusal, origin: Origin | None = None) -> None:
        error = events.ErrorRaised(event_id=self._out.event_id(), refusal=refusal)
        self._out.tell(error, to=origin)

    # Hearing the user.

    def _drop_transcript(self, item_id: str | None) -> None:
        """Nobody wants the words of what was being spoken."""
        if item_id is not None:
            self._captions.drop(item_id)
            self._out.do(effects.DropTranscript(item_id))

    def _hear(self, heard: signals.Heard) -> None:
        for boundary in self._ear.hear(heard, self._out.mint):
            match boundary:
                case Began():
                    self._begin_turn(boundary)
                case SpokenAudio():
                    self._end_turn(boundary)
                case Resumed():
                    self._responses.discard()
                case effects.PeekTranscript():
                    if self._answers_turns and not self._ear.due:
                        self._out.do(boundary)
                case _:
                    self._out.do(boundary)
        if self._silence.overdue:
            self._address_silence()

    def _begin_turn(self, began: Began) -> None:
        self._silence.end()
        self._out.tell(
            events.SpeechStarted(
                event_id=self._out.event_id(),
                item_id=began.item_id,
                audio_start_ms=began.start_ms,
            )
        )
        detection = self.settings.input.turn_detection
        if detection is not None and detection.interrupt_response:
            self._interrupt()
        self._out.do(*began.effects)

    def _end_turn(self, spoken: SpokenAudio) -> None:
        self._out.tell(
            events.SpeechStopped(
                event_id=self._out.event_id(), item_id=spoken.item_id, audio_end_ms=spoken.end_ms
            )
        )
        self._commit(spoken)
        self._answer_turn()
        self._show_words(spoken)

    def _answer_turn(self) -> None:
        """Respond to the turn that was committed, if that is wanted and nothing runs already."""
        if self._answers_turns:
            self._respond(commands.CreateResponse())
        self._responses.discard()

    @property
    def _answers_turns(self) -> bool:
        detection = self.settings.input.turn_detection
        wanted = detection is not None and detection.create_response
        return wanted and self.settings.type == "realtime" and self._responses.active is None

    def _prepare_answer(self, said: Message) -> None:
        """Somebody may have finished: have the answer ready in case that is so."""
        if self._answers_turns and text_of(said) and not self._ear.due:
            self._responses.prepare(said, self.settings)

    def _commit_by_hand(self) -> None:
        spoken = self._ear.commit(self._out.mint)
        self._silence.end()
        self._responses.discard()
        self._commit(spoken)
        self._show_words(spoken)

    def _commit(self, spoken: SpokenAudio) -> None:
        """Make an item of what was said, and ask for its words."""
        part = InputAudio(len(spoken.pcm) // 2, spoken.format.rate_hz)
        self._out.tell(
            events.AudioCommitted(
                event_id=self._out.event_id(),
                item_id=spoken.item_id,
                previous_item_id=self._conversation.last_id,
            )
        )
        self._intake.join(Message(spoken.item_id, "user", (part,)))
        self._conversation.recordings.grow(spoken.item_id, 0, spoken.pcm, spoken.format)
        self._out.do(*spoken.effects)

    def _show_words(self, spoken: SpokenAudio) -> None:
        """Let the client read along, now that it knows the item and whether that is answered."""
        if self._reads_along or self._captions.follows(spoken.item_id):
            self._follow(spoken.item_id, spoken.item_id, 0)
            if self._reads_along:
                self._captions.bill(spoken.item_id, self.settings.input.transcription)
        else:
            self._captions.drop(spoken.item_id)
        if spoken.ended is not None:
            self._end_transcript(spoken.ended)

    def _interrupt(self) -> None:
        """The user speaks: stop what is being said to them."""
        if self._responses.active is not None:
            self._intake.let_go(self._responses.stop(self._responses.active, "turn_detected"))
        self._silence_playback()

    def _silence_playback(self) -> None:
        for playing in self._responses.silence():
            length_ms = self._speech_ms(playing.item_id)
            if length_ms is not None:
                at_ms = min(playing.played_ms, length_ms)  # its client may have cut it before
                self._truncate(
                    commands.TruncateItem(
                        item_id=playing.item_id, content_index=0, audio_end_ms=at_ms
                    )
                )

    def _speech_ms(self, item_id: str) -> int | None:
        """How long the assistant's speech in that item is, if the conversation holds any."""
        if (maker := self._responses.maker_of(item_id)) is not None:
            return maker.length_ms
        item = self._conversation.find(item_id)
        part = next(iter(item.content), None) if isinstance(item, Message) else None
        return part.duration_ms if isinstance(part, OutputAudio) else None

    def _clear_output(self) -> None:
        if not self.rules.plays:
            raise Refusal(
                "output_audio_buffer.clear is for WebRTC: on a WebSocket the client plays the audio.",
                param="type",
            )
        self._silence_playback()

    # The words of the user.

    @property
    def _reads_along(self) -> bool:
        return self.settings.input.transcription is not None

    def _caption(self, item_id: str, delta: str) -> None:
        if not self._ear.awaits(item_id):
            return
        if (question := self._ear.read(item_id, delta)) is not None:
            self._out.do(question)
        if not self._ear.is_speaking(item_id):
            self._captions.tell(item_id, delta)
            return
        self._captions.hold(item_id, delta)
        # Clients of a spoken conversation want to know an item before they read its words.
        live = self.settings.type == "transcription" and self._reads_along
        if live or self._captions.follows(item_id):
            self._follow(item_id, item_id, 0)

    def _follow(self, dictation: str, item_id: str, content_index: int) -> None:
        asked = self.settings.input.transcription
        self._captions.follow(dictation, Followed(item_id, content_index, asked))

    def _end_transcript(self, ended: TranscriptEnd) -> None:
        length_ms = self._ear.settle(ended)
        if length_ms is None:
            return
        place = self._intake.dictations.place(ended.item_id)
        self._out.do(*self._intake.dictations.end(ended.item_id))
        if isinstance(ended, signals.TranscriptFailed):
            self._captions.fail(ended)
            for response in self._responses.give_up(ended):
                self._await_silence(response)
        else:
            ended = msgspec.structs.replace(ended, transcript=ended.transcript.strip())
            self._learn_words(*place, ended.transcript)
            self._captions.finish(ended, length_ms)
            self._responses.learn(ended.item_id, ended.transcript)

    def _learn_words(self, item_id: str, content_index: int, words: str) -> None:
        item = self._conversation.find(item_id)
        if isinstance(item, Message) and content_index in unwritten(item):
            self._conversation.replace(written(item, content_index, words))

    # Items.

    def _retrieve(self, item_id: str, origin: Origin | None) -> None:
        item = self._responses.item(item_id)
        if item is None:
            raise Refusal(
                f"Error retrieving item: the item with id '{item_id}' does not exist.",
                code="item_retrieve_invalid_item_id",
            )
        audio = tuple(
            events.RetrievedAudio(index, pcm, audio_format)
            for index, pcm, audio_format in self._conversation.recordings.of(item_id)
        )
        self._out.tell(
            events.ItemRetrieved(event_id=self._out.event_id(), item=item, audio=audio), to=origin
        )

    def _truncate(self, command: commands.TruncateItem) -> None:
        maker = self._responses.maker_of(command.item_id)
        if maker is not None and maker.speech_id == command.item_id:
            maker.truncate(command.content_index, command.audio_end_ms)
        else:
            self._conversation.truncate(
                command.item_id, command.content_index, command.audio_end_ms
            )
        if self._idle_ms is not None:
            self._silence.cut_short(command.item_id, self._idle_ms, self._out.now)
        self._out.tell(
            events.ItemTruncated(
                event_id=self._out.event_id(),
                item_id=command.item_id,
                content_index=command.content_index,
                audio_end_ms=command.audio_end_ms,
            )
        )

    def _delete(self, item_id: str) -> None:
        if self._responses.is_output(item_id):
            raise Refusal(
                f"Error deleting item: the item with id '{item_id}' is still being generated. "
                "Cancel its response first.",
                param="item_id",
            )
        self._conversation.delete(item_id)
        self._responses.forget(item_id)
        self._out.tell(events.ItemDeleted(event_id=self._out.event_id(), item_id=item_id))

    # Responses.

    def _create_response(self, command: commands.CreateResponse, origin: Origin | None) -> None:
        if self.settings.type == "transcription":
            raise Refusal("A transcription session makes no responses.", param="type")
        if command.cancel_previous is False and self._responses.blocks(command):
            self._wait(command, origin)
            return
        self._responses.check(command)
        if command.voice is not UNSET:
            self._check_voice(command.voice, "response.audio.output.voice")
        appended = self._intake.check_along(command)
        if command.cancel_previous and self._responses.active is not None:
            self._await_silence(self._responses.stop(self._responses.active, "client_cancelled"))
        if command.commit and self._ear.has_said:
            self._commit_by_hand()
        for item, each in zip(appended, command.append, strict=True):
            self._intake.add(item, each, self.settings.input)
        self._responses.discard()
        self._respond(command)

    def _wait(self, command: commands.CreateResponse, origin: Origin | None) -> None:
        if command.audio or any(each.audio for each in command.append):
            raise Refusal(
                "A response that waits for the one before it cannot bring audio along: create the "
                "items first.",
                param="response.cancel_previous",
            )
        if len(self._waiting) >= MAX_WAITING:
            raise Refusal(
                f"{MAX_WAITING} responses wait for the one before them already.",
                code="conversation_already_has_active_response",
            )
        self._waiting.append((command, origin))

    def _cancel(self, response_id: str | None) -> None:
        if self.settings.type == "transcription":
            raise Refusal("A transcription session makes no responses.", param="type")
        self._await_silence(self._responses.cancel(response_id))

    def _respond(self, command: commands.CreateResponse) -> None:
        if command.conversation == "auto":
            self._silence.end()
        command, dictated, recordings = self._intake.listed(command, self.settings.input)
        due = self._intake.due() | dictated
        ended = self._responses.begin(command, self.settings, due, recordings)
        self._await_silence(ended)

    # Silence.

    @property
    def _idle_ms(self) -> int | None:
        return idle_timeout_ms(self.settings.input.turn_detection)

    def _await_silence(self, ended: Response | None) -> None:
        """After a response, give the user until the timeout behind its last word to speak."""
        if ended is not None:
            self._intake.let_go(ended)
        if ended is None or ended.conversation is None or self._idle_ms is None:
            return
        if not self._ear.speaking:
            self._silence.begin(ended, self._idle_ms, self._out.now)

    def _address_silence(self) -> None:
        """Nobody spoke for too long: let the assistant say something about it.

        Without any audio of that silence there is nothing to commit yet.
        """
        idle_ms = self._idle_ms
        if self._ear.speaking or idle_ms is None:
            return
        spoken = self._ear.take_silence(idle_ms, self._out.mint)
        if spoken is None:
            return
        self._silence.end()
        self._out.tell(
            events.TimeoutTriggered(
                event_id=self._out.event_id(),
                item_id=spoken.item_id,
                audio_start_ms=spoken.start_ms,
                audio_end_ms=spoken.end_ms,
            )
        )
        self._commit(spoken)
        self._answer_turn()
        self._show_words(spoken)
