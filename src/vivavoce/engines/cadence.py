# ruff: noqa: RUF001 - Cyrillic letters are meant
"""Cadence: says from words and melody whether somebody who pauses has finished.

Evidence adds up as odds do (a logistic): what the voice does at its end, and what the words leave
open. Melody is weak evidence everywhere: people lower their voice before many a pause in the middle
of a speech, and read sentences end without a fall. So alone it moves the verdict between about 0.05
and 0.65, and is meant to: without words, patience is the answer. Words are strong evidence, chiefly
against an end: nobody finishes with "the". A transcriber may lag, so words count by how many there
are for the time that was spoken; the judge is asked again when more of them come.

The weights were set by hand, from what is known of speech and a study of few recordings (see
`benchmarks/turn_taking.py`); they were not learnt, and there are too few to learn from.
"""

import math
import re
from collections.abc import Sequence
from typing import Self

from anyio import to_thread

from vivavoce.engines.api import HEARING_RATE_HZ, EngineFailure, Pause
from vivavoce.engines.prosody import Ending, ending_of
from vivavoce.engines.rules.languages import evident

BIAS = -1.2  # most pauses of a speaker are no ends
FALL = 0.25  # for each semitone that the voice ends lower, four at most
RISE = 0.25  # against, for each semitone it ends higher, two at most: it may be a question
FADE = 0.12  # for each dB that the last syllables are softer, seven at most
HELD = 1.5  # against, for a sound that is held for 400 ms; none for 200 ms

OPEN = -2.5  # "and the", "um": more is to come; but a transcriber mishears
HANGING = -1.2  # "to", "what", "is": more is likely
NO_VERB = -1.2  # "and so my friends": something was begun
ANSWER = 2.5  # "yes", "thank you"
QUESTION = 2.2  # "what is the weather in Paris"
SENTENCE = 1.7  # words with a verb, the last of which can be the last
FRAGMENT = 0.6  # words without
MARKS = {"?": 0.8, ".": 0.4, "!": 0.4, "。": 0.4, ",": -1.0, "…": -1.5, "-": -1.0, "–": -1.0}

# Words of a second of sounding speech, which are about three: with less than the first number most
# are missing, from the second on they are trusted.
LAGGING_RATE, KEPT_UP_RATE = 1.0, 2.5
CERTAINTY = 0.97  # never more

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+", re.UNICODE)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OPENS = {
    "en": "a an the my your our their its and or but because if although unless whether than of "
    "into i we very as every some um uh er erm uhm hmm hm mm well like so i'm you're we're they're "
    "it's he's she's there's let's gonna",
    "de": "ein eine einen einem einer eines der den dem des und oder aber weil dass wenn ob obwohl "
    "mein meine meinen dein deine deinen unser unsere für von im ins am zum zur als wie sehr ich "
    "äh ähm öh hm hmm tja naja also",
    "fr": "un une le la les des du de au aux mon ma mes ton ta tes son sa ses notre nos votre vos "
    "et ou mais parce que car si quand dans sur avec pour chez très je tu euh heu hum ben bah",
    "es": "un una unos unas el los las del de al mi mis tu tus su sus y o pero porque que si cuando "
    "en con para por desde muy yo eh em este pues",
    "pt": "um uma uns umas o os as do da dos das de no na ao meu minha seu sua e ou mas porque que "
    "se quando em com para por muito eu é hum ahn então",
    "sv": "en ett den det och eller men eftersom att om när min mitt mina din ditt dina av från "
    "för med till mycket jag öh eh hm alltså",
    "ru": "и или но а потому что если когда чтобы в на с к по о об из для от у за мой моя моё очень "
    "я э эм ну это",
}
_HANGS = {
    "en": "to for with in on at by about from is are was were am be been do does did have has had "
    "can could will would should shall may might must not he she they what which who where "
    "when how why while until then also just really his her that's what's want need please ask",
    "de": "mit zu auf aus an bei ist sind war hat habe haben kann kannst will möchte soll muss er "
    "sie wir was wer wo wann warum nicht",
    "fr": "est sont était a ai as veux peux peut dois il elle nous vous qui où comment pourquoi ne",
    "es": "es son está están era ha he quiero puedo puede debo qué quién dónde cómo no",
    "pt": "são está era tem quero posso pode devo quem onde como não ele ela",
    "sv": "är var har kan vill ska måste i på vad vem var hur inte du han hon vi",
    "ru": "не он она мы вы ты кто где как почему хочу могу можно",
}
_ANSWERS = {
    "en": "yes no yeah yep nope okay ok sure right exactly maybe thank thanks hello hi hey goodbye bye "
    "stop great perfect cool correct",
    "de": "ja nein doch genau okay ok danke hallo tschüss stopp klar gut richtig vielleicht bitte",
    "fr": "oui non si d'accord merci bonjour salut stop voilà exactement okay",
    "es": "sí no claro vale gracias hola adiós basta exacto bueno",
    "pt": "sim não claro obrigado obrigada olá oi tchau exato pronto",
    "sv": "ja nej jo tack hej precis okej stopp bra javisst",
    "ru": "да нет спасибо привет хорошо ладно стоп конечно пока здравствуйте",
}
_ASKS = {
    "en": "what what's who who's whose where where's when when's why how how's which is are was "
    "were do does did can could will would should may have has am isn't aren't don't doesn't",
    "de": "was wer wo wann warum wieso wie welche welcher welches ist sind hast hat kannst können "
    "gibt weißt machst",
    "fr": "qui où quand comment pourquoi quel quelle est-ce qu'est peux pouvez as avez",
    "es": "qué quién dónde cuándo cómo cuál cuánto puedes puede tienes hay es está",
    "pt": "quem onde quando como qual quanto pode você tem há é está",
    "sv": "vad vem var när hur varför vilken vilket kan är har finns",
    "ru": "что кто где когда как почему какой какая сколько можешь можно есть",
}
# Enough of them to tell a sentence from the beginning of one.
_VERBS = _set(
    "is are was were am be been i'm you're we're they're it's he's she's that's there's what's "
    "do does did don't doesn't didn't have has had haven't can can't could will won't would i'd "
    "i'll you'll we'll should must may might let let's go goes went come comes came get gets got "
    "give gives gave take takes took make makes made know knows knew think thinks thought say says "
    "said tell tells told ask asks asked see sees saw look looks want wants wanted need needs like "
    "likes love loves hope try find found put keep keeps start stop call calls called play show "
    "turn open close set send read write work works live lives run runs ran add drop move help "
    "remind book buy bought pay feel feels felt mean means seem seems leave left happen happened "
    "speak talk hear heard bring use used remember forget explain wait check cancel change sounds"
)
# "You" hangs behind these, "do you", and not behind others, "for you".
_BEFORE_YOU = _set(
    "do does did can could will would should if when what that which and because how where why "
    "who while than as so but"
)
_STRANDED = _set("to for with in on at by about from")
_LINKS = _set("and so but or because if although unless when while since before after as")
_SUBORDINATES = _set("if although unless whenever")

