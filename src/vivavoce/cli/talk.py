"""`vivavoce talk`: say something to a realtime server, and hear what it answers."""

import argparse
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import pybase64
from rich.console import Console
from rich.text import Text

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.cli.address import Address, Misuse, asked_for
from vivavoce.cli.client import Call, call
from vivavoce.cli.microphone import NoMicrophone, device, recording
from vivavoce.cli.parser import add_server_to, new_file
from vivavoce.cli.terminal import terminal
from vivavoce.cli.turn_log import AUDIO, STARTED, TRANSCRIBED, Turn, TurnLog, audio_of
from vivavoce.conformance.knock import NoSession

RATE_HZ = 24000
CHUNK_MS = 100
CHUNK_BYTES = RATE_HZ * CHUNK_MS // 1000 * 2
PATIENCE_S = 30  # for an answer, once everything was said
QUIET_AFTER_S = 2.0  # of silence behind a recording, so that its last turn can end

EPILOG = """\
examples:
  vivavoce talk question.wav                 ask the server on this machine
  vivavoce talk question.wav -o answer.wav   and keep what it says
  vivavoce talk                              use the microphone until Ctrl-C
  vivavoce talk --url wss://my-resource.openai.azure.com --key KEY question.wav

A recording is sent at the pace at which it was spoken. The latencies are
counted from the moment at which the end of speech was due: when the audio
went out that completes the silence. Where turn detection is off, the turn is
committed at the end of the recording, and counted from there.
"""


class Spurned(Exception):  # noqa: N818 - said to a person, with what to do
    """There is a server, but it does not do what was asked of it."""


class CannotRead(Exception):  # noqa: N818 - said to a person, with what to do
    """That file is not speech that can be sent."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "talk",
        help="say a recording, or the microphone, to a realtime server",
        description="Say something to a realtime server, this one's or any other's.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, help="a WAV file; without one, the microphone"
    )
    parser.add_argument(
        "-o", "--output", type=new_file, metavar="FILE", help="save the answers here, as WAV"
    )
    parser.add_argument("--url", default="http://127.0.0.1:8642", help="the server (%(default)s)")
    add_server_to(parser)
    parser.add_argument("--voice", metavar="NAME", help="whose voice answers")
    parser.add_argument("--instructions", metavar="TEXT", help="how the assistant is to behave")
    parser.add_argument(
        "--tools", type=Path, metavar="FILE", help="the functions it may call, as JSON"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Talk, and say how it went."""
    console = terminal(soft_wrap=True)
    talk = Conversation(console)
    try:
        address = asked_for(options)
        sound = read_wav(options.file) if options.file else None
        if sound is None:
            device()
        session = _session(options)
        anyio.run(talk.hold, address, session, sound, backend_options={"use_uvloop": True})
    except (Misuse, CannotRead, NoMicrophone, NoSession, Spurned) as refused:
        sys.stderr.write(f"vivavoce talk: {refused}\n")
        return 2 if isinstance(refused, Misuse) else 1
    except KeyboardInterrupt:
        pass
    if options.output:
        write_wav(options.output, bytes(talk.answer))
        console.print(
            f"[dim]saved {len(talk.answer) / 2 / RATE_HZ:.1f} s to {options.output}[/dim]"
        )
    return 0 if talk.went_well else 1


def read_wav(path: Path) -> bytes:
    """A WAV file as PCM16 mono at 24 kHz."""
    try:
        with wave.open(str(path)) as file:
            width, channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as broken:
        why = getattr(broken, "strerror", None) or str(broken) or "it is empty"
        raise CannotRead(f"{path}: {why}. A PCM WAV file is wanted.") from None
    if width != 2:
        raise CannotRead(f"{path}: {8 * width}-bit samples. 16-bit PCM is wanted.")
    mono = np.frombuffer(raw, "<i2").reshape(-1, channels).mean(axis=1).astype(np.int16)
    resampler = Resampler(rate_hz, RATE_HZ)
    samples = np.concatenate([resampler.push(mono), resampler.flush()])
    return of_samples(samples.astype(np.int16), RATE_HZ).data


