"""The one decision: what a request is answered with."""

import time

from vivavoce.core.effects import GenerationRequest
from vivavoce.core.settings import DEFAULT_INSTRUCTIONS
from vivavoce.engines.rules.briefing import briefing_of
from vivavoce.engines.rules.dialogue import Dialogue, dialogue_of, instructed
from vivavoce.engines.rules.intents import is_small_talk
from vivavoce.engines.rules.knowledge import told
from vivavoce.engines.rules.languages import language_for
from vivavoce.engines.rules.phrasebook import PHRASES
from vivavoce.engines.rules.reply import Talk, name_told, reply, tidy
from vivavoce.engines.rules.results import told_results
from vivavoce.engines.rules.tool_match import Call, Question, calls_for


def answer_for(
    request: GenerationRequest, knowledge: str, now: time.struct_time
) -> str | tuple[Call, ...]:
    """Words or function calls; the same for the same request, knowledge and minute."""
    dialogue = dialogue_of(request.context)
    instructions = instructed(request.instructions, request.context)
    briefing = briefing_of(instructions)
    language = language_for(
        dialogue.said or "", dialogue.heard[-6:], briefing.text, request.language
    )
    phrases = PHRASES[language]
    if dialogue.results:
        return told_results(dialogue.results, phrases)
    if dialogue.waiting:
        return phrases.waiting
    decided = calls_for(
        dialogue,
        request.tools,
        request.tool_choice,
        parallel=request.parallel_tool_calls is not False,
        phrases=phrases,
        social=_is_small_talk(dialogue.said),
    )
    if isinstance(decided, Question):
        return decided.text
    if decided:
        return decided
    facts = (*told(knowledge), *told(instructions.replace(DEFAULT_INSTRUCTIONS, "")))
    return reply(Talk(dialogue, briefing, facts, phrases, now, _caller(dialogue)))


def _is_small_talk(said: str | None) -> bool:
    return said is None or is_small_talk(tidy(said).rstrip("?"))


def _caller(dialogue: Dialogue) -> str | None:
    return name_told((*dialogue.heard, dialogue.said or ""))
