"""The process of an engine dies in the middle of its work, and is missed by no one else."""

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest
from compat_servers import KEY, Site, served
from compat_speech import SECOND
from compat_wire import GA, Line, kinds, line, of_kind, spoken_bytes

from vivavoce.config import Config

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

Signalling = Callable[[str, int], None]


@pytest.fixture(scope="module")
def before() -> frozenset[int]:
    """The processes of other servers of these tests."""
    return frozenset(each.pid for each in psutil.Process().children(recursive=True))


@pytest.fixture(scope="module")
def mortal(before: frozenset[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of embedded engines that may be killed."""
    with served(Config(api_keys=(KEY,), data_dir=tmp_path_factory.mktemp("mortal"))) as site:
        yield site


@pytest.fixture
def signal_all(mortal: Site, before: frozenset[int]) -> Signalling:
    """Send a signal to every process of an engine of that server."""

    def send(engine: str, number: int) -> None:
        found = [
            each
            for each in psutil.Process().children(recursive=True)
            if each.pid not in before and f"vivavoce.engines.{engine}" in " ".join(each.cmdline())
        ]
        assert found, f"{engine} has no process"
        for each in found:
            os.kill(each.pid, number)

    return send


async def listen(client: Line) -> None:
    """Have speech written down and answered."""
    detection = {"type": "server_vad", "silence_duration_ms": 300}
    heard = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
    await client.say("session.update", session={"type": "realtime", "audio": {"input": heard}})
    await client.until("session.updated")


async def test_the_ears_die_while_a_person_speaks(
    mortal: Site, signal_all: Signalling, speech: bytes
) -> None:
    async with line(mortal) as client, line(mortal) as other:
        await listen(client)
        await client.speak(speech[: -len(SECOND)])
        await client.until("input_audio_buffer.speech_started")
        signal_all("pocketsphinx", signal.SIGKILL)
        await other.write("How are you?")
        await client.speak(speech)

        failed = await client.until("response.done")
        answer = await other.until("response.done")
        await client.speak(speech)
        recovered = await client.until("response.done")

    reports = of_kind(failed, "conversation.item.input_audio_transcription.failed")
    assert [report["item_id"] for report in reports] == [failed[0]["item_id"]]
    assert reports[0]["error"]["message"]
    assert failed[-1]["response"]["status"] == "failed"
    assert failed[-1]["response"]["status_details"]["error"]["type"] == "server_error"
    assert "error" not in kinds(other.witness.frames)
    assert answer[-1]["response"]["status"] == "completed"
    assert spoken_bytes(answer) > 0
    assert of_kind(recovered, "conversation.item.input_audio_transcription.completed")
    assert recovered[-1]["response"]["status"] == "completed"


async def test_the_voice_dies_in_the_middle_of_an_answer(
    mortal: Site, signal_all: Signalling
) -> None:
    async with line(mortal, GA) as client, line(mortal, GA) as other:
        await client.write("Please count from 1 to 100.")
        await client.until("response.output_audio.delta")
        # Stopped, they keep what they are at, so that they die at work.
        signal_all("espeak", signal.SIGSTOP)
        await client.still_lives()
        await other.write("How are you?", output_modalities=["text"])
        answer = await other.until("response.done")
        signal_all("espeak", signal.SIGKILL)

        failed = await client.until("response.done")
        await client.write("How are you?")
        recovered = await client.until("response.done")

    assert failed[-1]["response"]["status"] == "failed"
    assert failed[-1]["response"]["status_details"]["error"]["type"] == "server_error"
    assert "error" not in kinds(other.witness.frames)
    assert answer[-1]["response"]["status"] == "completed"
    assert recovered[-1]["response"]["status"] == "completed"
    assert spoken_bytes(recovered) > 0
