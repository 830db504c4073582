"""The published quickstarts, read from where they stand when a test runs.

Each program is printed in one line. JavaScript needs its line breaks nowhere but after a comment,
so they are put back there and nowhere else.
"""

import re
from pathlib import Path

QUICKSTARTS = "004_4b8269c82d197732.txt"

# A comment goes on until the next one, or what can only be code after it.
COMMENT = re.compile(
    r"""// .*?(?= // | (?:const|let) | while \(| \w+\.\w+\(| "\w+":| \})""",
)


def javascript(shared: Path) -> str:
    """The program of the quickstart for JavaScript."""
    return _between(shared, "index.jsSkapa filen med följande kod:", "export { main };")


def typescript(shared: Path) -> str:
    """The program of the quickstart for TypeScript."""
    return _between(shared, "index.tsSkapa filen med följande kod:", "export { main };")


def compiler_settings(shared: Path) -> str:
    """How the latter is compiled: its tsconfig.json."""
    return _between(shared, "följande kod för ECMAScript.", '"include": ["*.ts"] }')


def _between(shared: Path, announcement: str, end: str) -> str:
    text = (shared / "seeds" / QUICKSTARTS).read_text()
    start = text.index(announcement) + len(announcement)
    printed = text[start : text.index(end, start) + len(end)]
    program = COMMENT.sub(r"\g<0>\n", printed)
    assert program.replace("\n", "") == printed
    return program
