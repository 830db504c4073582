"""Metrics and logs. Neither ever holds what was said, nor a secret."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TextIO

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from structlog.typing import EventDict, Processor, WrappedLogger

from vivavoce.core import events
from vivavoce.core.effects import Tell
from vivavoce.core.events import ServerEvent
from vivavoce.core.signals import TranscriptFinished
from vivavoce.engines.api import Work
from vivavoce.runtime.observer import Step

log = structlog.get_logger("vivavoce.sessions")

LATENCIES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5, 10)
PACES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.8, 1.0, 2.0)
# Their debug and info lines show request lines, headers and bodies: with them keys, and what was said.
CHATTY = (
    "uvicorn.error",
    "uvicorn.access",
    "uvicorn.asgi",
    "websockets",
    "openai",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "huggingface_hub",
    "aioice",
    "aiortc",
)

Format = Literal["auto", "text", "json"]


STAGES = ("transcript", "first_word", "first_audio", "response_done")  # from speech_stopped on


class _Turn(Struct):
    """A turn that is being answered: when its speech stopped, and which stages lie ahead."""

    stopped_at: float
    ahead: set[str]


class Metrics:
    """What Prometheus may ask. It is an Observer of sessions too: call it with each step."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._live = Gauge(
            "vivavoce_sessions_live", "Sessions under way", ["deployment"], registry=registry
        )
        self._sessions = Counter(
            "vivavoce_sessions",
            "Sessions begun",
            ["deployment", "dialect", "transport"],
            registry=registry,
        )
        self._calls = Counter(
            "vivavoce_calls",
            "WebRTC calls that are over, by codec and whether they ever connected",
            ["codec", "connected"],
            registry=registry,
        )
        self._packets = Counter(
            "vivavoce_rtp_packets",
            "Audio packets of calls that are over, by what became of them",
            ["fate"],
            registry=registry,
        )
        self._refused = Counter(
            "vivavoce_refused", "Requests and upgrades refused", ["status"], registry=registry
        )
        self._turns = Counter("vivavoce_turns", "Turns that a user spoke", registry=registry)
        self._responses = Counter(
            "vivavoce_responses", "Responses by how they ended", ["status"], registry=registry
        )
        self._errors = Counter(
            "vivavoce_errors", "Error events sent to clients", ["code"], registry=registry
        )
        self._cut_off = Counter(
            "vivavoce_clients_cut_off",
            "Connections that the server ended by itself",
            ["code", "reason"],
            registry=registry,
        )
        self._latency = Histogram(
            "vivavoce_latency_seconds",
            "From the end of speech to each stage of its answer",
            ["stage"],
            buckets=LATENCIES,
            registry=registry,
        )
        self._queues = Gauge(
            "vivavoce_queue_depth", "What waits in queues now", ["queue"], registry=registry
        )
        self._engine_waits = Histogram(
            "vivavoce_engine_queue_seconds",
            "How long a piece of work waited for its engine",
            ["engine"],
            buckets=LATENCIES,
            registry=registry,
        )
        self._engine_pace = Histogram(
            "vivavoce_engine_real_time_factor",
            "Seconds of work for a second of audio",
            ["engine"],
            buckets=PACES,
            registry=registry,
        )
        self._turn_of: dict[str, _Turn] = {}  # session -> the turn that it is answering

    def session_begun(
        self, deployment: str, dialect: str, transport: Literal["websocket", "webrtc"]
    ) -> None:
        """One more lives."""
        self._sessions.labels(deployment, dialect, transport).inc()
        self._live.labels(deployment).inc()

    def session_over(self, session_id: str, deployment: str) -> None:
        """One less lives."""
        self._turn_of.pop(session_id, None)
        self._live.labels(deployment).dec()

    def call_over(self, codec: str | None, packets: Mapping[str, int], *, connected: bool) -> None:
        """A call has ended; *packets* says what became of the audio that came in."""
        self._calls.labels(codec or "none", "yes" if connected else "no").inc()
        for fate, count in packets.items():
            self._packets.labels(fate).inc(count)

    def refused(self, status: int) -> None:
        """A request or an upgrade was turned down."""
        self._refused.labels(str(status)).inc()

    def cut_off(self, code: int, reason: str) -> None:
        """The server ended a connection by itself, with that close code and reason."""
        self._cut_off.labels(str(code), reason).inc()

    def took(self, stage: str, seconds: float) -> None:
        """A stage of a turn took that long."""
        self._latency.labels(stage).observe(seconds)

    def queued(self, queue: str, depth: Callable[[], float]) -> None:
        """Have the depth of a queue asked whenever the metrics are read."""
        self._queues.labels(queue).set_function(depth)

    def worked(self, engine: str, work: Work) -> None:
        """An engine that sessions share did a piece of work."""
        self._engine_waits.labels(engine).observe(work.queued_s)
        if work.audio_s > 0:
            self._engine_pace.labels(engine).observe(work.busy_s / work.audio_s)

    def __call__(self, step: Step) -> None:
        """Count what a step of a session said."""
        if isinstance(step.said, TranscriptFinished):
            self._reach("transcript", step)
        for output in step.outputs:
            if isinstance(output, Tell):
                self._count(output.event, step)

    def _count(self, event: ServerEvent, step: Step) -> None:
        match event:
            case events.AudioDelta():
                self._reach("first_audio", step)
            case events.AudioTranscriptDelta() | events.TextDelta():
                self._reach("first_word", step)
            case events.SpeechStopped():
                self._turns.inc()
                self._turn_of[step.session_id] = _Turn(step.now, set(STAGES))
            case events.ResponseDone(response=response):
                self._responses.labels(response.status).inc()
                if response.status == "failed" and response.status_details is not None:
                    # Its message may quote what was said; the client has it.
                    log.warning(
                        "response failed",
                        session=step.session_id,
                        code=response.status_details.error_code,
                    )
                if response.status == "completed":
                    self._reach("response_done", step)
                self._turn_of.pop(step.session_id, None)
            case events.ErrorRaised(refusal=refusal):
                self._errors.labels(refusal.code or "none").inc()
            case _:
                return

    def _reach(self, stage: str, step: Step) -> None:
        """Note when a turn reaches a stage for the first time, counted from its end of speech."""
        turn = self._turn_of.get(step.session_id)
        if turn is not None and stage in turn.ahead:
            turn.ahead.discard(stage)
            self.took(stage, step.now - turn.stopped_at)

    def exposition(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self.registry)


