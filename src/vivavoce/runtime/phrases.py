"""Text deltas in, speakable phrases out.

A phrase is a stretch that a synthesiser can speak with sense: a sentence, or a clause of a long
one. The first may be shorter than the others, since somebody waits for it. Phrases joined are the
text, to the letter, and the same text gives the same phrases in whatever pieces it is written.
"""

import re

FIRST_CLAUSE = 20  # characters after which a comma ends the first phrase
CLAUSE = 60  # and every other
LONGEST = 200  # where even a blank does

_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]»”’]*\s|\n|[。！？]")
_CLAUSE_END = re.compile(r"[,;:–—]\s")


class PhraseCutter:
    """Cuts one text as it is written."""

    def __init__(self) -> None:
        self._pending = ""
        self._cut_any = False

    def push(self, delta: str) -> list[str]:
        """Take more text and return the phrases it completes."""
        text, start = self._pending + delta, 0
        phrases = []
        while (end := self._end(text, start)) is not None:
            phrases.append(text[start:end])
            start = end
            self._cut_any = True
        self._pending = text[start:]
        return phrases

    def finish(self) -> list[str]:
        """What is left when the text is over."""
        rest, self._pending = self._pending, ""
        return [rest] if rest else []

    def _end(self, text: str, start: int) -> int | None:
        """Where the phrase that starts there can be cut; a blank behind a phrase belongs to it."""
        longest = start + LONGEST
        sentence = _SENTENCE_END.search(text, start, longest + 1)
        shortest = CLAUSE if self._cut_any else FIRST_CLAUSE
        clause = _CLAUSE_END.search(text, start + shortest, longest + 1)
        ends = [match.end() for match in (sentence, clause) if match]
        if ends:
            return min(ends)
        if len(text) > longest:
            blank = text.rfind(" ", start + 1, longest)
            return blank + 1 if blank >= 0 else longest
        return None
