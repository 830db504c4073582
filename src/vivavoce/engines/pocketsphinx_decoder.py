"""PocketSphinx in a worker process: one turn of audio in, words out as soon as they are certain.

How well PocketSphinx hears depends on one thing more than on all its options: the mean of the
cepstra, which it takes away from what it hears so that voice, microphone and level drop out. Told
nothing it assumes an average one for the first eight seconds, and most turns are shorter than that.
So a turn is *held* until there is speech enough to know its own mean, and only then decoded, several
times faster than it was spoken; from there on the mean follows the speech. Only what sounds counts:
silence has a mean of its own. The measurements are in `docs/recipes.md`.

The words of a turn depend on its audio alone, neither on how that was cut up nor on what the worker
heard before. Keep this module light, workers import it.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from vivavoce.engines.job import Aborted, Job, Work

RATE_HZ = 16000
FRAME = 160  # samples from one cepstrum to the next, 10 ms
WINDOW = 410  # samples that a cepstrum is made of
BLOCK_FRAMES = 10  # decoded at once; no word is shorter
BLOCK = BLOCK_FRAMES * FRAME
CEPSTRA = 13

HELD_FRAMES = 40  # so much sounding speech gives a mean to begin with,
SHORT_FRAMES = 20  # and so much if a pause follows: most of a short turn has been heard
PAUSE_FRAMES = 8
LEAD_FRAMES = 25  # of the silence before speech, as much is decoded with it
MARGIN_FRAMES = 5  # around what sounds, which is speech too
AUDIBLE_DB = 30.0  # what sounds is no further below the loudest of the turn,
QUIETEST_DBFS = -60.0  # nor below this

# Whoever judges whether the speaker has finished needs the words before a pause while it lasts. A break
# of 0.2 s after a second of speech does no harm: fewer words were wrong than with 0.4 s after three.
BREAK_FRAMES = 20  # such a pause ends a sentence,
SENTENCE_FRAMES = 100  # if that has lasted so long
LONGEST_FRAMES = 3000  # where there is no pause, a sentence ends anyhow

# The last pass, over the lattice of the whole sentence, mends a quarter of the words that were wrong
# until then. Words sent early are not mended, so few are: those that look safe after 1.5 s.
STEADY = 15  # hypotheses in a row have a word at its place before it is certain
UNSETTLED = 3  # words at the end of a hypothesis that never are

Mean = NDArray[np.float64]
Samples = NDArray[np.int16]
Levels = NDArray[np.float64]


class Sphinx:
    """The library, decoding one sentence at a time with the mean it is told."""

    # The live mean is a window of 500 frames that begins as full of the mean that was set.
    SET_FRAMES = 500

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RATE_HZ, fwdflat=False, loglevel="FATAL")
        # A search with next to nothing to search for: to have cepstra computed costs little then.
        self._decoder.add_jsgf_string("nothing", "#JSGF V1.0; grammar g; public <g> = a;")
        self._fed = 0
        self._inside = False  # a sentence

    def forget(self) -> None:
        """Begin a turn: nothing is left of one that was called off, nor learnt about noise."""
        if self._inside:
            self._decoder.end_utt()
            self._inside = False
        self._decoder.activate_search()
        self._decoder.reinit_feat()

    def mean_of(self, samples: Samples) -> Mean:
        """The mean of the cepstra of up to three seconds."""
        self._decoder.activate_search("nothing")
        self.begin()
        total, frames = self.decode(samples, np.zeros(CEPSTRA), search=False)
        self.end()
        self._decoder.activate_search()
        return total / frames

    def begin(self) -> None:
        """Begin a sentence."""
        self._decoder.start_utt()
        self._inside = True
        self._fed = 0

    def decode(self, samples: Samples, mean: Mean, search: bool = True) -> tuple[Mean, int]:
        """Go on with up to three seconds; the sum of their cepstra, and how many these are."""
        self._decoder.set_cmn(",".join(map(repr, mean.tolist())))
        self._decoder.process_raw(samples.tobytes(), not search, False)
        before, self._fed = self._fed, self._fed + len(samples)
        frames = cepstra_of(self._fed) - cepstra_of(before)
        live = np.array([float(each) for each in self._decoder.get_cmn(True).split(",")])
        return live * (self.SET_FRAMES + frames) - mean * self.SET_FRAMES, frames

    def words(self) -> list[str]:
        """What was probably said so far."""
        hypothesis = self._decoder.hyp()
        return plain(hypothesis.hypstr) if hypothesis else []

    def end(self) -> list[str]:
        """End the sentence: what was said."""
        self._decoder.end_utt()
        self._inside = False
        return self.words()


def cepstra_of(samples: int) -> int:
    """How many cepstra are known of that many samples."""
    return max(0, (samples - WINDOW) // FRAME + 1)


def plain(hypothesis: str) -> list[str]:
    """The words, without the numbers that tell their pronunciations apart: `the(2)`."""
    return re.sub(r"\(\d+\)", "", hypothesis).split()


def levels_of(samples: Samples) -> Levels:
    """The level of each whole frame in dB against full scale."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    levels: Levels = 10 * np.log10(np.maximum(np.var(frames, axis=1), 0.01) / 32768**2)
    return levels


