from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.settings import SemanticVad, ServerVad
from vivavoce.core.turns import Started, Stopped, TurnDetector


def heard(detector: TurnDetector, *probabilities: float) -> list[Started | Stopped]:
    boundaries = (detector.hear(each) for each in probabilities)
    return [each for each in boundaries if each is not None]


def test_a_turn_begins_where_its_first_voiced_frame_began() -> None:
    detector = TurnDetector(ServerVad())

    assert heard(detector, 0.1, 0.1, 0.9, 0.9) == [Started(64)]


def test_a_single_voiced_frame_is_a_click_and_no_turn() -> None:
    detector = TurnDetector(ServerVad())

    assert heard(detector, 0.9, 0.1, 0.9, 0.1, 0.1) == []


def test_a_turn_ends_with_the_frame_that_completes_the_silence() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=200))

    # 200 ms are reached within the seventh silent frame.
    assert heard(detector, 0.9, 0.9, *[0.1] * 7) == [Started(0), Stopped(288)]


def test_a_pause_shorter_than_the_silence_setting_does_not_end_the_turn() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=500))

    assert heard(detector, 0.9, 0.9, *[0.1] * 15, 0.9, *[0.1] * 15) == [Started(0)]


def test_a_fading_voice_holds_a_turn_that_it_could_not_have_begun() -> None:
    detector = TurnDetector(ServerVad(threshold=0.5, silence_duration_ms=64))

    assert heard(detector, 0.9, 0.9, 0.4, 0.4, 0.4) == [Started(0)]
    assert heard(TurnDetector(ServerVad(threshold=0.5)), 0.4, 0.4, 0.4) == []


def test_the_threshold_is_the_settings_own() -> None:
    assert heard(TurnDetector(ServerVad(threshold=0.8)), 0.7, 0.7, 0.7) == []
    assert heard(TurnDetector(ServerVad(threshold=0.8)), 0.8, 0.8) == [Started(0)]


def test_other_settings_take_effect_in_the_middle_of_a_word() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=2000))
    heard(detector, 0.9, 0.9)

    detector.follow(ServerVad(silence_duration_ms=64))

    assert heard(detector, 0.1, 0.1) == [Stopped(128)]


def test_after_a_cut_what_is_said_next_is_another_turn() -> None:
    detector = TurnDetector(ServerVad())
    heard(detector, 0.9, 0.9, 0.9)

    detector.cut()

    assert heard(detector, 0.9, 0.9) == [Started(96)]


def test_without_patience_the_first_silent_frame_ends_a_turn_and_a_voiced_one_never() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=0))

    assert heard(detector, *[0.9] * 10, 0.1) == [Started(0), Stopped(352)]


def test_a_low_threshold_leaves_room_for_silence() -> None:
    detector = TurnDetector(ServerVad(threshold=0.1, silence_duration_ms=64))

    assert heard(detector, 0.2, 0.2, 0.06, 0.02, 0.02) == [Started(0), Stopped(160)]


def test_a_frame_that_is_skipped_counts_and_is_not_judged() -> None:
    detector = TurnDetector(ServerVad())
    heard(detector, 0.9)

    detector.skip()

    assert heard(detector, 0.9, 0.9) == [Started(64)]


def test_who_speaks_already_when_detection_begins_can_fall_silent() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=64), speaking=True)

    assert heard(detector, 0.9, 0.1, 0.1) == [Stopped(96)]


def test_an_eager_listener_waits_less_than_a_patient_one() -> None:
    def wait(detector: TurnDetector) -> int:
        heard(detector, 0.9, 0.9)
        return next(n for n in range(1000) if detector.hear(0.0) is not None)

    eagerness = (
        SemanticVad("high"),
        SemanticVad("auto"),
        SemanticVad("medium"),
        SemanticVad("low"),
    )
    high, auto, medium, low = (wait(TurnDetector(each)) for each in eagerness)

    assert high < auto == medium < low


@given(st.lists(st.floats(0, 1), max_size=300), st.integers(0, 500))
def test_turns_begin_and_end_in_turn_and_in_order(probabilities: list[float], silence: int) -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=silence))

    boundaries = heard(detector, *probabilities)

    kinds = [type(each) for each in boundaries]
    assert kinds == [Started, Stopped] * (len(kinds) // 2) + [Started] * (len(kinds) % 2)
    assert [each.at_ms for each in boundaries] == sorted(each.at_ms for each in boundaries)
    assert detector.speaking == bool(len(kinds) % 2)
