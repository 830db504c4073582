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

TEXT_OR_BRACE = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[{}]""")
EVENT_NAME = re.compile(r"response\.[a-z_.]+|conversation\.item\.created")


# How the programs send: as JavaScript does, or as Python does, which names the event.
SENDING = re.compile(
    r"""[cC]lient\.send\(|connection\.(?P<kind>session\.update|conversation\.item\.create|"""
    r"""response\.create)\(\s*(?:(?P<field>\w+)=)?"""
)
CONFIG = re.compile(r"const sessionConfig\b[^=]*= (?={)")
# A literal's strings, the names that stand for a key or a value, and whatever is JSON already.
OF_LITERAL = re.compile(r""""(?:[^"\\]|\\.)*"|'(?P<text>[^']*)'|(?P<name>[A-Za-z_]\w*)""")
TYPED_IN = re.compile(r"^Enter a message: (.+)$", re.MULTILINE)


def guide(shared: Path) -> str:
    """The text of the guide to the preview."""
    return (shared / "seeds" / PREVIEW).read_text()


def objects(shared: Path) -> list[str]:
    """Every JSON object in the guide to the preview, as it is printed."""
    return list(_objects(guide(shared)))


def sent_in_guide(shared: Path) -> list[str]:
    """What the guide's program sends, as JSON in its own spelling."""
    return list(_sent(guide(shared)))


def sent_in_quickstarts(shared: Path) -> list[list[str]]:
    """What each program of the quickstarts sends, in its order, as JSON in its own spelling."""
    programs: list[list[str]] = []
    for event in _sent((shared / "seeds" / QUICKSTARTS).read_text()):
        if as_json(event)["type"] == "session.update":  # with which each begins
            programs.append([])
        programs[-1].append(event)
    return programs


def all_printed(shared: Path, kind: str) -> list[str]:
    """The events of that type in the guide to the preview, as they are printed."""
    return [block for block in objects(shared) if f'"type": "{kind}"' in block]


def printed(shared: Path, kind: str) -> str:
    """The last of them."""
    return all_printed(shared, kind)[-1]


def as_json(event: str) -> Json:
    """A printed event, which may have commas too many."""
    return msgspec.json.decode(re.sub(r",(?=\s*[}\]])", "", event), type=Json)


def listed(shared: Path) -> list[str]:
    """The types of the events of an answer, in the order in which the guide lists them."""
    lines = guide(shared).splitlines()
    names = [line for line in lines if EVENT_NAME.fullmatch(line)]
    return ["response.created", *names[names.index("response.output_item.added") :]]


def _objects(text: str) -> Iterator[str]:
    """Whatever stands between a line that is an opening brace and the brace that closes it."""
    end = 0
    for opening in re.finditer(r"^\{$", text, re.MULTILINE):
        if opening.start() >= end:  # not inside the one before
            block = _braced(text, opening.start())
            end = opening.start() + len(block)
            yield block


def _braced(text: str, start: int) -> str:
    """From the opening brace at *start* to the brace that closes it."""
    depth = 0
    for token in TEXT_OR_BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return text[start : token.end()]
    raise AssertionError(f"the brace at {start} is never closed")


def _sent(text: str) -> Iterator[str]:
    for sending in SENDING.finditer(text):
        kind, field = sending["kind"], sending["field"]
        if kind and not field:
            yield f'{{"type": "{kind}"}}'
            continue
        sent = _as_json_text(_braced(text, sending.end()), text[: sending.start()])
        if not kind:
            yield sent
        elif not (typed := TYPED_IN.search(text, sending.end())):
            raise AssertionError("nothing is typed in behind the program")
        else:
            sent = sent.replace("user_input", msgspec.json.encode(typed[1]).decode())
            yield f'{{"type": "{kind}", "{field}": {sent}}}'


def _as_json_text(literal: str, before: str) -> str:
    """A literal of JavaScript or Python as JSON: keys and strings quoted, and nothing else changed."""

    def quoted(token: re.Match[str]) -> str:
        name, text = token["name"], token["text"]
        if text is not None:
            return f'"{text}"'
        if name == "sessionConfig":
            config = list(CONFIG.finditer(before))[-1]
            return _as_json_text(_braced(before, config.end()), "")
        is_key = name and literal[token.end() :].lstrip().startswith(":")
        if is_key:
            return f'"{name}"'
        return {"True": "true", "False": "false", "None": "null"}.get(token[0], token[0])

    return OF_LITERAL.sub(quoted, literal)


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
