"""eSpeak NG in a worker process: the library by ctypes, and when each word of a text sounds.

The library keeps its state in C globals and crashes under two threads, and it is GPL-3: it is
loaded in a process of its own and nowhere else. Keep this module light, workers import it.
"""

import ctypes
import os
import re
from bisect import bisect_right
from collections.abc import Callable

import msgspec
from msgspec import Struct

from vivavoce.engines.job import Aborted, Job, Work

RATE_HZ = 22050
CHUNK_MS = 60  # how often the library shows what it has made
SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000  # report a missing data folder, do not end the process
CHARACTERS = 1  # positions count characters
UTF_8 = 1
END_PAUSE = 0x1000
RATE, VOLUME, PITCH, PITCH_RANGE, WORD_GAP = 1, 2, 3, 4, 7
WORD = 1

WordEvent = tuple[int, int]  # position in the text, from 0, and time in samples


class Order(Struct, frozen=True):
    """What to say, and how. *languages* are tried in turn; *pause*: let a pause follow."""

    text: str
    languages: tuple[str, ...]
    variant: str
    words_a_minute: int
    volume: int
    pitch: int
    pitch_range: int
    word_gap: int
    pause: bool


class WordStart(Struct, frozen=True, array_like=True):
    """The word at characters [*start*, *end*) of the order begins at *sample* of its audio."""

    start: int
    end: int
    sample: int


class Uttered(Struct, frozen=True):
    """The next stretch of audio, about a word long, and the words that begin in it."""

    audio: bytes
    words: tuple[WordStart, ...]


