"""Conversing by rules: the first rule that fits what was said gives the answer."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from vivavoce.engines.rules.briefing import Briefing, in_one_word, shortened
from vivavoce.engines.rules.dialogue import Dialogue
from vivavoce.engines.rules.intents import GREETING_WORDS, NAME_TOLD, Intent, intents_of
from vivavoce.engines.rules.knowledge import Fact, answer_to, overheard
from vivavoce.engines.rules.languages import wished
from vivavoce.engines.rules.lexicon import is_question, meanings, sentences, word_set, words
from vivavoce.engines.rules.phrasebook import ENGLISH, Lines, Phrases
from vivavoce.engines.rules.reflection import asked_back, reflected, taken_up
from vivavoce.engines.rules.sums import counted, worked_out


class Talk(Struct, frozen=True):
    """All that an answer depends on. *caller* is the caller's name, once it was told."""

    dialogue: Dialogue
    briefing: Briefing
    facts: tuple[Fact, ...]
    phrases: Phrases
    now: time.struct_time
    caller: str | None = None

    @property
    def turn(self) -> int:
        """How often the caller has spoken before."""
        return len(self.dialogue.heard)

    def line(self, lines: Lines | str) -> str:
        """The next of *lines* that was not said lately, with the caller's name where it has one."""
        options = (lines,) if isinstance(lines, str) else lines
        shift = self.turn % len(options)
        you = f", {self.caller}" if self.caller else ""
        filled = [each.replace("{you}", you) for each in (*options[shift:], *options[:shift])]
        lately = {each.answered for each in self.dialogue.past[-3:]}
        return next((each for each in filled if each not in lately), filled[0])


Answering = Callable[[Talk, re.Match[str]], str | None]

_LEAD = re.compile(
    r"(?:(?:um+|uh+|er+|hm+|well|so|okay|ok|oh|and|now|please)\b[\s,.!]*){1,8}(?=\S)", re.IGNORECASE
)
_GREETED = re.compile(
    rf"(?:{GREETING_WORDS}\b[\s,.!]*){{1,4}}(?:(?:there|again|everybody|all)\b[\s,.!]*)?",
    re.IGNORECASE,
)
_NAME_TOLD = re.compile(NAME_TOLD, re.IGNORECASE)
_NO_NAMES = word_set("not a an the your you it so very is on in german english")
_NOBODY = word_set(
    "user caller customer me us them him her everyone guest visitor nutzer benutzer anrufer kunden "
    "utilisateur usuario användaren пользователя"
)
_STATING = word_set("i my we our he she it they there this that the a")
_BIDDING = re.compile(
    r"(?:can|could|would|will) you |(?:write|make|book|order|send|play|draw|sing|translate|buy|open|"
    r"tell me an? (?:joke|poem|riddle)|close|show|turn|switch|set|call|search|find|look up|give me|remind)\b(?! of)",
    re.IGNORECASE,
)
_FEW = 6  # words of an utterance that can be about the language alone
# What was asked for at length is not cut short.
_AT_LENGTH: frozenset[Intent] = frozenset({"count", "story", "say", "repeat", "my_words"})
# What instructions may ask for when nobody has said anything.
_ORDERS: frozenset[Intent] = frozenset(
    {"assist", "greet", "who", "farewell", "say", "clock", "day", "count", "sum", "story"}
)


def reply(talk: Talk) -> str:
    """The answer to what was said last, or to the instructions when nothing was."""
    if talk.briefing.line is not None:
        return talk.briefing.line
    said = talk.dialogue.said
    if question := _only_question(talk.briefing.text):
        return _answer(talk, question, (*talk.dialogue.heard, said or ""))
    if said is None:
        return _unasked(talk)
    text = tidy(said)
    if not words(text):
        return talk.line(talk.phrases.unheard)
    if wished(text) and len(words(text)) <= _FEW:
        return _opener(talk)
    return _answer(talk, text, talk.dialogue.heard)


def tidy(said: str) -> str:
    """Blanks and quotes made one kind; hesitations before and stops after it are gone."""
    text = " ".join(said.replace("’", "'").split()).strip(" .!,¿¡")
    asks = text.endswith("?")
    text = text.strip(" .!?,")
    lead = _LEAD.match(text)
    return (text[lead.end() :] if lead else text) + ("?" if asks else "")


