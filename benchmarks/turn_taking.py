"""When a turn ends: how often in the middle of a sentence, and how long after its end.

    python benchmarks/turn_taking.py FOLDER [--show]

FOLDER holds the recordings of people that `word_error_rate.py` knows the words of. Each is cut off
after every word but the last, and a quiet room follows: what a speaker who hesitates there would
sound like, but for the hesitation. The whole recording, and the room, is a true end. The same is
done to sentences that eSpeak speaks. No server runs: the voice detector, the judge and the
transcriber are the embedded ones, and the rule between them is the server's, written again here.
Time is counted in audio; what the engines need to compute is not in it.

Words come to the judge in three ways: not at all; from PocketSphinx, when it publishes them; and as
they were said, each 300 ms after it, which is what a good transcriber does.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported

import argparse
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import numpy as np
from word_error_rate import Clip, Samples, clips, resampled

from vivavoce.audio.pcm import of_samples
from vivavoce.engines.api import FRAME_SAMPLES, Frames, Pause, Voice
from vivavoce.engines.cadence import finished
from vivavoce.engines.espeak import Espeak
from vivavoce.engines.pocketsphinx_decoder import Sphinx, Turn
from vivavoce.engines.silero import Silero

RATE_HZ = 16000
FRAME_MS = 32
ASKED_MS = 160  # of silence, and the judge is asked
LIMITS_MS = {"high": 2000, "medium": 4000, "low": 8000}
PAUSES_MS = (300, 500, 800, 1200)
HEARD_MS = 8000  # the judge is given no more
ROOM_S = 8.6
LAG_MS = 300

SENTENCES = (
    "Could you turn on the light in the kitchen?",
    "I would like to book a table for two people.",
    "My brother lives in a small house near the river.",
    "Tell me what the weather will be like tomorrow morning.",
    "Because it was raining, we stayed at home all day.",
    "Please send the letter to my sister and to her husband.",
    "How long does it take to get to the station?",
    "The second one is better than the first.",
)

News = tuple[tuple[float, str], ...]  # at so many ms of audio, these are the words so far
Wordings = dict[str, News]


@dataclass(frozen=True)
class Case:
    """Speech and the room after it, and how its words come to be known."""

    name: str
    samples: Samples
    ended: bool  # the sentence, with the speech
    wordings: Wordings
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True)
class Word:
    """A word and where it ends."""

    text: str
    end_ms: float


def room(seconds: float) -> Samples:
    noise = np.random.default_rng(1).normal(0, 8, int(seconds * RATE_HZ))
    return noise.astype(np.int16)


def aligned(clip: Clip) -> tuple[Word, ...]:
    """Where the words of a recording are, by PocketSphinx, which is told them."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE_HZ, loglevel="FATAL", bestpath=False)
    decoder.set_align_text(clip.words)
    decoder.start_utt()
    decoder.process_raw(clip.samples.tobytes(), full_utt=True)
    decoder.end_utt()
    ends = [10.0 * (each.end_frame + 1) for each in decoder.seg() if each.word[0] not in "<["]
    return tuple(map(Word, clip.words.split(), ends))


async def spoken(sentence: str) -> tuple[Samples, tuple[Word, ...]]:
    """A sentence of eSpeak's, each word reaching to the beginning of the next."""

    async def phrases() -> AsyncIterator[str]:
        yield sentence

    async with Espeak(workers=1) as espeak, aclosing(espeak.speak(phrases(), Voice())) as stream:
        given = [each async for each in stream]
    rate_hz = given[0].pcm.rate_hz
    samples = resampled(np.concatenate([each.pcm.samples for each in given]), rate_hz, RATE_HZ)
    marks = [mark for each in given for mark in each.marks]
    ends = [*(mark.at_ms for mark in marks[1:]), len(samples) * 1000 / RATE_HZ]
    return samples, tuple(
        Word(sentence[mark.text_start : mark.text_end].strip(" .,?").lower(), end)
        for mark, end in zip(marks, ends, strict=True)
    )


