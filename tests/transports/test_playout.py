from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from vivavoce.core.signals import Played
from vivavoce.transports.webrtc.playout import Playout

FRAME = 480  # samples


def tone(*samples: int) -> bytes:
    return b"".join(each.to_bytes(2, "little") for each in samples)


def voice(count: int, value: int = 1) -> bytes:
    """So many equal samples, none of them silent."""
    return tone(value) * count


def frame_of(*parts: bytes) -> bytes:
    """One frame that begins so, and is silent after that."""
    return b"".join(parts).ljust(2 * FRAME, b"\0")


def test_where_nothing_is_to_be_heard_there_is_silence() -> None:
    assert Playout().take() == (None, ())


def test_a_response_leaves_by_whole_frames_and_its_last_one_is_filled_with_silence() -> None:
    playout = Playout()
    playout.add("r", voice(1000))
    playout.conclude("r")

    assert [playout.take() for _ in range(4)] == [
        (voice(480), (Played("r", 480),)),
        (voice(480), (Played("r", 960),)),
        (frame_of(voice(40)), (Played("r", 1000, finished=True),)),
        (None, ()),
    ]


def test_a_response_that_ends_with_a_frame_is_finished_by_that_frame() -> None:
    playout = Playout()
    playout.add("r", voice(480))
    playout.conclude("r")

    assert playout.take() == (voice(480), (Played("r", 480, finished=True),))
    assert playout.take() == (None, ())


def test_audio_arrives_in_pieces_of_any_size() -> None:
    playout = Playout()
    for value in range(1, 961):
        playout.add("r", tone(value))

    assert playout.take()[0] == tone(*range(1, 481))
    assert playout.take()[0] == tone(*range(481, 961))


def test_what_is_less_than_a_frame_waits_once_for_more() -> None:
    playout = Playout()
    playout.add("r", voice(300))
    assert playout.take() == (None, ())

    playout.add("r", voice(300))

    assert playout.take() == (voice(480), (Played("r", 480),))


def test_what_is_less_than_a_frame_and_waited_once_leaves() -> None:
    playout = Playout()
    playout.add("r", voice(300))
    playout.take()

    assert playout.take() == (frame_of(voice(300)), (Played("r", 300),))
    # The next too little waits again, however long there was nothing.
    playout.take()
    playout.add("r", voice(10))
    assert playout.take() == (None, ())


def test_a_response_made_slower_than_it_plays_counts_its_own_audio_only() -> None:
    playout = Playout()
    heard = []
    for _ in range(3):
        playout.add("r", voice(480))
        heard += [playout.take(), playout.take()]
    playout.conclude("r")
    heard.append(playout.take())

    assert [frame is None for frame, _ in heard] == [False, True] * 3 + [True]
    assert [told for _, told in heard if told] == [
        (Played("r", 480),),
        (Played("r", 960),),
        (Played("r", 1440),),
        (Played("r", 1440, finished=True),),
    ]


def test_a_response_that_follows_at_once_fills_the_last_frame_of_the_one_before() -> None:
    playout = Playout()
    playout.add("a", voice(500, 1))
    playout.conclude("a")
    playout.add("b", voice(500, 2))

    assert [playout.take() for _ in range(2)] == [
        (voice(480, 1), (Played("a", 480),)),
        (voice(20, 1) + voice(460, 2), (Played("a", 500, finished=True), Played("b", 460))),
    ]


def test_several_short_responses_fit_into_one_frame() -> None:
    playout = Playout()
    for name in "abc":
        playout.add(name, voice(100))
        playout.conclude(name)

    assert playout.take() == (
        frame_of(voice(300)),
        tuple(Played(name, 100, finished=True) for name in "abc"),
    )


def test_too_little_of_the_next_response_does_not_leave_early() -> None:
    playout = Playout()
    playout.add("a", voice(20, 1))
    playout.conclude("a")
    playout.add("b", voice(30, 2))

    assert playout.take() == (frame_of(voice(20, 1)), (Played("a", 20, finished=True),))
    # That was its wait.
    assert playout.take() == (frame_of(voice(30, 2)), (Played("b", 30),))


