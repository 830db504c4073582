"""What the published documents show, read from them when a test runs."""

import re
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

import msgspec

Json = dict[str, Any]  # what JSON decodes to

PREVIEW = "002_e16a4ba262dca6ce.txt"
QUICKSTARTS = "004_4b8269c82d197732.txt"

TEXT_OR_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]')
EVENT_NAME = re.compile(r"response\.[a-z_.]+|conversation\.item\.created")


def all_printed(shared: Path, kind: str) -> list[str]:
    """The events of that type in the guide to the preview, as they are printed."""
    text = (shared / "seeds" / PREVIEW).read_text()
    return [block for block in _objects(text) if f'"type": "{kind}"' in block]


def printed(shared: Path, kind: str) -> str:
    """The last of them."""
    return all_printed(shared, kind)[-1]


def as_json(event: str) -> Json:
    """A printed event, which may have commas too many."""
    return msgspec.json.decode(re.sub(r",(?=\s*[}\]])", "", event), type=Json)


def listed(shared: Path) -> list[str]:
    """The types of the events of an answer, in the order in which the guide lists them."""
    lines = (shared / "seeds" / PREVIEW).read_text().splitlines()
    names = [line for line in lines if EVENT_NAME.fullmatch(line)]
    return ["response.created", *names[names.index("response.output_item.added") :]]


def _objects(text: str) -> Iterator[str]:
    """Whatever stands between a line that is an opening brace and the brace that closes it."""
    for opening in re.finditer(r"^\{$", text, re.MULTILINE):
        depth = 0
        for token in TEXT_OR_BRACE.finditer(text, opening.start()):
            depth += {"{": 1, "}": -1}.get(token[0], 0)
            if depth == 0:
                yield text[opening.start() : token.end()]
                break


# The program of the Python quickstart is printed in one line. Its line breaks are put back where a
# statement cannot go on, and its indentation by the colons; nothing else changes.

BEGIN, END = "text-in-audio-out.pySkapa filen med följande kod:", "asyncio.run(main())"
TOKEN = re.compile(
    r"""(?P<text>\"{3}.*?\"{3}|\w?"[^"]*")"""
    # A comment goes on until the next one, or the statement after it.
    r"""|(?P<comment>\#.*?(?=\ \#|\ \w+\ =|\ await\ |\ while\ ))"""
    r"""|\w+|\S""",
    re.VERBOSE,
)
OPERATORS = frozenset({"in", "is", "not", "and", "or", "as"})
VALUES = frozenset({"True", "False", "None", "break"})
# Where blocks end nothing shows: these stand further left than what is before them.
FURTHER_LEFT = {"await connection.conversation": 3, 'print("Conversation': 1, "asyncio.run": 0}


def python_quickstart(shared: Path) -> str:
    """The program of the Python quickstart."""
    text = (shared / "seeds" / QUICKSTARTS).read_text()
    start = text.index(BEGIN) + len(BEGIN)
    printed = text[start : text.index(END, start) + len(END)]
    lines, level = [], 0
    for statement in _statements(printed):
        outer = [each for start, each in FURTHER_LEFT.items() if statement.startswith(start)]
        level = outer[0] if outer else level - statement.startswith("elif ")
        lines.append("    " * level + statement)
        level += statement.endswith(":")
    program = "\n".join(lines)
    assert "".join(program.split()) == "".join(printed.split())
    return program


def _statements(printed: str) -> Iterator[str]:
    start = depth = 0
    before: re.Match[str] | None = None
    for token in TOKEN.finditer(printed):
        if before is not None and depth == 0 and _begins(token, before, printed[start:]):
            yield printed[start : token.start()].strip()
            start = token.start()
        depth += (token[0] in "([{") - (token[0] in ")]}")
        before = token
    yield printed[start:].strip()


def _begins(token: re.Match[str], before: re.Match[str], statement: str) -> bool:
    """Whether a statement begins with *token*, at the depth of no bracket."""
    if token["comment"] or before["comment"] or before[0] == ":":
        return True
    complete = before[0] in VALUES or (
        (before[0][-1] in ')]}"' or before[0].isidentifier()) and not iskeyword(before[0])
    )
    more = token[0] in OPERATORS or (token[0] == "import" and statement.startswith("from "))
    return complete and not more and bool(token["text"] or token[0].isidentifier())