def start_logging(
    level: str = "info",
    format_: Format = "auto",
    *,
    stream: TextIO | None = None,
    secrets: Sequence[str] = (),
) -> None:
    """Have everything logged to *stream* (standard error): key=value on a terminal, else JSON.

    Colours are for terminals, unless NO_COLOR is set to anything.
    The log lines of libraries that show what clients send are left out below warnings. Should one
    of *secrets* come up in a line all the same, it is blotted out. Exceptions are told by type and
    place, for a message might quote what was said.
    """
    stream = stream or sys.stderr
    as_text = format_ == "text" or (format_ == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        _tell_exception,
        _Blot(secrets),
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if as_text:
        coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        renderer = structlog.dev.ConsoleRenderer(colors=coloured)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_may_be_told)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    hush_libraries()


def hush_libraries() -> None:
    """Have libraries that log what clients send say warnings only, whatever the level of the rest."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _may_be_told(record: logging.LogRecord) -> bool:
    """False for the chatter of libraries, some of which set the level of their loggers themselves."""
    chatty = any(f"{record.name}.".startswith(f"{name}.") for name in CHATTY)
    return record.levelno >= logging.WARNING or not chatty


def _tell_exception(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace an exception by its type and where it was raised."""
    info = line.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        causes = list(_causes(error))
        line["exception"] = ", ".join(type(cause).__name__ for cause in causes)
        line["raised_at"] = ", ".join(map(_places, causes))
    return line


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What task groups wrap."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


def _places(error: BaseException) -> str:
    """File and line of every frame, the one that raised first."""
    places = [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return " < ".join(reversed(places))


class _Blot:
    """Replaces secrets wherever they come up."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret for secret in secrets if secret]

    def __call__(self, _logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
        return {key: self._blotted(value) for key, value in line.items()}

    def _blotted(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        text = value if isinstance(value, str) else repr(value)
        clean = text
        for secret in self._secrets:
            clean = clean.replace(secret, "***")
        return value if clean == text else clean
