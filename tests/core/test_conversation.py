import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core import conversation as conversations
from vivavoce.core.conversation import Conversation, begun, cut_speech
from vivavoce.core.errors import Refusal
from vivavoce.core.items import InputText, Mark, Message, OutputAudio
from vivavoce.core.recordings import Recordings
from vivavoce.core.settings import AudioFormat


def note(item_id: str) -> Message:
    return Message(item_id, "user", (InputText("hello"),))


def order(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation.items]


PCM = AudioFormat("audio/pcm")
SPEECH = OutputAudio(
    transcript="one two three",
    heard="one two three",
    samples=24000,
    rate_hz=24000,
    marks=(Mark(0, 3, 0), Mark(4, 7, 8000), Mark(8, 13, 16000)),
)


def test_items_go_to_the_end_the_beginning_or_behind_another() -> None:
    conversation = Conversation("conv_1")

    previous = [
        conversation.add(note("b")),
        conversation.add(note("d")),
        conversation.add(note("a"), "root"),
        conversation.add(note("c"), "b"),
    ]

    assert previous == [None, "b", None, "b"]
    assert order(conversation) == ["a", "b", "c", "d"]


def test_an_unknown_predecessor_is_refused_and_nothing_is_added() -> None:
    conversation = Conversation("conv_1")

    with pytest.raises(Refusal, match="previous item with id 'x' does not exist") as refused:
        conversation.add(note("a"), "x")

    assert refused.value.code == "item_create_invalid_previous_item_id"
    assert conversation.items == ()


def test_an_id_that_is_taken_is_refused() -> None:
    conversation = Conversation("conv_1")
    conversation.add(note("a"))

    with pytest.raises(Refusal) as refused:
        conversation.add(note("a"))

    assert refused.value.code == "item_create_duplicate_item_id"


def test_deleting_closes_the_chain() -> None:
    conversation = Conversation("conv_1")
    for item_id in "abc":
        conversation.add(note(item_id))

    conversation.delete("b")

    assert conversation.previous("c") == "a"
    assert conversation.previous("a") is None
    with pytest.raises(Refusal, match="'b' does not exist"):
        conversation.delete("b")


def test_a_late_change_of_a_deleted_item_does_not_bring_it_back() -> None:
    conversation = Conversation("conv_1")
    conversation.add(note("a"))
    conversation.delete("a")

    conversation.replace(note("a"))

    assert conversation.items == ()


def test_truncation_keeps_the_sound_to_the_point_and_the_words_begun_by_then() -> None:
    conversation = Conversation("conv_1")
    conversation.add(Message("a", "assistant", (SPEECH,)))
    conversation.recordings.grow("a", 0, bytes(48000), PCM)

    conversation.truncate("a", 0, 500)

    message = conversation.find("a")
    assert isinstance(message, Message)
    part = message.content[0]
    assert isinstance(part, OutputAudio)
    assert (part.transcript, part.heard, part.duration_ms) == ("", "one two", 500)
    assert [len(pcm) for _, pcm, _ in conversation.recordings.of("a")] == [24000]


def test_truncation_to_nothing_leaves_no_word() -> None:
    assert cut_speech(SPEECH, 0).heard == ""


def test_truncation_at_the_very_end_keeps_every_word() -> None:
    assert cut_speech(SPEECH, 24000).heard == "one two three"


def test_without_marks_each_letter_takes_its_share_of_the_time() -> None:
    unmarked = OutputAudio("one two three", "one two three", 13000, 24000)

    assert cut_speech(unmarked, 5000).heard == "one two"


@pytest.mark.parametrize(
    ("item_id", "index", "end_ms", "code", "message"),
    [
        ("x", 0, 0, "item_truncate_invalid_item_id", "Item with item_id not found: x"),
        ("u", 0, 0, "unsupported_content_type", "Only model output audio messages"),
        ("a", 1, 0, "invalid_value", "content_index 0"),
        ("a", 0, 1001, "invalid_value", "1000ms is already shorter than 1001ms"),
    ],
)
def test_what_cannot_be_truncated(
    item_id: str, index: int, end_ms: int, code: str, message: str
) -> None:
    conversation = Conversation("conv_1")
    conversation.add(note("u"))
    conversation.add(Message("a", "assistant", (SPEECH,)))

    with pytest.raises(Refusal, match=message) as refused:
        conversation.truncate(item_id, index, end_ms)

    assert refused.value.code == code