def test_responses_are_heard_in_the_order_in_which_each_first_had_audio() -> None:
    playout = Playout()
    playout.add("a", voice(480, 1))
    playout.add("b", voice(480, 2))
    playout.add("a", voice(480, 3))
    playout.conclude("b")
    playout.conclude("a")

    assert [playout.take()[0] for _ in range(3)] == [voice(480, 1), voice(480, 3), voice(480, 2)]


def test_a_response_that_may_go_on_holds_up_the_next() -> None:
    playout = Playout()
    playout.add("a", voice(480, 1))
    playout.add("b", voice(480, 2))
    playout.take()

    assert playout.take() == (None, ())
    playout.conclude("a")
    assert playout.take() == (
        voice(480, 2),
        (Played("a", 480, finished=True), Played("b", 480)),
    )


def test_a_response_without_audio_is_never_told() -> None:
    playout = Playout()
    playout.add("r", b"")
    playout.conclude("r")
    playout.add("r", voice(480))

    assert playout.take() == (None, ())


def test_what_is_flushed_is_neither_heard_nor_told_and_stays_so() -> None:
    playout = Playout()
    playout.add("r", voice(1000))
    playout.take()

    playout.flush("r")
    playout.add("r", voice(1000))
    playout.conclude("r")

    assert playout.take() == (None, ())
    assert playout.queued_ms == 0


def test_a_response_may_be_flushed_before_it_has_audio() -> None:
    playout = Playout()

    playout.flush("r")
    playout.add("r", voice(480))

    assert playout.take() == (None, ())


def test_flushing_one_response_leaves_the_others() -> None:
    playout = Playout()
    playout.add("a", voice(480, 1))
    playout.add("b", voice(480, 2))

    playout.flush("a")

    assert playout.take() == (voice(480, 2), (Played("b", 480),))


def test_audio_after_the_end_of_a_response_is_ignored() -> None:
    playout = Playout()
    playout.add("r", voice(480))
    playout.conclude("r")
    playout.add("r", voice(480))
    playout.take()
    playout.add("r", voice(480))

    assert playout.take() == (None, ())


def test_a_forgotten_response_is_still_played_to_its_end() -> None:
    playout = Playout()
    playout.add("r", voice(960))
    playout.conclude("r")

    playout.forget("r")

    assert playout.take() == (voice(480), (Played("r", 480),))
    assert playout.take() == (voice(480), (Played("r", 960, finished=True),))


def test_a_forgotten_response_has_no_more_to_wait_for() -> None:
    playout = Playout()
    playout.add("r", voice(100))

    playout.forget("r")

    assert playout.take() == (frame_of(voice(100)), (Played("r", 100, finished=True),))


def test_a_forgotten_response_can_be_flushed() -> None:
    playout = Playout()
    playout.add("r", voice(960))
    playout.forget("r")

    playout.flush("r")

    assert playout.take() == (None, ())


def test_nothing_is_kept_of_responses_that_are_over_for_good() -> None:
    def forgotten_before_its_end(playout: Playout) -> None:
        playout.forget("r")
        playout.take()

    def forgotten_after_its_end(playout: Playout) -> None:
        playout.conclude("r")
        playout.take()
        playout.forget("r")

    def flushed(playout: Playout) -> None:
        playout.flush("r")
        playout.forget("r")

    def flushed_after_all(playout: Playout) -> None:
        playout.forget("r")
        playout.flush("r")

    for end in (forgotten_before_its_end, forgotten_after_its_end, flushed, flushed_after_all):
        playout = Playout()
        playout.add("r", voice(100))
        end(playout)
        # An id that is known to be over takes no audio; one that nobody remembers does.
        playout.add("r", voice(480))
        assert playout.take()[0] == voice(480), end.__name__


def test_what_waits_is_told_in_milliseconds() -> None:
    playout = Playout()
    playout.add("a", voice(2400))
    playout.add("b", voice(12))

    assert playout.queued_ms == pytest.approx(100.5)
    playout.take()
    assert playout.queued_ms == pytest.approx(80.5)


