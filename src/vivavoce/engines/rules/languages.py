# ruff: noqa: RUF001 - Cyrillic letters are meant
"""Which language to answer in: what was wished for, or what is evidently spoken."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain

from vivavoce.engines.rules.lexicon import sentences, words
from vivavoce.engines.rules.phrasebook import PHRASES

_NAMES = {
    "en": "english|englisch|anglais|inglés|inglês|engelska|английск",
    "de": "german|deutsch|allemand|alemán|alemão|tyska|немецк",
    "fr": "french|französisch|français|francés|francês|franska|французск",
    "es": "spanish|spanisch|espagnol|español|castellano|espanhol|spanska|испанск",
    "pt": "portuguese|portugiesisch|portugais|portugués|português|portugisiska|португальск",
    "sv": "swedish|schwedisch|suédois|sueco|svenska|шведск",
    "ru": "russian|russisch|russe|ruso|russo|ryska|русск",
}
_VERBS = (
    "speak|speaking|talk|answer|answers|reply|respond|response|responses|switch|sprich|sprechen|"
    "antworte|antworten|parle|parler|parlez|réponds|répondez|habla|hable|hablar|responde|responda|"
    "fale|falar|tala|prata|svara|говори|говорите|отвечай|отвечайте|use|language"
)
_LINKS = "in|to|is|auf|en|em|på|на|по|only|always|immer|you|me|nur|toujours|siempre|sempre|alltid"
_WISH = {
    code: re.compile(rf"\b(?:{_VERBS})(?:[\s:-]+(?:{_LINKS}))*[\s:-]+(?:{names})", re.IGNORECASE)
    for code, names in _NAMES.items()
}
_IN = {
    code: re.compile(rf"\b(?:in|auf|en|em|på|на|по)[\s-](?:{names})", re.IGNORECASE)
    for code, names in _NAMES.items()
}
_ANY = re.compile("|".join(_NAMES.values()), re.IGNORECASE)
_OF_SPEECH = re.compile(
    rf"\b(?:{_VERBS}|replies|write|say|greet|converse|keep|always|only)\b", re.IGNORECASE
)
_REFUSAL = re.compile(
    r"(?:\bnot|\bnever|n't|\bno|\bnicht|\bnie|\bne|\bnunca|\baldrig|\bне)\b", re.IGNORECASE
)

_SHORT = 20  # characters: `in English, please`

_TELLING = {
    "en": "the is are what how you your my i it and of to tell me please hello hi who when where",
    "de": "ich du ist nicht ein eine wie wer wo und hallo danke bitte guten ja nein mir mein auf "
    "mit für heute geht es dir heiße kannst das der sie bist wann warum uhr deutsch sag hilfe "
    "tschüss wiedersehen spät erzähl zähl",
    "fr": "je tu est pas un une comment qui où et bonjour merci oui non moi mon avec pour vous "
    "ça va êtes suis quelle quel heure il aide bonsoir salut revoir les au c'est m'appelle",
    "es": "yo está qué quién cómo y hola gracias por favor sí mi con para estás eres hora me llamo "
    "usted buenos días adiós ayuda es el la cuéntame puedes soy",
    "pt": "eu é não um uma quem como e olá oi obrigado obrigada sim meu com você está horas bom dia "
    "tchau ajuda tudo bem são o nome que sou",
    "sv": "jag är inte och hej tack ja nej mig min med du hur vad vem heter mår klockan god dag "
    "hjälp mycket det kan",
    "ru": "я ты не и как что кто где привет спасибо да нет мне мой меня зовут вы дела который час "
    "здравствуйте помощь пожалуйста до свидания",
}
_MARKERS = {code: frozenset(telling.split()) for code, telling in _TELLING.items()}


def wished(text: str) -> str | None:
    """The language a caller asks for: `speak German`."""
    return _wish(text, _WISH) or (_wish(text, _IN) if len(text) <= _SHORT else None)


def ordered(instructions: str) -> str | None:
    """The language that *instructions* ask for, also as in `reply to everything in German`."""
    speaking = (each for each in sentences(instructions) if _OF_SPEECH.search(each))
    return _wish(instructions, _WISH) or next(
        (code for each in speaking if (code := _wish(each, _IN))), None
    )


def _wish(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    if not _ANY.search(text):
        return None
    for code, pattern in patterns.items():
        found = pattern.search(text)
        if found and not _REFUSAL.search(text, max(0, found.start() - 16), found.end()):
            return code
    return None


def evident(text: str) -> str | None:
    """The language whose own words are most of *text*; None when it could be any."""
    said = words(text)
    scores = {code: sum(word in own for word in said) for code, own in _MARKERS.items()}
    best = max(scores, key=scores.__getitem__)
    if list(scores.values()).count(scores[best]) > 1:
        return None
    return best if scores[best] >= (1 if len(said) <= 4 else 2) else None


def language_for(said: str, earlier: Sequence[str], instructions: str, hinted: str | None) -> str:
    """The one of `PHRASES` to answer in.

    A wish comes first, the caller's newest before the instructions'; then the client's hint,
    because its voice goes by it too; then what is evidently spoken, now or before.
    """
    before = earlier[::-1]
    hint = (hinted or "").split("-")[0].split("_")[0].lower()
    guesses = chain(
        map(wished, (said, *before)),
        map(ordered, (instructions,)),
        (hint if hint in PHRASES else None,),
        map(evident, (said, *before, instructions)),
    )
    return next(filter(None, guesses), "en")