def name_told(utterances: Sequence[str]) -> str | None:
    """The name that the caller gave last."""
    for said in reversed(utterances):
        found = _NAME_TOLD.search(said.replace("’", "'"))
        name = (found["name"] or found["plain"]) if found else None
        if name and name.lower() not in _NO_NAMES:
            return name[0].upper() + name[1:]
    return None


def _only_question(instructions: str) -> str | None:
    """The instructions when they are one question and nothing else."""
    alone = len(sentences(instructions)) == 1 and instructions.rstrip().endswith("?")
    return tidy(instructions) if alone else None


def _unasked(talk: Talk) -> str:
    """Nobody spoke since the last answer: do what the instructions ask for, or open."""
    for sentence in sentences(talk.briefing.text):
        intent, answer = _ruled(talk, tidy(sentence))
        if intent in _ORDERS and answer:
            return _cut(talk, sentence, answer, intent)
    if talk.dialogue.past:
        return talk.line(talk.phrases.still_there)
    return _cut(talk, "", _opener(talk), "hello")


def _answer(talk: Talk, text: str, heard: Sequence[str]) -> str:
    """By a rule, for all of it or its last sentence; else from what was told or *heard*."""
    intent, answer = _ruled(talk, text)
    if answer:
        return _cut(talk, text, answer, intent)
    greeted = _GREETED.match(text)
    if greeted and words(text[greeted.end() :]):
        return _answer(talk, tidy(text[greeted.end() :]), heard)
    last = tidy(sentences(text)[-1])
    if last != text and words(last) and (is_question(last) or _ruled(talk, last)[1]):
        return _answer(talk, last, heard)
    return _cut(talk, text, _known_or_not(talk, text, heard), None)


def _ruled(talk: Talk, text: str) -> tuple[Intent | None, str | None]:
    for intent, found in intents_of(text.rstrip("?")):
        if answer := _ANSWERS[intent](talk, found):
            return intent, answer
    return None, None


def _known_or_not(talk: Talk, text: str, heard: Sequence[str]) -> str:
    """From what was told, or openly not at all, or by asking back."""
    asks = is_question(text)
    known = answer_to(text, talk.facts, overheard(heard))
    if known and (asks or len(words(text)) <= 3):
        return known
    if _BIDDING.match(text):
        return talk.line(talk.phrases.unable)
    return talk.line(talk.phrases.unknown) if asks else _asking_back(talk, text)


def _asking_back(talk: Talk, text: str) -> str:
    if talk.phrases is not ENGLISH:
        return talk.line(talk.phrases.ask_back)
    asking = asked_back(text)
    lately = {each.answered for each in talk.dialogue.past[-4:]}
    if asking and (line := talk.line(asking)) not in lately:
        return line
    if talk.turn % 4 == 3 and (earlier := _earlier(talk)):
        return f"Earlier you said that {reflected(earlier)}. Does that have to do with it?"
    said = taken_up(text) if talk.turn % 2 == 0 else None
    return " ".join(filter(None, (said, talk.line(talk.phrases.ask_back))))


def _earlier(talk: Talk) -> str | None:
    """Something the caller stated a while ago, to come back to."""
    for said in map(tidy, talk.dialogue.heard[:-1]):
        stated = (
            words(said)[:1]
            and words(said)[0] in _STATING
            and 4 <= len(words(said)) <= 12
            and not is_question(said)
            and meanings(said)
        )
        if stated and len(sentences(said)) == 1 and not _ruled(talk, said)[1]:
            return said[0].lower() + said[1:] if said[1:2].islower() or said[1:2] == " " else said
    return None


def _cut(talk: Talk, said: str, answer: str, intent: Intent | None) -> str:
    """*answer* as long as the instructions want it."""
    length = talk.briefing.length
    if length == "free" or intent in _AT_LENGTH:
        return answer
    if length == "sentence":
        return shortened(answer)
    if intent in ("who", "your_name") and not talk.briefing.name:
        return talk.phrases.kind
    unknown = {talk.line(each) for each in talk.phrases.unknown}
    if intent is None and (answer in unknown or answer.endswith("?")):
        return talk.phrases.unsure if answer in unknown else talk.phrases.why
    return in_one_word(answer, said)


