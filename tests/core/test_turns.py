from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.settings import SemanticVad, ServerVad
from vivavoce.core.turns import (
    LIMIT_MS,
    PAUSE_MS,
    Boundary,
    Eagerness,
    Paused,
    Quietened,
    Resumed,
    Started,
    Stopped,
    TurnDetector,
    patience_ms,
)


def heard(detector: TurnDetector, *probabilities: float) -> list[Boundary]:
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
    times = [each.at_ms for each in boundaries if not isinstance(each, Resumed)]
    assert times == sorted(times)
    assert detector.speaking == bool(len(kinds) % 2)


def judged_detector(eagerness: Eagerness = "medium") -> TurnDetector:
    detector = TurnDetector(SemanticVad(eagerness), judged=True)
    heard(detector, 0.9, 0.9)
    return detector


def test_a_judge_is_asked_once_in_each_pause() -> None:
    detector = judged_detector()

    assert heard(detector, *[0.1] * 20) == [Paused(224)]
    assert heard(detector, 0.9, *[0.1] * 20) == [Paused(64 + 640 + 32 + 160)]


def test_silence_within_a_word_is_no_pause() -> None:
    assert heard(judged_detector(), *[0.1] * 4, 0.9, *[0.1] * 4, 0.9) == []


def test_a_turn_that_sounds_finished_ends_with_the_verdict() -> None:
    detector = judged_detector()
    heard(detector, *[0.1] * 6)

    assert detector.judge(1.0) == Stopped(256)
    assert not detector.speaking


def test_a_turn_that_sounds_unfinished_waits_for_the_limit_of_its_eagerness() -> None:
    for eagerness, limit_ms in LIMIT_MS.items():
        detector = judged_detector(eagerness)
        heard(detector, *[0.1] * 6)

        assert detector.judge(0.0) is None
        frames = -(-limit_ms // 32) - 6
        assert heard(detector, *[0.1] * (frames - 1)) == []
        assert heard(detector, 0.1) == [Stopped(64 + 32 * (frames + 6))]


def test_until_the_verdict_is_there_silence_is_no_end() -> None:
    assert heard(judged_detector(), *[0.1] * 124) == [Paused(224)]
    assert heard(judged_detector(), *[0.1] * 125) == [Paused(224), Stopped(64 + 4000)]


def test_without_a_verdict_patience_decides() -> None:
    detector = judged_detector()
    heard(detector, *[0.1] * 6)

    assert detector.judge(None) is None
    assert heard(detector, *[0.1] * 14) == [Stopped(64 + 640)]


def test_a_verdict_on_a_pause_that_is_over_says_nothing() -> None:
    detector = judged_detector()
    heard(detector, *[0.1] * 6, 0.9)

    assert detector.judge(1.0) is None
    assert detector.speaking


def test_another_pause_is_judged_anew() -> None:
    detector = judged_detector()
    heard(detector, *[0.1] * 6)
    detector.judge(0.9)
    heard(detector, 0.9)

    assert heard(detector, *[0.1] * 60) == [Paused(64 + 192 + 32 + 160)]


def test_server_vad_asks_nobody() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=500), judged=True)

    assert heard(detector, 0.9, 0.9, *[0.1] * 16) == [Started(0), Stopped(576)]


def test_a_change_to_silence_alone_in_a_pause_makes_the_verdict_worthless() -> None:
    detector = judged_detector()
    heard(detector, *[0.1] * 6)
    detector.follow(ServerVad(silence_duration_ms=500))

    assert detector.judge(1.0) is None
    assert heard(detector, *[0.1] * 10) == [Stopped(64 + 512)]


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(LIMIT_MS)))
def test_the_more_finished_the_less_patience(
    first: float, second: float, eagerness: Eagerness
) -> None:
    surer, doubtful = max(first, second), min(first, second)

    at_once, later = patience_ms(surer, eagerness), patience_ms(doubtful, eagerness)
    assert PAUSE_MS <= at_once <= later <= LIMIT_MS[eagerness]


def test_a_judge_beyond_its_range_is_taken_as_sure() -> None:
    assert patience_ms(7.0, "low") == PAUSE_MS
    assert patience_ms(-1.0, "low") == LIMIT_MS["low"]


def hasty_detector() -> TurnDetector:
    detector = TurnDetector(ServerVad(silence_duration_ms=200), hasty=True)
    heard(detector, 0.9, 0.9)
    return detector


def test_whoever_is_in_haste_hears_when_it_goes_quiet() -> None:
    assert heard(hasty_detector(), *[0.1] * 7) == [Quietened(160), Stopped(288)]


def test_and_when_it_goes_on() -> None:
    assert heard(hasty_detector(), *[0.1] * 4, 0.9, 0.9) == [Quietened(160), Resumed()]


def test_a_silence_that_ends_the_turn_as_soon_leaves_nothing_to_prepare() -> None:
    detector = TurnDetector(ServerVad(silence_duration_ms=64), hasty=True)

    assert heard(detector, 0.9, 0.9, *[0.1] * 3) == [Started(0), Stopped(128)]
