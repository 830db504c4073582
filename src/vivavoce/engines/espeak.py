"""The embedded synthesiser: eSpeak NG, for a hundred languages, at once and without a download.

Speech is made a piece of text at a time, at hundreds of times real time, so a few worker processes
serve every session: a stream holds one only while a piece is made, never while it waits for its
next phrase or for its listener. `espeak_library` is what runs in the workers.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing

import msgspec
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import Spoken, SpokenMark, Voice
from vivavoce.engines.espeak_library import RATE_HZ, Order, Uttered, start
from vivavoce.engines.worker import Workers

PIECE_CHARACTERS = 300  # some 20 s of speech, made in some 20 ms
SLOWEST, FASTEST = 80, 450  # words a minute, the library's limits
MOST_WORD_GAP = 40  # over a second


class Timbre(Struct, frozen=True):
    """How a voice differs from the others. Pitch, its range and volume are eSpeak's, 50 50 100."""

    variant: str
    pitch: int
    pitch_range: int
    words_a_minute: int
    volume: int


# The API's voices as far as a formant synthesiser can tell them apart: the median pitch of each is
# given in Hz, and the volumes bring all to about -20.5 dBFS.
TIMBRES = {
    "alloy": Timbre("f1", 42, 55, 172, 105),  # 165, even
    "ash": Timbre("m3", 52, 62, 170, 115),  # 107, clear
    "ballad": Timbre("m7", 66, 80, 158, 100),  # 134, melodious
    "coral": Timbre("f2", 62, 72, 180, 95),  # 215, lively
    "echo": Timbre("m1", 34, 42, 166, 140),  # 84, level
    "sage": Timbre("f4", 36, 40, 160, 105),  # 147, calm
    "shimmer": Timbre("f5", 66, 65, 176, 110),  # 240, bright
    "verse": Timbre("m2", 80, 88, 178, 120),  # 143, expressive
    "marin": Timbre("f3", 40, 50, 164, 110),  # 188, soft
    "cedar": Timbre("adam", 30, 50, 160, 125),  # 79, deep
}
DEFAULT_VOICE = "alloy"
DEFAULT_LANGUAGE = "en-us"
# ISO 639-1 codes that eSpeak NG calls otherwise, or of which it has several.
LANGUAGES = {"en": "en-us", "no": "nb", "nn": "nb", "zh": "cmn", "pt": "pt-br"}


class Espeak:
    """eSpeak NG as a `Synthesiser`. *workers* processes; *waiting* pieces of text may queue.

    A speed under 0.47 is reached by pauses between the words, for the library's slowest is 80
    words a minute.
    """

    warms_up = True
    cheap = True  # a sentence takes a worker for a few milliseconds

    def __init__(self, *, workers: int = 2, waiting: int = 1000) -> None:
        self._workers = Workers(start, size=workers, waiting=waiting, name="eSpeak NG")
        self._open = AsyncExitStack()
        self._number = ""

    @property
    def version(self) -> str:
        """Such as `eSpeak NG 1.52.0`; the number is known once it has been loaded."""
        return f"eSpeak NG {self._number}".rstrip()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return self._workers.process_ids

    @property
    def queued(self) -> int:
        """How many wait for a worker."""
        return self._workers.queued

    async def __aenter__(self) -> "Espeak":
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._workers)
            async with self._workers.lease() as lease:
                await lease.send(b"")
                lease.finish()
                self._number = b"".join([reply async for reply in lease]).decode()
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._open.aclose()

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        """Speak each phrase when it comes, about a word at a time, at 22050 Hz."""
        text_start = samples = 0
        async for phrase in phrases:
            for piece in pieces(phrase):
                audio_start = samples
                async with aclosing(self._utter(piece, voice)) as stretches:
                    async for uttered in stretches:
                        pcm = Pcm(uttered.audio, RATE_HZ)
                        samples += pcm.count
                        yield Spoken(pcm, marks(uttered, text_start, audio_start))
                text_start += len(piece)

    async def _utter(self, piece: str, voice: Voice) -> AsyncGenerator[Uttered, None]:
        order = order_for(piece, voice)
        if not order.text.strip():
            return
        async with self._workers.lease() as lease:
            await lease.send(msgspec.msgpack.encode(order))
            lease.finish()
            async for reply in lease:
                yield msgspec.msgpack.decode(reply, type=Uttered)