# What the rules answer with.


def _opener(talk: Talk) -> str:
    if talk.briefing.greeting:
        return talk.briefing.greeting
    opener = talk.line(talk.phrases.opener)
    if not talk.briefing.name or talk.dialogue.past:
        return opener
    hello, ask = opener.split("!", 1)
    return f"{hello}! {talk.phrases.introduction.format(name=talk.briefing.name)}{ask}"


def _greeting(talk: Talk, found: re.Match[str]) -> str:
    whom = (found["whom"] or "").removeprefix("the ").strip()
    if not words(whom) or _NOBODY.intersection(words(whom)):
        return _opener(talk)
    return talk.phrases.hello.replace("{you}", f", {whom[0].upper()}{whom[1:]}")


def _who(talk: Talk, found: re.Match[str]) -> str:
    return " ".join(filter(None, (_named(talk), talk.phrases.myself)))


def _your_name(talk: Talk, found: re.Match[str]) -> str:
    return _named(talk) or talk.phrases.myself


def _named(talk: Talk) -> str | None:
    return talk.phrases.named.format(name=talk.briefing.name) if talk.briefing.name else None


def _told_name(talk: Talk, found: re.Match[str]) -> str | None:
    name = name_told((found.group(),))
    return talk.phrases.pleased.replace("{you}", f", {name}") if name else None


def _my_name(talk: Talk, found: re.Match[str]) -> str:
    return talk.phrases.your_name.format(name=talk.caller) if talk.caller else talk.phrases.no_name


def _last_answer(talk: Talk, found: re.Match[str]) -> str:
    return talk.dialogue.last_answer or talk.phrases.nothing_said


def _last_words(talk: Talk, found: re.Match[str]) -> str:
    if not talk.dialogue.heard:
        return talk.phrases.nothing_said
    said = talk.dialogue.heard[-1]
    return talk.phrases.you_said.format(said=said if said[-1] in ".!?" else said + ".")


def _after_you(talk: Talk, found: re.Match[str]) -> str | None:
    text = found["what"].strip(" \"'“”„«»:,")
    return text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".") if text else None


def _clock(talk: Talk, found: re.Match[str]) -> str:
    hour, minute = talk.now.tm_hour, talk.now.tm_min
    if talk.phrases is not ENGLISH:
        return talk.phrases.clock.format(time=f"{hour}:{minute:02}")
    half = "AM" if hour < 12 else "PM"
    return talk.phrases.clock.format(time=f"{hour % 12 or 12}:{minute:02} {half}")


def _day(talk: Talk, found: re.Match[str]) -> str:
    return talk.phrases.day.format(
        weekday=talk.phrases.weekdays.split()[talk.now.tm_wday],
        day=talk.now.tm_mday,
        month=talk.phrases.months.split()[talk.now.tm_mon - 1],
        year=talk.now.tm_year,
    )


def _saying(pick: Callable[[Phrases], Lines | str]) -> Answering:
    """Answer with a line of the phrase book."""
    return lambda talk, found: talk.line(pick(talk.phrases))


_ANSWERS: Mapping[Intent, Answering] = {
    "hello": lambda talk, found: _opener(talk),
    "assist": lambda talk, found: _opener(talk),
    "greet": _greeting,
    "who": _who,
    "your_name": _your_name,
    "how_are_you": _saying(lambda phrases: phrases.well),
    "present": _saying(lambda phrases: phrases.present),
    "impersonal": _saying(lambda phrases: phrases.impersonal),
    "thanks": _saying(lambda phrases: phrases.thanks),
    "farewell": _saying(lambda phrases: phrases.farewell),
    "agreement": _saying(lambda phrases: phrases.agreed),
    "refusal": _saying(lambda phrases: phrases.refused),
    "repeat": _last_answer,
    "my_words": _last_words,
    "say": _after_you,
    "my_name": _my_name,
    "name_told": _told_name,
    "clock": _clock,
    "day": _day,
    "count": lambda talk, found: counted(found.group()),
    "sum": lambda talk, found: worked_out(found.group(), talk.phrases),
    "story": _saying(lambda phrases: phrases.story),
    "help": _saying(lambda phrases: phrases.help),
}
