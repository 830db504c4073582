"""Limits of a session: what is read, what a minute holds, what a response may say, how many at once."""

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.allowance import Quota
from vivavoce.core.errors import Refusal
from vivavoce.core.items import FunctionCall, InputText, Mark, Message, OutputAudio
from vivavoce.core.settings import SessionSettings, SessionUpdate, Truncation
from vivavoce.testing.conversations import Talk, effects_in, events_in, names

TEXT = commands.CreateResponse(output_modality="text")
DONE = signals.GenerationFinished("resp_1")
SECOND = 48000  # bytes of PCM16 at 24 kHz


def error(outputs: list[effects.Output]) -> Refusal:
    (raised,) = [event for event in events_in(outputs) if isinstance(event, events.ErrorRaised)]
    return raised.refusal


def ended(outputs: list[effects.Output]) -> events.ResponseView:
    (done,) = [event for event in events_in(outputs) if isinstance(event, events.ResponseDone)]
    return done.response


def output_tokens(outputs: list[effects.Output]) -> int:
    usage = ended(outputs).usage
    assert usage is not None
    return usage.output.total


def crowded(truncation: Truncation = "auto") -> Talk:
    """A conversation of ten messages of ten tokens each, with room for five of them."""
    settings = SessionSettings(instructions="", truncation=truncation)
    talk = Talk(settings, quota=Quota(input_tokens=50))
    for at in range(10):
        talk.say(
            commands.CreateItem(item=Message(f"m{at}", "user", (InputText("a b c d e f g h"),)))
        )
    return talk


def test_the_oldest_items_are_not_read_and_nobody_is_told() -> None:
    talk = crowded()
    made = talk.say(TEXT)

    assert [item.id for item in talk.request.context] == ["m5", "m6", "m7", "m8", "m9"]
    assert names(made) == ["ResponseCreated"]
    assert names(talk.say(commands.RetrieveItem(item_id="m0"))) == ["ItemRetrieved"]


def test_usage_counts_what_was_read() -> None:
    talk = crowded()
    talk.say(TEXT)

    usage = ended(talk.say(signals.TextProduced("resp_1", "yes"), DONE)).usage
    assert usage is not None
    assert usage.input == events.Tokens(50)


def test_a_conversation_that_must_not_be_cut_fails_its_response() -> None:
    talk = crowded("disabled")
    made = talk.say(TEXT)

    assert names(made) == ["ResponseCreated", "ResponseDone"]
    response = ended(made)
    assert response.status == "failed"
    assert response.status_details is not None
    assert response.status_details.error_code == "context_length_exceeded"
    assert response.usage == events.Usage()
    assert not talk.effects(effects.Generate)


def test_a_response_follows_one_that_was_too_long() -> None:
    talk = crowded("disabled")
    talk.say(TEXT)
    for at in range(6):
        talk.say(commands.DeleteItem(item_id=f"m{at}"))

    assert names(talk.say(TEXT)) == ["ResponseCreated"]
    assert len(talk.request.context) == 4


def test_what_was_read_before_is_cached() -> None:
    talk = Talk(SessionSettings(instructions="word " * 100))
    talk.write("hello")
    talk.say(TEXT, DONE)
    talk.write("and again")

    talk.say(TEXT)
    usage = ended(talk.say(signals.GenerationFinished("resp_2"))).usage
    assert usage is not None
    assert usage.cached == events.Tokens(128)
    assert usage.input.text > 128


def test_the_limits_are_told_as_a_response_begins_and_as_it_ends() -> None:
    talk = Talk(quota=Quota(tokens_per_minute=20_000, requests_per_minute=100))
    made = talk.say(TEXT) + talk.say(signals.TextProduced("resp_1", "hello"), DONE)

    told = [each for each in events_in(made) if isinstance(each, events.RateLimitsUpdated)]
    assert names(made)[:2] == ["ResponseCreated", "RateLimitsUpdated"]
    assert names(made)[-2:] == ["ResponseDone", "RateLimitsUpdated"]
    assert [each.begins for each in told] == [True, False]
    usage = ended(made).usage
    assert usage is not None
    begun, over = (each.rate_limits for each in told)
    assert [each.remaining for each in over] == [99, 20_000 - usage.total]
    assert begun[1].remaining == 20_000 - usage.input.total - 4096