@given(st.integers(0, 24000))
def test_the_words_that_are_left_are_a_beginning_of_what_was_said(samples: int) -> None:
    assert SPEECH.heard.startswith(cut_speech(SPEECH, samples).heard)


def test_beyond_the_bound_the_oldest_recording_goes_first() -> None:
    recordings = Recordings(max_bytes=100)
    recordings.grow("a", 0, bytes(60), PCM)
    recordings.grow("b", 0, bytes(60), PCM)
    recordings.grow("a", 0, bytes(10), PCM)

    assert list(recordings.of("a")) == []
    assert [len(pcm) for _, pcm, _ in recordings.of("b")] == [60]
    assert recordings.byte_count == 60


def test_a_recording_larger_than_the_bound_is_not_kept_at_all() -> None:
    recordings = Recordings(max_bytes=100)
    recordings.grow("a", 0, bytes(60), PCM)
    recordings.grow("a", 0, bytes(60), PCM)

    assert list(recordings.of("a")) == []
    assert recordings.byte_count == 0


def test_a_dropped_item_leaves_nothing_behind() -> None:
    recordings = Recordings(max_bytes=10)
    recordings.grow("a", 0, bytes(20), PCM)
    recordings.drop("a")

    recordings.grow("a", 0, bytes(8), PCM)

    assert [len(pcm) for _, pcm, _ in recordings.of("a")] == [8]


def test_an_item_of_a_client_holds_a_mebibyte_of_text_and_no_more() -> None:
    conversation = Conversation("conv_1")
    conversation.check_room(Message("a", "user", (InputText("x" * (1 << 20)),)))

    with pytest.raises(Refusal) as refused:
        conversation.check_room(Message("a", "user", (InputText("x" * (1 << 20)), InputText("y"))))

    assert (refused.value.code, refused.value.param) == ("string_above_max_length", "item")


def test_a_full_conversation_takes_items_again_once_some_were_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversations, "MAX_WEIGHT", 3 * conversations.ITEM_WEIGHT)
    conversation = Conversation("conv_1")
    for item_id in ("a", "b"):
        conversation.check_room(note(item_id))
        conversation.add(note(item_id))

    with pytest.raises(Refusal) as refused:
        conversation.check_room(note("c"))
    assert refused.value.code == "conversation_full"

    conversation.delete("a")
    conversation.check_room(note("c"))


def test_what_an_item_grows_by_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "MAX_WEIGHT", 2 * conversations.ITEM_WEIGHT + 20)
    conversation = Conversation("conv_1")
    conversation.add(note("a"))
    conversation.check_room(note("b"))

    conversation.replace(Message("a", "user", (InputText("hello" * 5),)))

    with pytest.raises(Refusal):
        conversation.check_room(note("b"))


def phrased(samples: int) -> str:
    """What had begun of two phrases, the first of 1000 samples and the second of 500."""
    text = "one two three four. five six."
    marks = (Mark(0, 20, 0), Mark(20, len(text), 1000))
    return begun(OutputAudio(text, text, 1500, 24000, marks), samples)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (1, "one"),
        (200, "one two"),
        (600, "one two three"),
        (999, "one two three four."),
        (1001, "one two three four. five"),
        (1499, "one two three four. five six."),
        (1500, "one two three four. five six."),
    ],
)
def test_within_a_phrase_each_letter_takes_its_share_of_the_time(samples: int, words: str) -> None:
    assert phrased(samples) == words


@given(
    st.text("ab ,.", max_size=40),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 1200)), max_size=6),
    st.lists(st.integers(0, 1000), max_size=4),
)
def test_however_speech_is_marked_and_cut_what_is_left_is_a_beginning_of_it(
    text: str, drawn: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    marks = tuple(Mark(min(a, b), max(a, b), at) for a, b, at in sorted(drawn, key=lambda m: m[2]))
    part = OutputAudio(text, text, 1000, 24000, marks)
    for samples in cuts:
        shorter = cut_speech(part, min(samples, part.samples))
        assert part.heard.startswith(shorter.heard)
        part = shorter
