"""Lines to a server whose every frame is kept, and judged in the end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import msgspec
import pybase64
from compat_servers import PATIENCE_S, Site
from compat_speech import appends
from websockets import ConnectionClosed, InvalidStatus
from websockets.asyncio.client import ClientConnection, connect

from vivavoce.conformance.catalogue import DialectName, Transport
from vivavoce.conformance.laws import Laws
from vivavoce.testing.frames import check_frames, official

GA = "/openai/v1/realtime?model=gpt-realtime"
SLOW = "/openai/v1/realtime?model=slow"
PREVIEW = "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview"

Frame = dict[str, Any]  # what JSON decodes to

WEATHER: Frame = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name"}},
        "required": ["city"],
    },
}
DELTAS = {
    "audio": ("response.output_audio.delta", "response.audio.delta"),
    "words": (
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
        "response.output_text.delta",
        "response.text.delta",
    ),
}


class Witness:
    """Keeps every frame of one connection, as it came in *raw*."""

    def __init__(self, dialect: DialectName, transport: Transport = "websocket") -> None:
        self.frames: list[Frame] = []
        self.raw: list[bytes] = []
        self._dialect = dialect
        self._transport = transport

    def saw(self, raw: str | bytes) -> Frame:
        """Keep a frame."""
        self.raw.append(raw.encode() if isinstance(raw, str) else raw)
        self.frames.append(msgspec.json.decode(raw, type=Frame))
        return self.frames[-1]

    def judge(self, *, finished: bool) -> None:
        """Fail over every fault of a frame and every broken law.

        Unless *finished*, the connection ended in the middle and may owe some conclusions.
        """
        self.judge_frames()
        laws = Laws(self._dialect)
        broken = [sentence for frame in self.frames for sentence in laws.see(frame)]
        broken += laws.end() if finished else []
        assert not broken, "\n".join(broken)

    def judge_frames(self) -> None:
        """Fail over every fault of a frame, whatever came before it."""
        check_frames(self.frames, self._dialect, transport=self._transport)
        if self._dialect == "ga":
            for frame in self.frames:
                official(frame)


class Line:
    """A plain WebSocket client."""

    def __init__(
        self,
        connection: ClientConnection,
        dialect: DialectName,
        transport: Transport = "websocket",
    ) -> None:
        self.connection = connection
        self.witness = Witness(dialect, transport)

    async def say(self, kind: str, **fields: Any) -> None:  # whatever the event takes
        """Send an event."""
        await self.connection.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def write(self, text: str, **response: Any) -> None:  # the fields of the response
        """Say something in writing, and ask for an answer."""
        await self.say("conversation.item.create", item=written(text))
        await self.say("response.create", response=response)

    async def speak(self, pcm: bytes) -> None:
        """Send audio, all at once."""
        for audio in appends(pcm):
            await self.say("input_audio_buffer.append", audio=audio)

    async def next(self) -> Frame:
        """The next event."""
        with anyio.fail_after(PATIENCE_S):
            return self.witness.saw(await self.connection.recv())

    async def until(self, kind: str) -> list[Frame]:
        """The events up to the next of that type, and that one; no error may come before it."""
        heard = [await self.next()]
        while heard[-1]["type"] != kind:
            assert heard[-1]["type"] != "error", heard[-1]["error"]
            heard.append(await self.next())
        return heard

    async def closed(self) -> tuple[int, str]:
        """Code and reason with which the server hung up, after whatever it said before."""
        with anyio.fail_after(PATIENCE_S), suppress(ConnectionClosed):
            while True:
                self.witness.saw(await self.connection.recv())
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""

    async def still_lives(self) -> None:
        """Have the session show that it takes events and answers them."""
        await self.say("input_audio_buffer.clear")
        await self.until("input_audio_buffer.cleared")


@asynccontextmanager
async def line(
    site: Site,
    path: str = GA,
    *,
    dialect: DialectName = "ga",
    finished: bool = True,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
    created: str = "session.created",
) -> AsyncIterator[Line]:
    """A line that was let in, after its `session.created`. Leaving it judges what was heard."""
    async with knocking(site, path, headers, subprotocols) as connection:
        opened = Line(connection, dialect)
        await opened.until(created)
        yield opened
    opened.witness.judge(finished=finished)


@asynccontextmanager
async def sideband(
    site: Site,
    path: str,
    *,
    dialect: DialectName = "ga",
    transport: Transport = "websocket",
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Line]:
    """A line that joined a session which came by *transport*. Leaving it judges every frame."""
    async with knocking(site, path, headers) as connection:
        opened = Line(connection, dialect, transport)
        yield opened
    opened.witness.judge_frames()


async def refusal(
    site: Site,
    path: str = GA,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
) -> tuple[int, Frame, Mapping[str, str]]:
    """Status, error and headers with which an upgrade is turned down."""
    try:
        async with knocking(site, path, headers, subprotocols):
            raise AssertionError("the upgrade was accepted")
    except InvalidStatus as turned_down:
        answer = turned_down.response
        assert answer.headers.get("content-type") == "application/json", answer
        error: Frame = msgspec.json.decode(answer.body or b"")["error"]
        return answer.status_code, error, answer.headers


def knocking(
    site: Site,
    path: str,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] | None = None,
) -> connect:
    """A connection to be entered, with the server's key unless other headers are given."""
    return connect(
        site.ws_url + path,
        additional_headers={"api-key": site.key} if headers is None else headers,
        subprotocols=subprotocols,  # type: ignore[arg-type]  # Subprotocol is a NewType of str
        max_size=None,
        compression=None,
    )


def written(text: str) -> Frame:
    """An item of the user's."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def spoken_bytes(frames: list[Frame]) -> int:
    """How much audio those events bring."""
    deltas = [frame["delta"] for frame in frames if frame["type"] in DELTAS["audio"]]
    return sum(len(pybase64.b64decode(delta, validate=True)) for delta in deltas)


def kinds(frames: list[Frame]) -> list[str]:
    """The types of those events."""
    return [frame["type"] for frame in frames]


def of_kind(frames: list[Frame], kind: str) -> list[Frame]:
    """Those of that type."""
    return [frame for frame in frames if frame["type"] == kind]


def words_of(frames: list[Frame]) -> str:
    """What the deltas of those events say, in writing or as the transcript of speech."""
    return "".join(frame["delta"] for frame in frames if frame["type"] in DELTAS["words"])