def marks(uttered: Uttered, text_start: int, audio_start: int) -> tuple[SpokenMark, ...]:
    """The words of a piece that begins at *text_start* of the stream and sample *audio_start*."""
    return tuple(
        SpokenMark(
            text_start + word.start,
            text_start + word.end,
            (audio_start + word.sample) * 1000 / RATE_HZ,
        )
        for word in uttered.words
    )


SENTENCE_END = re.compile(r"[.!?…]\s+|[。！？\n]")


def pieces(text: str) -> Iterator[str]:
    """Cut a long text where it hurts least: after a sentence, between words, or anywhere."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        window = text[start : start + PIECE_CHARACTERS]
        ends = [end.end() for end in SENTENCE_END.finditer(window)]
        size = ends[-1] if ends else window.rfind(" ") + 1 or len(window)
        yield window[:size]
        start += size
    yield text[start:]


def order_for(piece: str, voice: Voice) -> Order:
    """Everything the library must know to say *piece*."""
    timbre = TIMBRES.get(voice.name, TIMBRES[DEFAULT_VOICE])
    words_a_minute, word_gap = pace(piece, timbre.words_a_minute * voice.speed)
    return Order(
        text=speakable(piece),
        languages=languages(voice.language),
        variant=timbre.variant,
        words_a_minute=words_a_minute,
        volume=timbre.volume,
        pitch=timbre.pitch,
        pitch_range=timbre.pitch_range,
        word_gap=word_gap,
        pause=PAUSE_AFTER.search(piece) is not None,
    )


# A phrase that was cut off in the middle of a sentence runs on into the next; after a comma or a
# full stop the library makes the pause that it makes within a text, 160 to 320 ms.
PAUSE_AFTER = re.compile(r"""[.,;:!?…。、\uff0c\uff1b\uff1a！？؟،][\s"'”’»)\]]*$|\n\s*$""")

EMOJI = r"[\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff]"
UNSPEAKABLE = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]"  # controls, halves of characters
    rf"|{EMOJI}(?:{EMOJI}|[\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f])*"
    r"|[*_~`]{2,}|(?<![^\s(\"'])[*_~`](?=\S)|(?<=\S)[*_~`](?![^\s.,;:!?)\"'])"  # mark-up, as in
    r"|^#+(?=\s)",  # **bold**, `code` and # headings, which would be read as "asterisk asterisk"
    re.MULTILINE,
)


def speakable(text: str) -> str:
    """*text* with blanks for what is not to be read out, every word at its place."""
    return UNSPEAKABLE.sub(lambda found: " " * len(found.group()), text)


def languages(tag: str | None) -> tuple[str, ...]:
    """What to ask the library for, best first: `de-AT` may be had as `de-at`, or else as `de`."""
    if tag is None or not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        return (DEFAULT_LANGUAGE,)
    whole, primary = tag.lower(), tag.lower().partition("-")[0]
    named = (LANGUAGES.get(whole, whole), LANGUAGES.get(primary, primary), DEFAULT_LANGUAGE)
    return tuple(dict.fromkeys(named))


def pace(text: str, words_a_minute: float) -> tuple[int, int]:
    """The library's rate and word gap for that speed.

    Below the slowest rate the rest of the time goes between the words. A character takes about
    10,500 ms over the rate; a gap of n, at the slowest rate, 45 + 31 n milliseconds.
    """
    if words_a_minute >= SLOWEST:
        return min(round(words_a_minute), FASTEST), 0
    missing_ms = 10500 * len(text) * (1 / words_a_minute - 1 / SLOWEST)
    gap_ms = missing_ms / max(len(text.split()) - 1, 1)
    return SLOWEST, min(max(round((gap_ms - 45) / 31), 0), MOST_WORD_GAP)