_OPEN_WORDS = {code: _set(words) for code, words in _OPENS.items()}
_HANGING_WORDS = {code: _set(words) for code, words in _HANGS.items()}
_ANSWER_WORDS = {code: _set(words) for code, words in _ANSWERS.items()}
_ASKING_WORDS = {code: _set(words) for code, words in _ASKS.items()}


class Cadence:
    """A `TurnJudge` of words and melody, without a model."""

    version = "Cadence 1"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def judge(self, pause: Pause) -> float:
        """See `api.TurnJudge`. The same for the same pause, every time."""
        if pause.pcm.rate_hz != HEARING_RATE_HZ:
            raise EngineFailure(
                f"Cadence hears audio at {HEARING_RATE_HZ} Hz, but was given {pause.pcm.rate_hz} Hz"
            )
        return await to_thread.run_sync(finished, pause)


def finished(pause: Pause) -> float:
    """How finished the turn sounds, 0 to 1."""
    ending = ending_of(pause.pcm.floats)
    said = of_words(pause.words, pause.language)
    if ending is not None:
        said *= trust(pause.words, ending.speech_ms / 1000)
    odds = BIAS + of_melody(ending) + said
    return min(max(1 / (1 + math.exp(-odds)), 1 - CERTAINTY), CERTAINTY)


def of_melody(ending: Ending | None) -> float:
    """What the voice adds to the odds."""
    if ending is None:
        return 0.0
    odds = FADE * min(max(-ending.loudness_db, -7.0), 7.0)
    odds -= HELD * min(max((ending.held_ms - 200) / 200, 0.0), 1.0)
    if ending.pitch is not None:
        odds += FALL * min(max(-ending.pitch, 0.0), 4.0)
        odds -= RISE * min(max(ending.pitch, 0.0), 2.0)
    return odds


def trust(words: str, heard_s: float) -> float:
    """How far *words* can be all that was said in so many seconds of speech: 0 to 1."""
    rate = len(_WORD.findall(words)) / max(heard_s, 0.5)
    return min(max((rate - LAGGING_RATE) / (KEPT_UP_RATE - LAGGING_RATE), 0.0), 1.0)


def of_words(words: str, language: str | None = None) -> float:
    """What the words add to the odds; nothing in a language that is not known here."""
    said = [word.replace("’", "'") for word in _WORD.findall(words.lower())]
    mark = MARKS.get(words.rstrip()[-1:], 0.0) if said else 0.0
    if words.rstrip().endswith("..."):
        mark = MARKS["…"]
    code = (language or evident(words) or "en").split("-")[0].split("_")[0].lower()
    if not said or code not in _OPEN_WORDS:
        return mark
    return mark + _clause(said, code)


def _clause(said: Sequence[str], code: str) -> float:
    last = said[-1]
    if last in _OPEN_WORDS[code]:
        return OPEN
    if len(said) <= 2 and not _ANSWER_WORDS[code].isdisjoint(said):
        return ANSWER
    if code == "en" and last == "you" and said[-2:-1] and said[-2] in _BEFORE_YOU:
        return HANGING
    asks = len(said) >= 3 and said[0] in _ASKING_WORDS[code]
    if last in _HANGING_WORDS[code]:
        # "What are you waiting for": in English a question may end on its preposition.
        return 0.0 if asks and code == "en" and last in _STRANDED else HANGING
    if asks:
        return QUESTION
    return _statement(said) if code == "en" else (SENTENCE + FRAGMENT) / 2


def _statement(said: Sequence[str]) -> float:
    """An English one, which ends on a word that can be the last."""
    verbs = sum(word in _VERBS for word in said)
    if said[0] in _SUBORDINATES and verbs < 2:
        return HANGING
    if verbs:
        return SENTENCE
    return NO_VERB if said[0] in _LINKS and len(said) > 2 else FRAGMENT