def test_beyond_the_limit_a_response_fails_and_says_when_to_try_again() -> None:
    talk = Talk(quota=Quota(requests_per_minute=1))
    talk.say(TEXT, DONE)

    made = talk.say(TEXT)
    assert names(made) == [
        "ResponseCreated",
        "RateLimitsUpdated",
        "ResponseDone",
        "RateLimitsUpdated",
    ]
    details = ended(made).status_details
    assert details is not None
    assert details.error_code == "rate_limit_exceeded"
    assert "Please try again in 60.000s." in (details.error_message or "")
    talk.wait(60)
    assert talk.say(TEXT)
    assert len(talk.effects(effects.Generate)) == 2


def test_a_response_that_came_to_nothing_cost_nothing() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(TEXT)

    assert ended(talk.say(commands.CancelResponse())).usage == events.Usage()


# What a response may say.


def test_words_stop_at_the_most_that_may_be_said() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(output_modality="text", max_output_tokens=5))

    made = talk.say(signals.TextProduced("resp_1", "a b c d e f"))

    response = ended(made)
    assert response.status == "incomplete"
    assert output_tokens(made) == 5
    (delta,) = (each.delta for each in events_in(made) if isinstance(each, events.TextDelta))
    assert delta == "a b c"


def test_speech_stops_at_the_most_that_may_be_said() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=40))
    talk.say(signals.TextProduced("resp_1", "one two"))
    made = talk.say(signals.AudioProduced("resp_1", bytes(10 * SECOND), (Mark(0, 7, 0),)))

    assert ended(made).status == "incomplete"
    assert output_tokens(made) == 40
    audio = sum(len(each.audio) for each in events_in(made) if isinstance(each, events.AudioDelta))
    # 8 tokens of text leave 32 of audio, at 50 ms each; one more would be full at 33.
    assert 32 * 2400 <= audio < 33 * 2400


def test_words_that_run_ahead_leave_room_for_what_they_sound_like() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=40))

    assert "ResponseDone" not in names(talk.say(signals.TextProduced("resp_1", "word " * 100)))
    made = talk.say(signals.AudioProduced("resp_1", bytes(SECOND)), DONE)
    response = ended(made)
    assert response.status == "incomplete"
    assert response.status_details == events.StatusDetails(reason="max_output_tokens")
    usage = response.usage
    assert usage is not None
    assert usage.output.audio == 20
    assert 0 < usage.output.text <= 10


def test_a_call_that_is_too_long_is_never_called_complete() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=20))
    made = talk.say(
        signals.CallProduced("resp_1", 0, "f", '{"a": "b c d e f g h i j k l m n"}', True)
    )

    assert output_tokens(made) <= 20
    (call,) = ended(made).output
    assert isinstance(call, FunctionCall)
    assert call.status == "incomplete"
    assert ended(made).status == "incomplete"


def test_a_call_that_has_no_room_at_all_is_not_begun() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=5))
    made = talk.say(signals.CallProduced("resp_1", 0, "f", "{}", True))

    assert names(made) == ["ResponseDone"]
    assert ended(made).status == "incomplete"


def test_a_response_that_may_say_next_to_nothing_is_concluded_all_the_same() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=1))
    made = talk.say(
        signals.TextProduced("resp_1", "hello you"), signals.AudioProduced("resp_1", bytes(SECOND))
    )

    assert ended(made).status == "incomplete"
    assert output_tokens(made) <= 1


