"""The pages, as the tests read them: fenced blocks with their marks, tables, links and headings."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)

FENCE = re.compile(r"^```(\w*)$")
MARK = re.compile(r"^<!-- docs test: (.+) -->$")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$")
CODE = re.compile(r"`([^`]+)`")


class Block(Struct, frozen=True):
    """A fenced block. *mark* is what the comment right before it says, None without one."""

    page: Path
    line: int
    language: str
    mark: str | None
    text: str

    @property
    def place(self) -> str:
        """Where it is, as an editor takes it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    opened: int | None = None
    language = ""
    for number, line in enumerate(lines):
        if opened is None and (fence := FENCE.match(line)):
            opened, language = number, fence[1]
        elif opened is not None and line == "```":
            before = MARK.match(lines[opened - 1]) if opened else None
            text = "\n".join(lines[opened + 1 : number]) + "\n"
            yield Block(page, opened + 1, language, before[1] if before else None, text)
            opened = None
    assert opened is None, f"{page.name}: the block that opens in line {opened} is not closed"


def blocks(mark: str | None = None) -> list[Block]:
    """All blocks of all pages, or those with that mark."""
    every = [block for page in PAGES for block in blocks_of(page)]
    return [block for block in every if mark is None or block.mark == mark]


def prose_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def links_of(page: Path) -> list[str]:
    """Where the links of a page lead, web addresses left out."""
    return [link for link in LINK.findall(prose_of(page)) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """What a link into a page may name, made of its headings."""
    headings = (HEADING.match(line) for line in prose_of(page).splitlines())
    return {
        re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
        for heading in headings
        if heading
    }


def rows_under(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table with that first heading, code marks taken off; all such tables."""
    found: list[list[str]] = []
    inside = False
    for line in prose_of(page).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == heading:
            inside = True
        elif inside and set(cells[0]) != {"-"}:
            found.append(cells)
    return found


def code_in(cell: str) -> str:
    """What a cell shows as code, or the cell."""
    shown = CODE.match(cell)
    return shown[1] if shown else cell
