"""How words sound: text in, phonemes of the International Phonetic Alphabet out, by eSpeak NG.

Many voices were trained on these. The library is not safe in threads and its licence is not ours,
so it works in a process of its own, one for all who ask; a phrase takes it less than a millisecond.
"""

import ctypes
import os
import re
import unicodedata
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from vivavoce.engines.espeak_library import DO_NOT_EXIT, SYNCHRONOUS
from vivavoce.engines.job import Job, Work
from vivavoce.engines.worker import Workers

WAITING = 1000
UTF_8, IPA = 1, 2

# Where a clause ends. A full stop inside a number, an address or `e.g.` is none, nor one of a title.
CLAUSE = re.compile(
    r"((?<!\.\w)(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)[.!?…]+(?=[\s\"'”’»)\]]|$)"
    r"|[,;:](?=\s|$)|[。！？、\uff0c\uff1b\uff1a]|\s[-–](?=\s)|—)"
)
MARKS = {"。": ".", "…": ".", "！": "!", "？": "?", "、": ","}
MARKS |= {"\uff0c": ",", "\uff1b": ";", "\uff1a": ":"}  # the wide comma, semicolon and colon
ENDS = (".", "!", "?")
LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)")  # how the library marks a word it reads as foreign


class Wording(Struct, frozen=True):
    """A text, and the voice of eSpeak NG that knows its language."""

    voice: str
    text: str


class Phonemes:
    """Asks the process. Enter it before, leave it afterwards."""

    def __init__(self) -> None:
        self._workers = Workers(start, size=1, waiting=WAITING, name="eSpeak NG")

    async def __aenter__(self) -> "Phonemes":
        await self._workers.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._workers.__aexit__(*exc_info)

    async def of(self, wording: Wording) -> list[str]:
        """The sentences of a text, each as its phonemes with the punctuation kept."""
        async with self._workers.lease() as lease:
            await lease.send(msgspec.msgpack.encode(wording))
            lease.finish()
            replies = [reply async for reply in lease]
        return msgspec.msgpack.decode(b"".join(replies), type=list[str])


def clauses(text: str) -> Iterator[tuple[str, str]]:
    """The text of each clause, and the one mark that ends it: empty if it runs on."""
    start = 0
    for end in CLAUSE.finditer(text):
        mark = end.group(1).strip()[:1]
        yield text[start : end.start()], MARKS.get(mark, "," if mark in "-–—" else mark)
        start = end.end()
    yield text[start:], ""


def start() -> Work:
    """Load the library; every message of a job is a `Wording`, answered by its sentences."""
    library = Library()

    def work(job: Job) -> None:
        for message in job:
            wording = msgspec.msgpack.decode(message, type=Wording)
            job.reply(msgspec.msgpack.encode(library.sentences(wording)))

    return work


class Library:
    """eSpeak NG as far as it knows pronunciation. One per process."""

    def __init__(self) -> None:
        import espeakng_loader

        self._c = ctypes.CDLL(espeakng_loader.get_library_path())
        self._c.espeak_TextToPhonemes.restype = ctypes.c_char_p
        # Only 160 bytes are kept of the path to the data, so it is told a short one.
        os.chdir(os.path.dirname(espeakng_loader.get_data_path()))
        if self._c.espeak_Initialize(SYNCHRONOUS, 0, b".", DO_NOT_EXIT) <= 0:
            raise RuntimeError("eSpeak NG finds no data")

    def sentences(self, wording: Wording) -> list[str]:
        """See `Phonemes.of`. A voice that is unknown is that of American English."""
        if self._c.espeak_SetVoiceByName(wording.voice.encode()):
            self._c.espeak_SetVoiceByName(b"en-us")
        sentences, sentence = [], ""
        for text, mark in clauses(wording.text):
            said = self._phonemes(text)
            if said:
                sentence += f" {said}{mark}" if sentence else f"{said}{mark}"
            if mark in ENDS and sentence:
                sentences.append(sentence)
                sentence = ""
        return [*sentences, sentence] if sentence else sentences

    def _phonemes(self, text: str) -> str:
        buffer = ctypes.create_string_buffer(text.encode(errors="replace"))
        position = ctypes.c_void_p(ctypes.addressof(buffer))
        said = []
        while position.value:  # a clause at a time, as the library understands one
            part: bytes | None = self._c.espeak_TextToPhonemes(ctypes.byref(position), UTF_8, IPA)
            said.append((part or b"").decode(errors="replace").strip())
        joined = LANGUAGE_SWITCH.sub("", " ".join(filter(None, said)))
        return unicodedata.normalize("NFD", joined)