def test_a_response_within_its_limit_is_complete() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=40))
    made = talk.say(
        signals.TextProduced("resp_1", "one"), signals.AudioProduced("resp_1", bytes(SECOND)), DONE
    )

    assert ended(made).status == "completed"
    (item,) = ended(made).output
    assert isinstance(item, Message)
    assert isinstance(item.content[0], OutputAudio)
    assert item.content[0].samples == SECOND // 2


# How many at once.


def test_only_so_many_responses_run_at_once() -> None:
    talk = Talk()
    aside = commands.CreateResponse(conversation="none")
    for _ in range(64):
        talk.say(aside)

    assert error(talk.say(aside)).code == "rate_limit_exceeded"
    talk.say(commands.CancelResponse(response_id="resp_7"))
    assert names(talk.say(aside)) == ["ResponseCreated"]


def test_log_probabilities_that_no_engine_has_are_refused() -> None:
    talk = Talk()
    update = SessionUpdate(include=("item.input_audio_transcription.logprobs",))

    refusal = error(talk.say(commands.UpdateSession(update=update)))
    assert refusal.param == "session.include"
    assert "log probabilities" in refusal.message
    assert names(talk.say(commands.UpdateSession(update=SessionUpdate(include=None)))) == [
        "SessionUpdated"
    ]


def test_effects_of_a_failed_response_are_none() -> None:
    assert effects_in(crowded("disabled").say(TEXT)) == []


def test_instructions_of_one_response_leave_the_conversation_as_it_is() -> None:
    settings = SessionSettings(instructions="")
    talk = Talk(settings, quota=Quota(input_tokens=50))
    for at in range(5):
        item = Message(f"m{at}", "user", (InputText("a b c d e f g h"),))
        talk.say(commands.CreateItem(item=item))
    talk.say(commands.CreateResponse(output_modality="text", instructions="w " * 30), DONE)
    assert len(talk.request.context) == 1

    talk.say(TEXT)
    assert len(talk.request.context) == 5


def test_words_that_were_cut_off_are_never_gone_on_with() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=40))
    made = talk.say(
        *(signals.TextProduced("resp_1", word) for word in ("I have ", "extraordinarily ", "no ")),
        *(signals.TextProduced("resp_1", "idea ") for _ in range(20)),
    )
    words = "".join(
        each.delta for each in events_in(made) if isinstance(each, events.AudioTranscriptDelta)
    )

    assert ("I have extraordinarily no " + "idea " * 20).startswith(words)


def test_sound_without_a_word_to_it_is_not_made() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(max_output_tokens=8))
    made = talk.say(signals.TextProduced("resp_1", "hello you"))

    assert names(made) == ["ResponseDone"]
    assert ended(made).output == ()


def test_a_request_that_never_fits_is_not_told_to_try_again() -> None:
    talk = Talk(SessionSettings(instructions="w " * 200), quota=Quota(tokens_per_minute=100))
    details = ended(talk.say(TEXT)).status_details

    assert details is not None
    assert "more than a minute holds" in (details.error_message or "")


def test_a_list_that_is_too_long_is_refused() -> None:
    listed = tuple(Message("", "user", (InputText("x"),)) for _ in range(1001))

    refusal = error(Talk().say(commands.CreateResponse(input=listed)))
    assert (refusal.code, refusal.param) == ("array_above_max_length", "response.input")


def test_items_to_append_are_only_so_many() -> None:
    one = commands.CreateItem(item=Message("", "user", (InputText("x"),)))

    refusal = error(Talk().say(commands.CreateResponse(append=(one,) * 101)))
    assert refusal.param == "response.append_input_items"


def test_a_model_that_ends_before_it_is_done_leaves_the_response_incomplete() -> None:
    for reason in ("max_output_tokens", "content_filter"):
        talk = Talk()
        talk.say(TEXT, signals.TextProduced("resp_1", "Well"))
        made = talk.say(signals.GenerationFinished("resp_1", reason))

        response = ended(made)
        assert response.status == "incomplete"
        assert response.status_details == events.StatusDetails(reason=reason)