class WordTimes:
    """When each word begins. The library's reports merge short words, repeat themselves and stray.

    A word without a report shares the time between its neighbours' reports, so in the end every
    word has its time, in order.
    """

    def __init__(self, text: str) -> None:
        self._spans = [word.span() for word in re.finditer(r"\S+", text)]
        self._starts = [start for start, _ in self._spans]
        self._next = 0  # the first word that has no time yet
        self._since = 0  # time of the last report
        self._inside = 0  # 1 while that report's word takes a share of the time since

    def hear(self, position: int, sample: int) -> list[WordStart]:
        """The words whose times are settled by a report."""
        word = max(bisect_right(self._starts, position) - 1, 0)
        if word < self._next or not self._spans:
            self._since, self._inside = sample, 0
            return []
        words = self._share(word, sample)
        words.append(WordStart(*self._spans[word], sample))
        self._next, self._since, self._inside = word + 1, sample, 1
        return words

    def finish(self, sample: int) -> list[WordStart]:
        """The words that are left when the audio ends at *sample*."""
        return self._share(len(self._spans), sample)

    def _share(self, until: int, sample: int) -> list[WordStart]:
        unsettled = self._spans[self._next : until]
        shares = len(unsettled) + self._inside
        return [
            WordStart(*span, self._since + (sample - self._since) * (i + self._inside) // shares)
            for i, span in enumerate(unsettled)
        ]


class Utterance:
    """One order being spoken: audio goes out as soon as all words that begin in it are known."""

    def __init__(self, text: str, tell: Callable[[Uttered], None]) -> None:
        self._tell = tell
        self._times = WordTimes(text)
        self._audio = bytearray()
        self._told = 0  # samples
        self._words: list[WordStart] = []
        self._spoke = False

    def hear(self, audio: bytes, reports: list[WordEvent]) -> None:
        """Take in what the library made next."""
        self._audio += audio
        for position, sample in reports:
            self._spoke = True
            self._words += self._times.hear(position, sample)
            self._release(sample)

    def finish(self) -> None:
        """Let go of the rest; of a text without any word there is nothing, not even silence."""
        end = self._told + len(self._audio) // 2
        if self._spoke:
            self._words += self._times.finish(end)
            self._release(end)

    def _release(self, until: int) -> None:
        size = min(2 * (until - self._told), len(self._audio))
        if size <= 0:
            return
        self._told += size // 2
        now = tuple(word for word in self._words if word.sample < self._told)
        del self._words[: len(now)]
        self._tell(Uttered(bytes(self._audio[:size]), now))
        del self._audio[:size]


class Event(ctypes.Structure):
    """`espeak_EVENT` of the library's header; the union at its end is as wide as a pointer."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("at_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("number", ctypes.c_void_p),
    )


EventPointer = ctypes.Array[Event]  # to the type checker; really a pointer, which has no length
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Event))


class Library:
    """The synthesiser. One per process."""

    def __init__(self, library: str, data: str) -> None:
        self._c = ctypes.CDLL(library)
        self._c.espeak_Info.restype = ctypes.c_char_p
        self._c.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        )
        # Only 160 bytes are kept of the path to the data, so it is told a short one.
        os.chdir(os.path.dirname(data))
        self.rate_hz: int = self._c.espeak_Initialize(SYNCHRONOUS, CHUNK_MS, b".", DO_NOT_EXIT)
        if self.rate_hz <= 0:
            raise RuntimeError(f"eSpeak NG finds no data in {data}")
        self._callback = Callback(self._made)  # kept: the library holds no reference to it
        self._c.espeak_SetSynthCallback(self._callback)
        self._hear: Callable[[bytes, list[WordEvent]], None]
        self._fault: BaseException | None = None

    @property
    def version(self) -> str:
        """Such as `1.52.0`."""
        told: bytes = self._c.espeak_Info(None)
        return told.decode()

    def say(self, order: Order, hear: Callable[[bytes, list[WordEvent]], None]) -> None:
        """Give *hear* the audio and its words as they are made; it may raise to put an end to it."""
        self._choose_voice(order)
        self._hear, self._fault = hear, None
        text = order.text.encode() + b"\0"
        flags = UTF_8 | (END_PAUSE if order.pause else 0)
        status = self._c.espeak_Synth(text, len(text), 0, CHARACTERS, 0, flags, None, None)
        if self._fault:
            raise self._fault
        if status:
            raise RuntimeError(f"espeak_Synth gave {status}")

    def _choose_voice(self, order: Order) -> None:
        for language in order.languages:
            if self._c.espeak_SetVoiceByName(f"{language}+{order.variant}".encode()) == 0:
                break
        for parameter, value in (
            (RATE, order.words_a_minute),
            (VOLUME, order.volume),
            (PITCH, order.pitch),
            (PITCH_RANGE, order.pitch_range),
            (WORD_GAP, order.word_gap),
        ):
            self._c.espeak_SetParameter(parameter, value, 0)

    def _made(self, samples: int | None, count: int, events: EventPointer) -> int:
        # An exception cannot cross the library: it is kept, and 1 says stop.
        try:
            self._hear(ctypes.string_at(samples, 2 * count) if samples else b"", reports(events))
        except BaseException as fault:  # noqa: BLE001 - raised again when the library returns
            self._fault = fault
            return 1
        return 0


def reports(events: EventPointer) -> list[WordEvent]:
    """The words in a list of events that ends with one of kind 0."""
    words = []
    i = 0
    while (event := events[i]).kind:
        if event.kind == WORD:
            words.append((event.position - 1, event.sample))
        i += 1
    return words


def start() -> Work:
    """Load the library; a job is a number of orders, each answered by what is `Uttered`.

    An empty message asks for the version.
    """
    import espeakng_loader

    library = Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    if library.rate_hz != RATE_HZ:
        raise RuntimeError(f"eSpeak NG speaks at {library.rate_hz} Hz, not at {RATE_HZ}")

    def work(job: Job) -> None:
        for message in job:
            if message:
                speak(library, msgspec.msgpack.decode(message, type=Order), job)
            else:
                job.reply(library.version.encode())

    return work


def speak(library: Library, order: Order, job: Job) -> None:
    """Carry out one order."""
    utterance = Utterance(order.text, lambda uttered: job.reply(msgspec.msgpack.encode(uttered)))

    def hear(audio: bytes, words: list[WordEvent]) -> None:
        if job.aborted:
            raise Aborted
        utterance.hear(audio, words)

    library.say(order, hear)
    utterance.finish()
