"""What is counted, and what is logged: never a secret, never a word of a conversation."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars

from vivavoce.core import commands, events, signals
from vivavoce.core.effects import FlushPlayback, Output, Tell
from vivavoce.core.errors import Refusal
from vivavoce.core.session import Input
from vivavoce.core.settings import AudioFormat
from vivavoce.observe import Metrics, start_logging
from vivavoce.runtime.observer import Step
from vivavoce.testing.conversations import SILENCE, VOICE, Talk

SECRET = "sk-hush-hush"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@contextmanager
def logged(level: str = "info", **options: str) -> Iterator[list[dict[str, object]]]:
    """Lines as JSON objects, once the context is left."""
    stream, lines = io.StringIO(), list[dict[str, object]]()
    start_logging(level, "json", stream=stream, secrets=(SECRET,))
    yield lines
    lines += map(json.loads, stream.getvalue().splitlines())


def test_a_line_holds_its_event_its_values_and_its_session() -> None:
    with logged() as lines, bound_contextvars(session="sess_1"):
        structlog.get_logger("x").info("session begins", dialect="ga", tries=2)
    assert lines[0].pop("timestamp")
    assert lines == [
        {
            "event": "session begins",
            "dialect": "ga",
            "tries": 2,
            "session": "sess_1",
            "level": "info",
        }
    ]


def test_what_is_below_the_level_is_left_out() -> None:
    with logged("warning") as lines:
        structlog.get_logger("x").info("no")
        logging.getLogger("x").info("no")
        structlog.get_logger("x").warning("yes")
    assert [line["event"] for line in lines] == ["yes"]


def test_a_terminal_is_told_in_words() -> None:
    stream = io.StringIO()
    start_logging("info", "text", stream=stream)
    structlog.get_logger("x").info("session begins", dialect="ga")
    assert "session begins" in stream.getvalue()
    assert "dialect=ga" in stream.getvalue()


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("set_to", "coloured"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_shows_colours_unless_they_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if set_to is not None:
        monkeypatch.setenv("NO_COLOR", set_to)
    stream = Terminal()
    start_logging("info", "auto", stream=stream)
    structlog.get_logger("x").info("hello")
    assert "hello" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_what_is_no_terminal_is_told_in_json() -> None:
    stream = io.StringIO()
    start_logging("info", "auto", stream=stream)
    structlog.get_logger("x").info("hello")
    assert json.loads(stream.getvalue())["event"] == "hello"


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize(
    "name",
    [
        "uvicorn.error",
        "uvicorn.asgi",
        "websockets.client",
        "openai._base_client",
        "httpx",
        "httpx2",
        "httpcore.http11",
        "httpcore2.connection",
        "huggingface_hub.file_download",
    ],
)
def test_libraries_do_not_show_what_clients_send(level: str, name: str) -> None:
    with logged(level) as lines:
        logging.getLogger(name).info("GET /?api-key=%s", "of-somebody-else")
        logging.getLogger(name).warning("careful")
    assert [line["event"] for line in lines] == ["careful"]


def test_nor_do_those_that_make_themselves_talkative() -> None:
    library = logging.getLogger("openai")
    with logged("debug") as lines:
        library.setLevel(logging.DEBUG)  # as it does where OPENAI_LOG says so
        library.debug("Request options: what was said")
        logging.getLogger("openairline").debug("something else")
    assert [line["event"] for line in lines] == ["something else"]


def test_a_secret_is_blotted_out_wherever_it_comes_up() -> None:
    with logged() as lines:
        structlog.get_logger("x").info(f"key {SECRET}", where=["a", {"b": SECRET}])
        logging.getLogger("y").warning("GET /?api-key=%s", SECRET)
    assert SECRET not in json.dumps(lines)
    assert lines[1]["event"] == "GET /?api-key=***"


def test_an_exception_is_told_by_type_and_place_and_not_by_what_it_says() -> None:
    def speak() -> None:
        raise KeyError("what the user said")

    with logged() as lines:
        try:
            speak()
        except KeyError:
            structlog.get_logger("x").exception("session failed")
            logging.getLogger("y").exception("failed too")
    assert "what the user said" not in json.dumps(lines)
    for line in lines:
        assert line["exception"] == "KeyError"
        assert "speak" in str(line["raised_at"]).split(" < ")[0]


def test_of_a_group_of_exceptions_each_is_told() -> None:
    with logged() as lines:
        group = ExceptionGroup("many", [KeyError("a"), ExceptionGroup("more", [OSError("b")])])
        structlog.get_logger("x").error("failed", exc_info=group)
    assert lines[0]["exception"] == "KeyError, OSError"


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """A sample; 0 where nothing was counted."""
    return metrics.registry.get_sample_value(f"vivavoce_{name}", labels) or 0


def step(now: float, *outputs: Output, session: str = "s") -> Step:
    """A step that gave those outputs."""
    return Step(session, now, None, None, outputs)


def stopped() -> Tell:
    """A user fell silent."""
    return Tell(events.SpeechStopped(event_id="e", item_id="i", audio_end_ms=1))


def audio() -> Tell:
    """A piece of an answer."""
    return Tell(
        events.AudioDelta(
            event_id="e",
            response_id="r",
            item_id="i",
            output_index=0,
            content_index=0,
            audio=b"",
            format=AudioFormat(),
        )
    )


def test_turns_and_errors_are_counted_from_what_a_session_says() -> None:
    metrics = Metrics()
    bad = events.ErrorRaised(event_id="e", refusal=Refusal("no", code="invalid_value"))
    worse = events.ErrorRaised(event_id="e", refusal=Refusal("no", code=None))
    metrics(step(1, stopped(), Tell(bad), Tell(worse), FlushPlayback("r")))
    assert value(metrics, "turns_total") == 1
    assert value(metrics, "errors_total", code="invalid_value") == 1
    assert value(metrics, "errors_total", code="none") == 1


@given(st.lists(st.sampled_from(["stopped", "audio", "over"]), max_size=20))
def test_the_time_to_the_first_audio_is_counted_once_a_turn(said: list[str]) -> None:
    metrics, waiting, expected = Metrics(), False, 0
    for now, what in enumerate(said):
        if what == "stopped":
            metrics(step(now, stopped()))
            waiting = True
        elif what == "audio":
            metrics(step(now, audio()))
            expected += waiting
            waiting = False
        else:
            metrics.session_over("s", "d")
            waiting = False
    assert value(metrics, "latency_seconds_count", stage="first_audio") == expected


def test_a_session_waits_for_its_own_audio_only() -> None:
    metrics = Metrics()
    metrics(step(1, stopped(), session="a"))
    metrics(step(2, audio(), session="b"))
    metrics(step(3, audio(), session="a"))
    assert value(metrics, "latency_seconds_count", stage="first_audio") == 1
    assert value(metrics, "latency_seconds_sum", stage="first_audio") == 2


def test_the_depth_of_a_queue_is_asked_when_the_metrics_are_read() -> None:
    metrics, waiting = Metrics(), [1, 2]
    metrics.queued("espeak", lambda: len(waiting))
    assert value(metrics, "queue_depth", queue="espeak") == 2
    waiting.clear()
    assert b'vivavoce_queue_depth{queue="espeak"} 0.0' in metrics.exposition()


def test_lines_that_were_cut_are_counted_by_code() -> None:
    metrics = Metrics()
    metrics.cut_off(1008, "too slow")
    assert value(metrics, "clients_cut_off_total", code="1008", reason="too slow") == 1


def test_every_stage_of_an_answer_is_timed_from_the_end_of_speech() -> None:
    metrics, talk = Metrics(), Talk()

    def note(at: float, *inputs: Input) -> None:
        for said in inputs:
            metrics(Step("sess_1", at, 0, said, talk.say(said)))

    talk.hear(*[VOICE] * 20, *[SILENCE] * 6)
    note(1.0, commands.AppendAudio(audio=bytes(1536)), signals.Heard(0, (SILENCE,)))
    note(1.1, signals.TranscriptFinished("item_1", "hello"))
    note(1.2, signals.TextProduced("resp_1", "Hi"), signals.TextProduced("resp_1", " you"))
    note(1.3, signals.AudioProduced("resp_1", bytes(4800)))
    note(1.5, signals.AudioProduced("resp_1", bytes(4800)), signals.GenerationFinished("resp_1"))

    taken = {
        stage: value(metrics, "latency_seconds_sum", stage=stage)
        for stage in ("transcript", "first_word", "first_audio", "response_done")
    }
    assert taken == pytest.approx(
        {"transcript": 0.1, "first_word": 0.2, "first_audio": 0.3, "response_done": 0.5}
    )
