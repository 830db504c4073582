"""A transcriber behind HTTP: OpenAI's `/v1/audio/transcriptions`, or a server that speaks it.

A turn is gathered while it is spoken and sent when it is over. Where the server streams, its words
come as it writes them: as `transcript.text.delta` of the API, or as the chunks that vLLM sends.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal, Self

import msgspec
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.audio.wav import wav
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    EngineFailure,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
)
from vivavoce.engines.model_server import ModelServer
from vivavoce.engines.server_sent import Event, events

SHORTEST_MS = 100  # of which OpenAI makes words at all; it refuses less
QUIETEST_DBFS = -75.0  # recorded silence is louder; models dream up words of what is not
UNSTREAMED = (400, 422, 501)  # what servers say to a `stream` that they do not know


class Piece(Struct, frozen=True):
    """What is new in a chunk of vLLM's."""

    content: str | None = None


class Choice(Struct, frozen=True):
    """One of its choices; there is but one."""

    delta: Piece = Piece()
    finish_reason: str | None = None


class Heard(Event, frozen=True):
    """An event of a transcription: the API's, or else vLLM's."""

    type: str = ""
    delta: str = ""
    text: str = ""
    choices: tuple[Choice, ...] = ()


class Whole(Struct, frozen=True):
    """A transcription in one piece."""

    text: str


class Final(Struct, frozen=True):
    """The server's last word: all of the text, or "" where it has told it already."""

    text: str


class HttpTranscriber:
    """The transcription *model* of a server at *url*; see `ModelServer` for the other options.

    *stream*: whether to ask for words as they are written. "auto" asks once, and no longer if the
    server answers without.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str = "whisper-1",
        key: str | None = None,
        key_env: str | None = None,
        azure_api_version: str | None = None,
        stream: bool | Literal["auto"] = "auto",
        connect_s: float = 5.0,
        first_s: float = 30.0,
        silence_s: float = 30.0,
        retries: int = 2,
        connections: int = 256,
    ) -> None:
        if stream not in (True, False, "auto"):
            raise ValueError(f'stream: true, false or "auto" is wanted, not {stream!r}')
        self._model = model
        self._stream = stream
        self._server = ModelServer(
            url,
            key=key,
            key_env=key_env,
            azure_api_version=azure_api_version,
            connect_s=connect_s,
            first_s=first_s,
            silence_s=silence_s,
            retries=retries,
            connections=connections,
        )

    @property
    def version(self) -> str:
        """Such as `whisper-1 at http://127.0.0.1:8000/v1`."""
        return f"{self._model} at {self._server.version}"

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.__aexit__(*exc_info)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """See `api.Transcriber`. Less than 100 ms, or silence, is not sent at all."""
        turn = Turn()
        async for pcm in audio:
            turn.add(pcm)
        words = Words()
        if turn.is_speech:
            told = self._server.paced(self._asked(wav(turn.pcm), hints))
            async with aclosing(told):
                async for piece in told:
                    if delta := words.add(piece):
                        yield TranscriptDelta(delta)
        yield Transcript(words.text)

    async def _asked(
        self, recording: bytes, hints: TranscriptionHints
    ) -> AsyncGenerator[str | Final, None]:
        """Ask for a stream if one is to be had, and again without if the server minds."""
        from openai import APIStatusError

        with self._server.failures(self._model):
            if self._stream:
                try:
                    async with aclosing(self._answer(recording, hints, stream=True)) as told:
                        async for piece in told:
                            yield piece
                except APIStatusError as refused:
                    if self._stream is True or refused.status_code not in UNSTREAMED:
                        raise
                else:
                    return
            async with aclosing(self._answer(recording, hints, stream=False)) as told:
                async for piece in told:
                    yield piece

    async def _answer(
        self, recording: bytes, hints: TranscriptionHints, *, stream: bool
    ) -> AsyncGenerator[str | Final, None]:
        transcriptions = self._server.client.audio.transcriptions.with_streaming_response
        wishes: dict[str, Any] = {}  # Any, for the client's parameters have types of their own
        if hints.language:
            wishes["language"] = hints.language.partition("-")[0].lower()
        if hints.prompt:
            wishes["prompt"] = hints.prompt
        if stream:
            wishes["stream"] = True
        request = transcriptions.create(
            file=("turn.wav", recording, "audio/wav"),
            model=self._model,
            response_format="json",
            **wishes,
        )
        async with request as response:
            kind = response.headers.get("content-type", "")
            if kind.startswith("text/event-stream"):
                told = self._told(events(response.iter_lines(), Heard, self._server.address))
                async with aclosing(told):
                    async for piece in told:
                        yield piece
                return
            whole = self._read(kind, await response.read())
        if self._stream == "auto":
            self._stream = False
        yield whole

    async def _told(self, heard: AsyncGenerator[Heard, None]) -> AsyncGenerator[str | Final, None]:
        finished = False
        async with aclosing(heard):
            async for event in heard:
                match event.type:
                    case "transcript.text.delta":
                        yield event.delta
                    case "transcript.text.done":
                        finished = True
                        yield Final(event.text)
                for choice in event.choices:
                    finished = finished or choice.finish_reason is not None
                    yield choice.delta.content or ""
        if not finished:
            raise EngineFailure(
                f"the model server at {self._server.address} ended before the transcript did"
            )

    def _read(self, kind: str, body: bytes) -> Final:
        """An answer in one piece: JSON, or plain text where the server knows nothing else."""
        if kind.startswith("text/plain"):
            return Final(body.decode(errors="replace"))
        try:
            return Final(msgspec.json.decode(body, type=Whole).text)
        except (msgspec.DecodeError, UnicodeError):
            raise EngineFailure(
                f"the model server at {self._server.address} gave no transcript, but "
                f"{kind or 'something'} without a text"
            ) from None


class Turn:
    """A turn's audio, gathered."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._sounds = False

    def add(self, pcm: Pcm) -> None:
        """Put more behind it."""
        self._data += pcm.data
        self._sounds = self._sounds or pcm.level_dbfs > QUIETEST_DBFS

    @property
    def pcm(self) -> Pcm:
        """All of it."""
        return Pcm(bytes(self._data), HEARING_RATE_HZ)

    @property
    def is_speech(self) -> bool:
        """It may be: it is long enough, and not silent throughout."""
        return self._sounds and len(self._data) >= 2 * SHORTEST_MS * HEARING_RATE_HZ // 1000


class Words:
    """The words of a turn as they come, with no blanks at either end."""

    def __init__(self) -> None:
        self.text = ""
        self._blanks = ""

    def add(self, piece: str | Final) -> str:
        """Put more words behind; what that adds to the text.

        The blanks at their end wait until more comes. Words that were told are not taken back,
        though the server's last word may be another.
        """
        if isinstance(piece, Final):
            whole = piece.text.strip()
            piece = whole[len(self.text) :] if whole.startswith(self.text) else ""
            self._blanks = ""
        words = self._blanks + piece if self.text else piece.lstrip()
        delta = words.rstrip()
        self._blanks = words[len(delta) :] if self.text or delta else ""
        self.text += delta
        return delta
