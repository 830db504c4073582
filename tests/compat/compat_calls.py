"""Callers: WebRTC clients by aiortc's own peer connection, which hear, speak and read along."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any, Literal

import anyio
import httpx
import msgspec
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from compat_relay import Relay, without_candidates
from compat_servers import PATIENCE_S, Site
from compat_speech import RATE_HZ
from compat_wire import Frame, Witness, written

from vivavoce.conformance.catalogue import DialectName

CALLS = "/v1/realtime/calls"
FRAME_BYTES = RATE_HZ // 50 * 2  # 20 ms
LOUD = 200  # mean of the absolute samples, above which something is heard


class Microphone(MediaStreamTrack):
    """Says what it is given, 20 ms at a time and in real time, and silence otherwise."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._ahead = bytearray()
        self._began = 0.0
        self._frames = 0

    def say(self, pcm: bytes) -> None:
        """Say this once what waits has been said."""
        self._ahead += pcm

    @property
    def silent(self) -> bool:
        """Everything was said."""
        return not self._ahead

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        self._began = self._began or time.monotonic()
        await anyio.sleep(max(0.0, self._began + self._frames / 50 - time.monotonic()))
        piece = bytes(self._ahead[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self._ahead[:FRAME_BYTES]
        frame = AudioFrame.from_ndarray(
            np.frombuffer(piece, "<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = RATE_HZ
        frame.pts = self._frames * len(piece) // 2
        frame.time_base = Fraction(1, RATE_HZ)
        self._frames += 1
        return frame


class Caller:
    """A client on the line. *heard* holds the level of each frame of audio that came."""

    def __init__(self, dialect: DialectName, label: str) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.witness = Witness(dialect, "webrtc")
        self.heard: list[float] = []
        self.call_id = ""
        self.gone = anyio.Event()  # the other side has hung up
        self._read = 0  # how many of the events were taken
        self._news = anyio.Event()
        self._tracks: list[MediaStreamTrack] = []
        self.channel = self.peer.createDataChannel(label)
        self.channel.on("message", self._saw)
        self.channel.on("close", lambda: self.gone.set())
        self.peer.on("track", self._tracks.append)
        self.peer.on("connectionstatechange", self._changed)

    def _saw(self, message: str | bytes) -> None:
        self.witness.saw(message)
        self._tell()

    def _changed(self) -> None:
        if self.peer.connectionState in ("closed", "failed"):
            self.gone.set()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    @property
    def kinds(self) -> list[str]:
        """The types of all events so far."""
        return [frame["type"] for frame in self.witness.frames]

    async def listen(self) -> None:
        """Hear what comes, until nothing does any more."""
        for track in self._tracks:
            while True:
                try:
                    frame = await track.recv()
                except MediaStreamError:
                    return
                assert isinstance(frame, AudioFrame)
                self.heard.append(float(np.abs(frame.to_ndarray()).mean()))
                self._tell()

    def say(self, kind: str, **fields: Any) -> None:  # whatever the event takes
        """Send an event."""
        self.channel.send(msgspec.json.encode({"type": kind, **fields}).decode())

    def write(self, text: str, **response: Any) -> None:  # the fields of the response
        """Say something in writing, and ask for an answer."""
        self.say("conversation.item.create", item=written(text))
        self.say("response.create", response=response)

    async def holds(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was seen or heard makes it true."""
        with anyio.fail_after(PATIENCE_S):
            while not condition():
                await self._news.wait()

    async def until(self, kind: str) -> list[Frame]:
        """The events up to the next of that type, and that one; no error may come before it."""
        await self.holds(lambda: kind in self.kinds[self._read :])
        end = self._read + self.kinds[self._read :].index(kind) + 1
        taken, self._read = self.witness.frames[self._read : end], end
        for frame in taken:
            assert frame["type"] in (kind, frame["type"]), frame
            assert kind == "error" or frame["type"] != "error", frame["error"]
        return taken

    async def loud(self, frames: int = 5) -> None:
        """Wait until so many more frames were heard that are not silence."""
        start = len(self.heard)
        await self.holds(lambda: sum(level > LOUD for level in self.heard[start:]) >= frames)

    async def quiet(self, frames: int = 15) -> None:
        """Wait until so many frames in a row were silence."""
        start = len(self.heard)
        await self.holds(
            lambda: (
                len(self.heard) - start >= frames
                and all(level <= LOUD for level in self.heard[-frames:])
            )
        )


Codec = Literal["audio/opus", "audio/PCMU", "audio/PCMA"]


@asynccontextmanager
async def calling(
    site: Site,
    path: str = CALLS,
    *,
    key: str | None = None,
    headers: Mapping[str, str] = {},
    dialect: DialectName = "ga",
    label: str = "oai-events",
    codec: Codec = "audio/opus",
    finished: bool = True,
    judged: bool = True,
    created: bool = True,
    relay: Relay | None = None,
    answered: Callable[[Caller], Awaitable[None]] | None = None,
    **fields: bytes,
) -> AsyncIterator[Caller]:
    """A caller who was answered, after `session.created`. Leaving hangs up and judges the events.

    *fields* go along with the offer in a form; without any it is posted alone. By a *relay* goes
    all that the two send each other. *answered* is awaited before the caller takes the answer, and
    so before anything has connected.
    """
    caller = Caller(dialect, label)
    caller.peer.addTrack(caller.microphone)
    preferred = [
        each for each in RTCRtpSender.getCapabilities("audio").codecs if each.mimeType == codec
    ]
    caller.peer.getTransceivers()[0].setCodecPreferences(preferred)
    try:
        await caller.peer.setLocalDescription(await caller.peer.createOffer())
        offer = caller.peer.localDescription.sdp
        if relay is not None:
            offer = without_candidates(offer)
        answer = await post_offer(site, path, offer, key=key, headers=headers, **fields)
        assert answer.status_code == 201, answer.text
        caller.call_id = answer.headers["location"].rpartition("/")[2]
        if answered is not None:
            await answered(caller)
        sdp = answer.text if relay is None else relay.between(answer.text)
        async with anyio.create_task_group() as tasks:
            await caller.peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))
            tasks.start_soon(caller.listen)
            if created:
                await caller.until("session.created")
            yield caller
            await caller.peer.close()
            tasks.cancel_scope.cancel()
    finally:
        await caller.peer.close()
    if judged:
        caller.witness.judge(finished=finished)


async def idle_offer() -> str:
    """An offer that can be answered, by nobody who would connect."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    peer.createDataChannel("oai-events")
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp


async def post_offer(
    site: Site,
    path: str,
    sdp: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] = {},
    **fields: bytes,
) -> httpx.Response:
    """Post an offer alone, or in a form with further fields."""
    bearer = {"Authorization": f"Bearer {site.key if key is None else key}", **headers}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        if fields:
            files = {"sdp": (None, sdp.encode(), "application/sdp")}
            files |= {name: (None, held, "application/json") for name, held in fields.items()}
            return await client.post(site.url + path, headers=bearer, files=files)
        bearer = {"Content-Type": "application/sdp", **bearer}
        return await client.post(site.url + path, headers=bearer, content=sdp.encode())


async def secret(site: Site, path: str = "/v1/realtime/client_secrets", **body: Any) -> Frame:
    """A client secret that was asked for with the server's key: the answer's object."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.post(
            site.url + path, headers={"Authorization": f"Bearer {site.key}"}, json=body
        )
    assert answer.status_code == 200, answer.text
    made: Frame = answer.json()
    return made