def cases(name: str, samples: Samples, words: Sequence[Word], hear: "Hear") -> Iterator[Case]:
    """Cut off after each word, and whole."""
    for count in range(1, len(words) + 1):
        whole = count == len(words)
        speech = samples if whole else samples[: int(words[count - 1].end_ms * RATE_HZ / 1000)]
        heard = np.concatenate([speech, room(ROOM_S)])
        said = " ".join(word.text for word in words[:count])
        yield Case(f"{name}: {said}", heard, whole, wordings(heard, words[:count], hear))


def wordings(samples: Samples, words: Sequence[Word], hear: "Hear") -> Wordings:
    so_far = [" ".join(word.text for word in words[: count + 1]) for count in range(len(words))]
    said = zip((word.end_ms + LAG_MS for word in words), so_far, strict=True)
    return {"no words": (), "PocketSphinx": hear(samples), "as said": tuple(said)}


Hear = Callable[[Samples], News]


def published(sphinx: Sphinx, samples: Samples) -> News:
    """What PocketSphinx publishes, and when, while the turn goes on."""
    turn, words, news = Turn(sphinx), [], []
    for start in range(0, len(samples), RATE_HZ // 10):
        if new := turn.feed(samples[start : start + RATE_HZ // 10].tobytes()):
            words += new
            news.append(((start + RATE_HZ // 10) * 1000 / RATE_HZ, " ".join(words)))
    return tuple(news)


async def detected(case: Case, silero: Silero) -> Case:
    count = len(case.samples) // FRAME_SAMPLES
    frames = case.samples[: count * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)

    async def given() -> AsyncIterator[Frames]:
        yield frames.astype(np.float32) / np.float32(32768)

    async with aclosing(silero.detect(given())) as stream:
        probabilities = tuple([each async for some in stream for each in some])
    return replace(case, probabilities=probabilities)


# Rules: from a pause to how long it may last, asked again at each frame of it.

Rule = Callable[[Case, int, int], float]  # the silence began at, and it is now: its limit, in ms


def server_vad(silence_ms: int, _case: Case, _began_ms: int, _now_ms: int) -> float:
    return silence_ms


class Semantic:
    """The judge's rule; asks only when there is something new."""

    def __init__(self, limit_ms: int, wording: str) -> None:
        self._limit_ms = limit_ms
        self._wording = wording
        self._asked: tuple[str, int, str] | None = None
        self._patience_ms = 0.0

    def __call__(self, case: Case, began_ms: int, now_ms: int) -> float:
        if now_ms - began_ms < ASKED_MS:
            return self._limit_ms
        words = ""
        for at_ms, so_far in case.wordings[self._wording]:
            words = so_far if at_ms <= now_ms else words
        asked = (case.name, began_ms, words)
        if asked != self._asked:
            self._asked = asked
            self._patience_ms = self._patience(verdict(case, now_ms, words))
        return self._patience_ms

    def _patience(self, finished: float) -> float:
        return ASKED_MS + (self._limit_ms - ASKED_MS) * (1 - finished) ** 2


def verdict(case: Case, now_ms: int, words: str) -> float:
    end = now_ms * RATE_HZ // 1000
    newest = case.samples[max(0, end - HEARD_MS * RATE_HZ // 1000) : end]
    return finished(Pause(of_samples(newest, RATE_HZ), words))


def ends(case: Case, rule: Rule) -> Iterator[tuple[int, int]]:
    """Where turns end, and how long the silence had lasted, in ms."""
    voiced, speaking, voice_ended_ms = 0, False, 0
    for frame, probability in enumerate(case.probabilities, 1):
        now_ms = frame * FRAME_MS
        if not speaking:
            voiced = voiced + 1 if probability >= 0.5 else 0
            speaking, voice_ended_ms = voiced >= 2, now_ms
        elif probability >= 0.35:
            voice_ended_ms = now_ms
        elif now_ms - voice_ended_ms >= rule(case, voice_ended_ms, now_ms):
            yield now_ms, now_ms - voice_ended_ms
            speaking, voiced = False, 0


RULES: dict[str, Callable[[str], Rule]] = {
    "server_vad, 200 ms": lambda _: partial(server_vad, 200),
    "server_vad, 500 ms": lambda _: partial(server_vad, 500),
    "semantic_vad, high": partial(Semantic, LIMITS_MS["high"]),
    "semantic_vad, medium or auto": partial(Semantic, LIMITS_MS["medium"]),
    "semantic_vad, low": partial(Semantic, LIMITS_MS["low"]),
}


def measured() -> Iterator[tuple[str, str, Rule]]:
    """Each rule with each way to come by words that it cares about."""
    for name, make in RULES.items():
        wordings = ("no words", "PocketSphinx", "as said") if "semantic" in name else ("no words",)
        for wording in wordings:
            yield name, wording if "semantic" in name else "-", make(wording)


def table(title: str, studied: Sequence[Case]) -> None:
    """How long the last silence of each case lasted until the turn ended."""
    cut = [case for case in studied if not case.ended]
    whole = [case for case in studied if case.ended]
    print(f"\n{title}: {len(cut)} cut off, {len(whole)} whole\n")
    print(f"| rule | words | {' | '.join(f'{ms / 1000} s' for ms in PAUSES_MS)} | p50 | p90 |")
    print(f"|---|---|{'---:|' * (len(PAUSES_MS) + 2)}")
    for name, wording, rule in measured():
        waits = [wait for case in cut if (wait := last_wait(case, rule))]
        added = [wait for case in whole if (wait := last_wait(case, rule))]
        shares = [100 * np.mean([wait <= pause for wait in waits]) for pause in PAUSES_MS]
        columns = [f"{share:.0f} %" for share in shares]
        columns += [f"{np.percentile(added, part):.0f}" for part in (50, 90)]
        print(f"| {name} | {wording} | {' | '.join(columns)} |")


def last_wait(case: Case, rule: Rule) -> int | None:
    """None where no voice was heard at all."""
    return next((wait for _, wait in reversed(list(ends(case, rule)))), None)


def pauses(case: Case) -> None:
    """Where the turns of a long recording end, as it was recorded."""
    length_ms = len(case.samples) * 1000 / RATE_HZ - ROOM_S * 1000
    print(f"\nEnds of turns in {case.name.split(':')[0]}, which lasts {length_ms:.0f} ms\n")
    print("| rule | words | ends in ms, and the silence before |")
    print("|---|---|---|")
    for name, wording, rule in measured():
        told = ", ".join(f"{at} ({wait})" for at, wait in ends(case, rule))
        print(f"| {name} | {wording} | {told} |")


def verdicts(studied: Sequence[Case]) -> None:
    """What the judge says, 600 ms after the voice ended."""
    for case in studied:
        stops = list(ends(case, partial(server_vad, 600)))
        if not stops:
            continue
        now_ms = stops[-1][0]
        told = []
        for wording, news in case.wordings.items():
            words = ([""] + [so_far for at_ms, so_far in news if at_ms <= now_ms])[-1]
            told.append(f"{wording} {verdict(case, now_ms, words):.2f}")
        print(f"{'whole' if case.ended else 'cut  '} {', '.join(told)}  {case.name}")


async def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--show", action="store_true", help="every verdict, too")
    options = arguments.parse_args()
    hear = partial(published, Sphinx())
    people = [
        case
        for clip in clips(options.folder)
        for case in cases(clip.name, clip.samples, aligned(clip), hear)
    ]
    synthetic = []
    for number, sentence in enumerate(SENTENCES, 1):
        samples, words = await spoken(sentence)
        synthetic += list(cases(f"espeak_{number}", samples, words, hear))
    async with Silero() as silero:
        people = [await detected(case, silero) for case in people]
        synthetic = [await detected(case, silero) for case in synthetic]
    if options.show:
        verdicts([*people, *synthetic])
    table("People", people)
    table("eSpeak", synthetic)
    for case in people:
        if case.ended and len(case.samples) > (ROOM_S + 6) * RATE_HZ:
            pauses(case)


if __name__ == "__main__":
    anyio.run(main)
