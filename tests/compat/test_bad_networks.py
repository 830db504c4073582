"""Calls over networks that lose and delay packets, and calls that nobody takes up."""

import asyncio
import gc
import os
import threading
from pathlib import Path

import anyio
import psutil
import pytest
from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCPeerConnection
from anyio.lowlevel import checkpoint
from compat_calls import CALLS, calling, post_offer
from compat_relay import relaying
from compat_servers import KEY, Site, until
from compat_speech import person
from compat_wire import of_kind

from vivavoce.config import Config
from vivavoce.server.app import Application
from vivavoce.server.assembly import assemble
from vivavoce.testing.server import running

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

HALF_WAY = 100  # calls that are answered and never taken up
AT_ONCE = 25
LOST = 'vivavoce_rtp_packets_total{fate="lost"}'


@pytest.mark.shared
async def test_speech_survives_loss_jitter_and_reordering(embedded: Site, shared: Path) -> None:
    lost = embedded.metric(LOST)
    (host, *_) = get_host_addresses(use_ipv4=True, use_ipv6=False)
    async with (
        relaying(host, loss=0.05, jitter_s=0.03) as relay,
        calling(embedded, relay=relay) as caller,
    ):
        caller.microphone.say(person(shared / "audio" / "weather_question.wav"))
        told = await caller.until("output_audio_buffer.started")
        await caller.loud(20)
        told += await caller.until("output_audio_buffer.stopped")
    assert len(of_kind(told, "input_audio_buffer.speech_started")) == 1
    assert len(of_kind(told, "input_audio_buffer.speech_stopped")) == 1
    assert relay.lost > relay.carried * 0.02
    await anyio.to_thread.run_sync(until, lambda: embedded.metric(LOST) > lost)


async def test_nothing_is_left_of_calls_that_nobody_takes_up(tmp_path: Path) -> None:
    """Tasks, threads, sockets and memory are as they were once such calls are given up."""
    app = assemble(Config(api_keys=(KEY,), data_dir=tmp_path, scenario=_scenario(tmp_path)))
    async with running(app) as address:
        site = Site(address.url)
        for _ in range(2):
            await _drop(site, app, AT_ONCE)  # what is imported, opened and reserved once
        before = _counts()
        for _ in range(HALF_WAY // AT_ONCE):
            await _drop(site, app, AT_ONCE)
        after = _counts()
    assert after["tasks"] <= before["tasks"]
    assert after["threads"] <= before["threads"]
    assert after["sockets"] <= before["sockets"]
    assert after["resident"] - before["resident"] < 10 * 1024 * 1024


async def _drop(site: Site, app: Application, count: int) -> None:
    """Have so many offers answered, then hang all of them up before anybody has come."""
    offer = await _offer()
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(post_offer, site, CALLS, offer)
    assert len(app.service.live) == count
    for session in list(app.service.live):
        await session.seat.end(1000, "")
    while app.service.admission.live:
        await checkpoint()
    gc.collect()  # else it is chance how much garbage is there at once


async def _offer() -> str:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    peer.createDataChannel("oai-events")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = str(peer.localDescription.sdp)
    await peer.close()
    return sdp


def _counts() -> dict[str, int]:
    gc.collect()
    process = psutil.Process(os.getpid())
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "sockets": len(process.net_connections(kind="udp")),
        "resident": process.memory_info().rss,
    }


def _scenario(folder: Path) -> Path:
    file = folder / "scenario.toml"
    file.write_text('[[turn]]\nhears = "hello"\nsay = "Good day."\n')
    return file