class Turn:
    """One turn of speech. *checkpoint* is called before anything that takes long, and may raise."""

    def __init__(self, sphinx: Sphinx, checkpoint: Callable[[], None] = lambda: None) -> None:
        self._sphinx = sphinx
        self._checkpoint = checkpoint
        # Without it digital silence has no cepstra, and they could not be counted.
        self._dither = np.random.default_rng(0)
        self._cut = bytearray()  # less than a block
        self._ahead = np.empty(0, np.int16)  # blocks not decoded yet
        self._levels = np.empty(0)  # of the frames of the sentence, those ahead included
        self._peak = QUIETEST_DBFS
        self._total = np.zeros(CEPSTRA)  # of the cepstra of speech
        self._frames = 0  # how many these are
        self._words = Words()
        self._decoding = False
        sphinx.forget()

    def feed(self, audio: bytes) -> list[str]:
        """Go on with *audio*, 16-bit at 16 kHz: the words that have become certain."""
        certain = []
        self._cut += audio
        for start in range(0, len(self._cut) - 2 * BLOCK + 1, 2 * BLOCK):
            certain += self._hear(np.frombuffer(self._cut[start : start + 2 * BLOCK], "<i2"))
        del self._cut[: len(self._cut) // (2 * BLOCK) * 2 * BLOCK]
        return certain

    def finish(self) -> list[str]:
        """There is no more audio: the rest of the words."""
        even = len(self._cut) // 2 * 2
        self._take(np.frombuffer(self._cut[:even], "<i2"))
        if self._decoding:
            return self._decode() + self._end()
        if len(self._levels) >= BLOCK_FRAMES and self._sounding.any():
            return self._begin() + self._end()
        return []

    def _hear(self, block: Samples) -> list[str]:
        self._take(block)
        if self._decoding:
            certain = self._decode()
            return certain + self._end() if self._ended else certain
        self._drop_silence()
        return self._begin() if self._ready else []

    def _take(self, samples: Samples) -> None:
        noise = self._dither.integers(-1, 2, len(samples))
        samples = np.clip(samples + noise, -32768, 32767).astype(np.int16)
        levels = levels_of(samples)
        self._peak = max(self._peak, *levels) if len(levels) else self._peak
        self._ahead = np.concatenate([self._ahead, samples])
        self._levels = np.concatenate([self._levels, levels])

    @property
    def _sounding(self) -> NDArray[np.bool_]:
        """Which frames sound, as far as it is known now what is loud in this turn."""
        return self._levels > max(self._peak - AUDIBLE_DB, QUIETEST_DBFS)

    def _drop_silence(self) -> None:
        sounding = self._sounding
        first = int(np.argmax(sounding)) if sounding.any() else len(sounding)
        silent = max(0, first - LEAD_FRAMES)
        self._ahead = self._ahead[silent * FRAME :]
        self._levels = self._levels[silent:]

    @property
    def _ready(self) -> bool:
        sounding = self._sounding
        needed = 1 if self._frames else HELD_FRAMES
        if not self._frames and not sounding[-PAUSE_FRAMES:].any():
            needed = SHORT_FRAMES
        return int(sounding.sum()) >= needed

    @property
    def _ended(self) -> bool:
        paused = not self._sounding[-BREAK_FRAMES:].any()
        return len(self._levels) >= (SENTENCE_FRAMES if paused else LONGEST_FRAMES)

    def _begin(self) -> list[str]:
        if not self._frames:
            speech = self._speech()
            self._frames = cepstra_of(len(speech))
            self._total = self._sphinx.mean_of(speech) * self._frames
        self._sphinx.begin()
        self._decoding = True
        return self._decode()

    def _speech(self) -> Samples:
        """What sounds of that which lies ahead, closed up."""
        margin = np.ones(2 * MARGIN_FRAMES + 1)
        near = np.convolve(self._sounding, margin)[MARGIN_FRAMES:-MARGIN_FRAMES] > 0
        whole = self._ahead[: len(near) * FRAME].reshape(-1, FRAME)
        return whole[near].reshape(-1)[: 3 * RATE_HZ]

    def _decode(self) -> list[str]:
        certain = []
        ahead, self._ahead = self._ahead, self._ahead[:0]
        behind, sounding = len(self._levels) - len(ahead) // FRAME, self._sounding
        for start in range(0, len(ahead), BLOCK):
            self._checkpoint()
            first = behind + start // FRAME
            total, frames = self._sphinx.decode(
                ahead[start : start + BLOCK], self._total / self._frames
            )
            if 2 * np.count_nonzero(sounding[first : first + BLOCK_FRAMES]) >= BLOCK_FRAMES:
                self._total += total
                self._frames += frames
            certain += self._words.hear(self._sphinx.words())
        return certain

    def _end(self) -> list[str]:
        self._checkpoint()
        self._decoding = False
        self._levels = self._levels[:0]
        return self._words.conclude(self._sphinx.end())


class Words:
    """Hypotheses in, words that are certain out."""

    def __init__(self) -> None:
        self._certain: list[str] = []
        self._recent: deque[list[str]] = deque(maxlen=STEADY)

    def hear(self, words: list[str]) -> list[str]:
        """The words that another hypothesis has made certain."""
        self._recent.append(words[: max(0, len(words) - UNSETTLED)])
        if len(self._recent) < STEADY:
            return []
        same = takewhile(lambda each: len(set(each)) == 1, zip(*self._recent, strict=False))
        steady = len(list(same))
        if words[: len(self._certain)] != self._certain or steady <= len(self._certain):
            return []
        new = words[len(self._certain) : steady]
        self._certain += new
        return new

    def conclude(self, words: list[str]) -> list[str]:
        """The rest of the sentence's words, as far as that can follow what was certain."""
        rest = words[reach(self._certain, words) :]
        self._certain.clear()
        self._recent.clear()
        return rest


def reach(said: Sequence[str], words: Sequence[str]) -> int:
    """How many of *words* are told by *said*: the beginning that differs least from it."""
    distances = list(range(len(words) + 1))
    for i, each in enumerate(said, 1):
        diagonal, distances[0] = distances[0], i
        for j, word in enumerate(words, 1):
            diagonal, distances[j] = (
                distances[j],
                min(distances[j] + 1, distances[j - 1] + 1, diagonal + (each != word)),
            )
    return min(range(len(words) + 1), key=lambda j: (distances[j], abs(j - len(said))))


def start() -> Work:
    """Load the library: each job is one turn.

    Every message of audio is answered by the words that it made certain, perhaps none; the end of
    the audio by the rest of them.
    """
    sphinx = Sphinx()

    def transcribe(job: Job) -> None:
        def checkpoint() -> None:
            if job.aborted:
                raise Aborted

        turn = Turn(sphinx, checkpoint)
        for audio in job:
            job.reply(" ".join(turn.feed(audio)).encode())
        job.reply(" ".join(turn.finish()).encode())

    return transcribe
