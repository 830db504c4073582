"""What a response is given to answer: its own input, what the preview adds first, what is deleted."""

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Message,
)
from vivavoce.core.settings import (
    AudioInput,
    AudioInputUpdate,
    AudioOutputUpdate,
    CustomVoice,
    DetectionUpdate,
    SemanticVad,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.testing.conversations import SILENCE, Talk, effects_in, events_in, names

TEXT = commands.CreateResponse(output_modality="text")
AUDIO = bytes(9600)
SPEECH = Message("", "user", (InputAudio(0, 24000),))
BY_HAND = SessionSettings(input=AudioInput(turn_detection=None))


def error(outputs: list[effects.Output]) -> Refusal:
    (raised,) = [event for event in events_in(outputs) if isinstance(event, events.ErrorRaised)]
    return raised.refusal


def listing(*items: Message, conversation: str = "none") -> commands.CreateResponse:
    """A response of its own input, whose first item holds audio."""
    return commands.CreateResponse(
        conversation=conversation,  # type: ignore[arg-type]
        input=items,
        audio=(commands.ListedAudio(0, 0, AUDIO),),
    )


def test_audio_that_is_listed_is_written_down_and_then_answered() -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription("whisper-1"))))
    made = talk.say(listing(SPEECH))

    assert names(made) == ["ResponseCreated"]
    assert not talk.effects(effects.Generate)
    (order,) = talk.effects(effects.Transcribe)
    assert order.pcm == AUDIO
    answered = talk.say(signals.TranscriptFinished(order.item_id, "hello"))
    assert names(answered) == []  # it is nobody's item, so nobody reads its words
    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content == (InputAudio(len(AUDIO) // 2, 24000, "hello"),)


def test_audio_that_is_listed_under_the_id_of_another_item_is_another_item() -> None:
    talk = Talk()
    talk.say(commands.CreateItem(item=Message("same", "user", (InputText("written"),))))
    talk.say(listing(Message("same", "user", (InputAudio(0, 24000),))))
    (order,) = talk.effects(effects.Transcribe)
    talk.say(signals.TranscriptFinished(order.item_id, "spoken"))

    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content == (InputAudio(len(AUDIO) // 2, 24000, "spoken"),)
    talk.say(TEXT)
    (item,) = talk.request.context
    assert item == Message("same", "user", (InputText("written"),))


def test_audio_that_is_listed_and_cannot_be_written_down_fails_its_response() -> None:
    talk = Talk()
    talk.say(listing(SPEECH))
    (order,) = talk.effects(effects.Transcribe)
    made = talk.say(signals.TranscriptFailed(order.item_id, "server_error", "it broke"))

    assert names(made) == ["ResponseDone"]


def test_audio_that_is_listed_with_its_words_is_answered_at_once() -> None:
    talk = Talk()
    talk.say(listing(Message("", "user", (InputAudio(0, 24000, "hello"),))))

    assert not talk.effects(effects.Transcribe)
    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content == (InputAudio(len(AUDIO) // 2, 24000, "hello"),)


def test_the_words_of_an_item_that_was_deleted_meanwhile_are_answered_still() -> None:
    talk = Talk()
    talk.speak_a_turn()
    (order,) = talk.effects(effects.Transcribe)
    talk.say(commands.DeleteItem(item_id=order.item_id))
    talk.say(signals.TranscriptFinished(order.item_id, "hello"))

    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert isinstance(item.content[0], InputAudio)
    assert item.content[0].transcript == "hello"


# The preview's way of doing something first.


def test_silence_is_nothing_to_commit_first() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 20)

    made = talk.say(commands.CreateResponse(commit=True))
    assert names(made) == ["ResponseCreated"]


def test_items_are_added_first() -> None:
    talk = Talk()
    call = FunctionCall("call", "f", "call_1", "{}")
    output = FunctionCallOutput("output", "call_1", "done")
    made = talk.say(
        commands.CreateResponse(
            append=(commands.CreateItem(item=call), commands.CreateItem(item=output))
        )
    )

    assert names(made) == ["ItemAdded", "ItemDone", "ItemAdded", "ItemDone", "ResponseCreated"]
    assert talk.request.context == (call, output)


def test_a_response_whose_items_cannot_be_added_adds_none_and_is_none() -> None:
    talk = Talk(BY_HAND)
    talk.say(TEXT)
    talk.say(commands.AppendAudio(audio=AUDIO))
    twice = commands.CreateItem(item=Message("same", "user", (InputText("hello"),)))
    made = talk.say(
        commands.CreateResponse(append=(twice, twice), commit=True, cancel_previous=True)
    )

    assert names(made) == ["ErrorRaised"]
    assert error(made).code == "item_create_duplicate_item_id"
    assert effects_in(made) == []


def test_a_response_may_wait_for_the_one_before_it() -> None:
    talk = Talk()
    talk.say(TEXT)

    assert talk.say(commands.CreateResponse(cancel_previous=False)) == []
    assert names(talk.say(signals.GenerationFinished("resp_1"))) == [
        "ResponseDone",
        "ResponseCreated",
    ]


def test_what_waited_and_can_no_longer_be_done_is_refused_to_who_asked() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(TEXT)
    reference = commands.ItemReference("item_1")
    waiting = commands.CreateResponse(event_id="e", input=(reference,), cancel_previous=False)
    talk.say(waiting, origin=3)
    talk.say(commands.DeleteItem(item_id="item_1"))
    made = talk.say(signals.GenerationFinished("resp_1"))

    assert error(made).event_id == "e"
    assert [each.to for each in made if isinstance(each, effects.Tell)] == [None, 3]


def test_only_so_many_wait() -> None:
    talk = Talk()
    talk.say(TEXT)
    waiting = commands.CreateResponse(cancel_previous=False)
    for _ in range(8):
        assert talk.say(waiting) == []

    assert error(talk.say(waiting)).code == "conversation_already_has_active_response"


# Whose voice it is.


def heard(talk: Talk, response_id: str = "resp_1") -> None:
    talk.say(
        signals.AudioProduced(response_id, bytes(4800)), signals.GenerationFinished(response_id)
    )


def voice(name: str | CustomVoice) -> commands.UpdateSession:
    return commands.UpdateSession(update=SessionUpdate(output=AudioOutputUpdate(voice=name)))


def test_who_has_spoken_goes_on_speaking() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(voice="echo"))
    heard(talk)

    talk.say(commands.CreateResponse())
    assert talk.request.voice == "echo"
    talk.say(commands.CancelResponse(), commands.CreateResponse(voice="echo"))
    assert talk.request.voice == "echo"


def test_another_voice_than_was_heard_is_refused() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(voice="echo"))
    heard(talk)

    assert error(talk.say(commands.CreateResponse(voice="alloy"))).code == "cannot_update_voice"
    assert error(talk.say(voice("verse"))).code == "cannot_update_voice"
    assert names(talk.say(voice("alloy"))) == ["SessionUpdated"]  # as it is
    assert names(talk.say(voice("echo"))) == ["SessionUpdated"]


def test_other_settings_may_change_after_a_response_in_another_voice() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(voice="echo"))
    heard(talk)

    update = SessionUpdate(instructions="Be brief.")
    assert names(talk.say(commands.UpdateSession(update=update))) == ["SessionUpdated"]


def test_where_no_speech_is_left_the_voice_is_free() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse())
    heard(talk)
    assert error(talk.say(voice("echo"))).code == "cannot_update_voice"

    talk.say(commands.DeleteItem(item_id="item_1"))
    assert names(talk.say(voice("echo"))) == ["SessionUpdated"]


def test_a_voice_of_the_clients_own_is_taken() -> None:
    talk = Talk(voices=("alloy", "verse"))

    assert names(talk.say(voice(CustomVoice("voice_1")))) == ["SessionUpdated"]
    made = talk.say(commands.CreateResponse())
    (created,) = events_in(made)
    assert isinstance(created, events.ResponseCreated)
    assert created.response.voice == CustomVoice("voice_1")
    assert talk.request.voice == "voice_1"


# What a session begins with.


def test_instructions_come_back_as_the_session_began() -> None:
    talk = Talk(SessionSettings(instructions="Begin so."))
    talk.say(commands.UpdateSession(update=SessionUpdate(instructions="Other.")))
    talk.say(commands.UpdateSession(update=SessionUpdate(instructions=None)))

    assert talk.session.settings.instructions == "Begin so."


def test_keys_of_turn_detection_that_are_missing_are_as_the_session_began() -> None:
    opening = SessionSettings(
        input=AudioInput(turn_detection=ServerVad(silence_duration_ms=500, prefix_padding_ms=100))
    )
    talk = Talk(opening)
    for detection in (
        DetectionUpdate(ServerVad, {"silence_duration_ms": 900}),
        DetectionUpdate(ServerVad, {"threshold": 0.7}),
    ):
        update = SessionUpdate(input=AudioInputUpdate(turn_detection=detection))
        talk.say(commands.UpdateSession(update=update))

    found = [talk.session.settings.input.turn_detection]
    other = SessionUpdate(input=AudioInputUpdate(turn_detection=DetectionUpdate(SemanticVad)))
    talk.say(commands.UpdateSession(update=other))
    found.append(talk.session.settings.input.turn_detection)
    assert found == [ServerVad(0.7, 100, 500), SemanticVad()]


def test_a_strict_session_is_not_turned_into_one_of_transcription() -> None:
    talk = Talk(strict=True)
    made = talk.say(commands.UpdateSession(update=SessionUpdate(), as_transcription=True))

    assert error(made).param == "type"


def test_a_conversation_is_announced_where_that_is_asked_for() -> None:
    assert names(Talk(announces_conversation=True).outputs) == [
        "SessionCreated",
        "ConversationCreated",
    ]


# Recordings that wait to be written down.


def recordings(talk: Talk, count: int) -> list[effects.Output]:
    audio = commands.ItemAudio(0, AUDIO)
    made: list[effects.Output] = []
    for nth in range(count):
        item = Message(f"r{nth}", "user", (InputAudio(0, 24000),))
        made += talk.say(commands.CreateItem(item=item, audio=(audio,)))
    return made


def begun(talk: Talk) -> list[str]:
    return [each.item_id for each in talk.effects(effects.Transcribe)]


def test_only_two_recordings_are_written_down_at_once() -> None:
    talk = Talk()
    recordings(talk, 4)
    assert begun(talk) == ["r0", "r1"]

    talk.say(signals.TranscriptFinished("r0", "hello"))
    talk.say(signals.TranscriptFailed("r1", "server_error", "it broke"))
    assert begun(talk) == ["r0", "r1", "r2", "r3"]


def test_recordings_beyond_the_limit_are_refused() -> None:
    talk = Talk()

    assert error(recordings(talk, 65)).code == "rate_limit_exceeded"


def test_what_only_a_cancelled_response_listed_is_not_written_down() -> None:
    talk = Talk()
    talk.say(listing(SPEECH), listing(SPEECH), listing(SPEECH))
    first, _ = begun(talk)
    talk.say(commands.CancelResponse(response_id="resp_3"))
    made = talk.say(commands.CancelResponse(response_id="resp_1"))

    assert effects.DropTranscript(first) in effects_in(made)
    assert len(begun(talk)) == 2  # the third was never begun


def test_a_response_that_waits_cannot_bring_audio() -> None:
    talk = Talk()
    talk.say(TEXT)
    waiting = commands.CreateResponse(
        input=(SPEECH,), audio=(commands.ListedAudio(0, 0, AUDIO),), cancel_previous=False
    )

    assert error(talk.say(waiting)).param == "response.cancel_previous"


def test_nobody_who_waited_talks_over_the_user() -> None:
    talk = Talk()
    talk.say(TEXT, commands.CreateResponse(cancel_previous=False))
    made = talk.hear(*[0.9] * 4)

    assert "ResponseDone" in names(made)
    assert "ResponseCreated" not in names(made)
    made = talk.hear(*[SILENCE] * 7)
    assert names(made).count("ResponseCreated") == 1  # the answer to what was said comes first


def test_an_item_that_is_listed_twice_has_its_words_in_both_places() -> None:
    talk = Talk()
    talk.speak_a_turn()
    talk.say(commands.CancelResponse())
    (order,) = talk.effects(effects.Transcribe)
    reference = commands.ItemReference(order.item_id)
    talk.say(commands.CreateResponse(conversation="none", input=(reference, reference)))
    talk.say(signals.TranscriptFinished(order.item_id, "hello"))

    heard = [part.transcript for item in talk.request.context for part in item.content]  # type: ignore[union-attr]
    assert heard == ["hello", "hello"]