class Add(Struct, frozen=True):
    name: str
    count: int


class Conclude(Struct, frozen=True):
    name: str


class Flush(Struct, frozen=True):
    name: str


class Take(Struct, frozen=True):
    pass


Step = Add | Conclude | Flush | Take
names = st.sampled_from("abc")
lengths = st.integers(0, 1500) | st.sampled_from([479, 480, 481, 960])
steps = st.lists(
    st.builds(Add, names, lengths)
    | st.builds(Conclude, names)
    | st.builds(Flush, names)
    | st.builds(Take),
    max_size=60,
)


class Listener:
    """Plays steps and keeps what was given, so that it can be compared with what was heard."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.given: dict[str, list[int]] = {}  # samples, in the order of the first ones
        self.over: set[str] = set()  # concluded or flushed
        self.flushed: set[str] = set()
        self.heard: list[int] = []
        self.told: list[Played] = []
        self._last = 0

    def play(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Add(name, count):
                    self.add(name, count)
                case Conclude(name):
                    self.playout.conclude(name)
                    self.over.add(name)
                case Flush(name):
                    self.playout.flush(name)
                    self.over.add(name)
                    self.flushed.add(name)
                case Take():
                    self.take()

    def add(self, name: str, count: int) -> None:
        """Every sample is one of a kind, and none is silence."""
        samples = [self._last + n for n in range(1, count + 1)]
        self._last += count
        if self._last > 0xFFFF:
            return
        self.playout.add(name, tone(*samples))
        if name not in self.over:
            self.given.setdefault(name, []).extend(samples)

    def take(self) -> None:
        frame, told = self.playout.take()
        assert frame is None or len(frame) == 2 * FRAME
        assert frame is not None or all(each.finished for each in told)
        values = memoryview(frame or b"").cast("H").tolist()
        self.heard += [value for value in values if value]
        self.told += told

    def end(self) -> None:
        for name in "abc":
            self.playout.conclude(name)
        while self.playout.queued_ms:
            self.take()
        self.take()

    def samples_of(self, name: str) -> list[int]:
        own = set(self.given.get(name, ()))
        return [sample for sample in self.heard if sample in own]


@given(steps)
def test_every_sample_that_is_not_flushed_is_heard_once_and_in_order(steps: list[Step]) -> None:
    listener = Listener()
    listener.play(steps)
    listener.end()

    for name, given_samples in listener.given.items():
        heard = listener.samples_of(name)
        if name not in listener.flushed:
            assert heard == given_samples
        assert heard == given_samples[: len(heard)]
    assert len(listener.heard) == len(set(listener.heard))
    ranks = {sample: at for at, own in enumerate(listener.given.values()) for sample in own}
    assert listener.heard == sorted(listener.heard, key=lambda sample: ranks[sample])


@given(steps)
def test_what_is_told_is_what_was_heard(steps: list[Step]) -> None:
    listener = Listener()
    listener.play(steps)
    listener.end()

    for name in "abc":
        told = [each for each in listener.told if each.response_id == name]
        counts = [each.samples for each in told]
        assert counts == sorted(counts)
        assert (counts or [0])[-1] == len(listener.samples_of(name))
        had_audio = bool(listener.given.get(name))
        finished = [each.finished for each in told]
        if had_audio and name not in listener.flushed:
            assert finished == [False] * (len(told) - 1) + [True]
        assert sum(finished) <= 1
        assert had_audio or not told


@given(steps)
def test_a_take_tells_each_response_at_most_once(steps: list[Step]) -> None:
    playout = Playout()
    listener = Listener()
    listener.playout = playout
    for step in steps:
        before = len(listener.told)
        listener.play([step])
        names = [each.response_id for each in listener.told[before:]]
        assert len(names) == len(set(names))


def test_what_is_told_crosses_the_seam_as_it_is() -> None:
    playout = Playout()
    playout.add("r", voice(480))
    _, told = playout.take()

    assert msgspec.to_builtins(told) == ({"response_id": "r", "samples": 480, "finished": False},)
