"""Record the golden conversations anew, and say which of them changed.

    python scripts/record_golden.py            write what changed
    python scripts/record_golden.py --check    only say what would; fails if anything would
    python scripts/record_golden.py interruption ga/04    only those whose names hold one of these

Look at what changed before you keep it: `git diff --stat tests/golden`, then the files.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "golden"))

from golden_recordings import RECORDINGS, difference, played, text_of
from golden_scenarios import SCENARIOS

MOST_LINES = 16  # of a difference


def recorded_now(parts: list[str]) -> dict[Path, str]:
    """The text of each recording as it would be made now."""
    texts = {}
    for scenario in SCENARIOS:
        for dialect in scenario.dialects:
            setting = scenario.setting(dialect)
            if not wanted(setting.path, parts):
                continue
            try:
                texts[setting.path] = text_of(played(setting, scenario.inputs(dialect)))
            except Exception as error:
                error.add_note(f"while {name(setting.path)} was played")
                raise
    return texts


def wanted(path: Path, parts: list[str]) -> bool:
    """Whether that recording was asked for."""
    return not parts or any(part in name(path) for part in parts)


def name(path: Path) -> str:
    """The recording's name: its dialect and scenario."""
    return path.relative_to(RECORDINGS).with_suffix("").as_posix()


def judge(path: Path, text: str | None) -> tuple[str, str]:
    """What became of a recording, and the first place where it changed."""
    if text is None:
        return "gone", ""
    if not path.exists():
        return "new", ""
    before = path.read_text("utf-8")
    parted = difference(before.splitlines(), text.splitlines())
    return ("same", "") if before == text else ("changed", parted or "line ends")


def shortened(lines: list[str]) -> list[str]:
    """As much of a difference as tells what it is about."""
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "..."]


def write(path: Path, text: str | None) -> None:
    """Make the file what it is to be."""
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description="Record the golden conversations anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if any changed")
    parser.add_argument("part", nargs="*", help="part of the names of those to record")
    asked = parser.parse_args()
    texts: dict[Path, str | None] = dict(recorded_now(asked.part))
    texts |= {
        path: None
        for path in RECORDINGS.rglob("*.jsonl")
        if path not in texts and wanted(path, asked.part)
    }
    counted: Counter[str] = Counter()
    for path, text in sorted(texts.items()):
        fate, where = judge(path, text)
        counted[fate] += 1
        if fate != "same":
            sys.stdout.write(f"{fate:8} {name(path)}\n")
            sys.stdout.writelines(f"    {line}\n" for line in shortened(where.splitlines()))
            if not asked.check:
                write(path, text)
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(counted.items()))
    sys.stdout.write(f"{sum(counted.values())} recordings: {told or 'none has such a name'}\n")
    return int(asked.check and counted.total() != counted["same"])


if __name__ == "__main__":
    sys.exit(main())