def write_wav(path: Path, pcm: bytes) -> None:
    """PCM16 mono at 24 kHz as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)


def detects_turns(session: dict[str, Any]) -> bool:
    """Whether the server ends turns by itself, by the session that it told, in either dialect."""
    audio = session.get("audio")
    heard = audio.get("input") if isinstance(audio, dict) else session
    return not isinstance(heard, dict) or heard.get("turn_detection", True) is not None


def _session(options: argparse.Namespace) -> dict[str, Any]:
    """The settings to ask for, in the dialect's own shape."""
    session: dict[str, Any] = {}
    if options.instructions:
        session["instructions"] = options.instructions
    if options.tools:
        try:
            session["tools"] = msgspec.json.decode(options.tools.read_bytes())
        except (OSError, msgspec.DecodeError) as broken:
            raise CannotRead(f"{options.tools}: {broken}. A JSON list is wanted.") from None
    transcription = {"model": "whisper-1"}
    if options.dialect == "preview":
        session |= {"input_audio_transcription": transcription}
        return session | ({"voice": options.voice} if options.voice else {})
    audio: dict[str, Any] = {"input": {"transcription": transcription}}
    if options.voice:
        audio["output"] = {"voice": options.voice}
    return session | {"type": "realtime", "audio": audio}


class Conversation:
    """One call, told to a person as it goes."""

    def __init__(self, console: Console) -> None:
        self.answer = bytearray()
        self.went_well = False
        self._console = console
        self._log = TurnLog()
        self._over = anyio.Event()
        self._settled = anyio.Event()
        self._settings: dict[str, Any] = {}
        self._fault: Exception | None = None
        self._playing_from: float | None = None
        self._playing_item: str | None = None
        self._playing_bytes = 0

    async def hold(self, address: Address, session: dict[str, Any], sound: bytes | None) -> None:
        """Connect, talk, listen, hang up.

        Spurned if the server does not take *session*, or is no realtime server.
        """
        async with call(address) as line, anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, line)
            try:
                await self._settle(line, session)
                await self._converse(line, sound)
            except (Spurned, NoMicrophone) as fault:
                # Not through the task group, which would wrap it.
                self._fault = fault
            tasks.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault
        self.went_well = bool(self._log.turns) and not self._log.errors
        if not self._log.turns:
            self._console.print("[yellow]no speech was heard[/yellow]")

    async def _settle(self, line: Call, session: dict[str, Any]) -> None:
        """Have the settings taken before anything is said: the answers would be others'."""
        await line.say({"type": "session.update", "session": session})
        with anyio.move_on_after(PATIENCE_S) as limit:
            await self._settled.wait()
        if limit.cancelled_caught:
            raise Spurned(
                f"the server has not taken the settings within {PATIENCE_S} s; "
                "is this the address of a realtime server?"
            )

    async def _converse(self, line: Call, sound: bytes | None) -> None:
        if self._fault is not None or self._over.is_set():
            return
        if sound is None:
            self._console.print("[dim]listening to the microphone; Ctrl-C hangs up[/dim]")
            await self._speak(line, recording())
            return
        await self._speak(line, _paced(sound))
        if not detects_turns(self._settings):
            self._log.committed(time.perf_counter())
            await line.say({"type": "input_audio_buffer.commit"})
            await line.say({"type": "response.create"})
        await self._await_answer(line)

    async def _speak(self, line: Call, chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            if self._over.is_set():
                return
            await self._append(line, chunk)

    async def _append(self, line: Call, chunk: bytes) -> None:
        audio = pybase64.b64encode_as_string(chunk)
        await line.say_encoded('{"type":"input_audio_buffer.append","audio":"' + audio + '"}')
        self._log.sent(len(chunk) / 2 / RATE_HZ * 1000, time.perf_counter())

    async def _await_answer(self, line: Call) -> None:
        """Say nothing, but go on listening, until the last turn was answered."""
        began = time.perf_counter()
        async for chunk in _paced(bytes(RATE_HZ * 2 * PATIENCE_S)):
            await self._append(line, chunk)
            waited = time.perf_counter() - began
            busy = self._log.speaking or self._log.answering
            if self._over.is_set() or (waited > QUIET_AFTER_S and not busy):
                return
        self._console.print(f"[red]no answer within {PATIENCE_S} s[/red]")

    async def _listen(self, line: Call) -> None:
        try:
            async for event in line.heard():
                await self._hear(line, event, time.perf_counter())
        except (msgspec.DecodeError, LookupError, TypeError) as unreadable:
            self._fault = Spurned(
                f"the server said what no realtime server says ({type(unreadable).__name__}); "
                "is this its address, and --dialect the one that it speaks?"
            )
        else:
            self._console.print(f"[dim]the server hung up: {line.farewell}[/dim]")
        self._over.set()
        self._settled.set()

    async def _hear(self, line: Call, event: dict[str, Any], now: float) -> None:
        kind = event["type"]
        if kind in AUDIO:
            self._play(event, now)
        elif kind == STARTED:
            await self._stop_playing(line, now)
        elif kind == "session.updated":
            self._settings = event["session"]
            self._settled.set()
        elif kind == "error" and not self._settled.is_set():
            message = str(event["error"]["message"]).rstrip(".")
            self._fault = Spurned(f"the server does not take the settings: {message}")
            self._settled.set()
        elif kind == "error":
            self._console.print(Text(f"error: {event['error']['message']}", "red"))
        elif kind == TRANSCRIBED:
            self._console.print(Text.assemble(("you        ", "bold cyan"), event["transcript"]))
        turn = self._log.see(event, now)
        if turn is not None:
            self._tell(turn)

    def _play(self, event: dict[str, Any], now: float) -> None:
        """Keep the audio, and follow how much of it a listener would have heard by now."""
        if self._playing_item != event["item_id"]:
            self._playing_item, self._playing_from = event["item_id"], now
            self._playing_bytes = 0
        audio = audio_of(event)
        self._playing_bytes += len(audio)
        self.answer += audio

    async def _stop_playing(self, line: Call, now: float) -> None:
        """The user speaks: what was not heard by now is not heard at all."""
        if self._playing_item is None or self._playing_from is None:
            return
        heard = min(self._playing_bytes, int((now - self._playing_from) * RATE_HZ) * 2)
        if heard < self._playing_bytes:
            del self.answer[len(self.answer) - self._playing_bytes + heard :]
            await line.say(
                {
                    "type": "conversation.item.truncate",
                    "item_id": self._playing_item,
                    "content_index": 0,
                    "audio_end_ms": heard * 1000 // (2 * RATE_HZ),
                }
            )
        self._playing_item = None

    def _tell(self, turn: Turn) -> None:
        """A turn was answered: with what, and how long it took."""
        for _, name, arguments in turn.calls:
            self._console.print(
                Text.assemble(("calls      ", "bold yellow"), f"{name}({arguments})")
            )
        if turn.words:
            self._console.print(Text.assemble(("assistant  ", "bold green"), turn.words.strip()))
        if turn.status not in ("completed", None):
            why = f": {turn.why}" if turn.why else ""
            self._console.print(Text(f"           the answer was {turn.status}{why}", "yellow"))
        figures = [
            f"{name} {ms:.0f} ms"
            for name, moment in (
                ("speech stopped", turn.stopped),
                ("transcript", turn.transcribed),
                ("first word", turn.first_word),
                ("first audio", turn.first_audio),
            )
            if (ms := turn.after_due_ms(moment)) is not None
        ]
        if figures:
            self._console.print(Text("           after due: " + ", ".join(figures), "dim"))


async def _paced(sound: bytes) -> AsyncIterator[bytes]:
    """Chunks of a tenth of a second, each when it has just been spoken."""
    began = time.perf_counter()
    for number, start in enumerate(range(0, len(sound), CHUNK_BYTES), 1):
        due = began + number * CHUNK_MS / 1000
        await anyio.sleep(max(0.0, due - time.perf_counter()))
        yield sound[start : start + CHUNK_BYTES]
