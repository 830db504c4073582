"""The published quickstarts for JavaScript and TypeScript, run as they are printed."""

import re
import subprocess
from pathlib import Path

import pytest
from clients_node import HERE, PACKAGES, run
from clients_seeds import compiler_settings, javascript, typescript
from clients_server import Site, clean

pytest_plugins = ["clients_fixtures"]
pytestmark = [pytest.mark.clients, pytest.mark.shared]


@pytest.fixture(params=["openai", "openai-6"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder in which a quickstart finds its packages: once the newest, once those of its day."""
    (tmp_path / "package.json").write_text('{ "type": "module" }')
    packages = tmp_path / "node_modules"
    (packages / "@azure").mkdir(parents=True)
    (packages / "@azure" / "identity").symlink_to(HERE / "identity")
    (packages / "openai").symlink_to(PACKAGES / request.param)
    (packages / "@types").symlink_to(PACKAGES / "@types")
    return tmp_path


def quickstart(program: Path, site: Site) -> "subprocess.CompletedProcess[str]":
    """Run it against that server."""
    return run(
        program,
        environ=clean(
            {
                "AZURE_OPENAI_ENDPOINT": site.url,
                "AZURE_OPENAI_DEPLOYMENT_NAME": "gpt-realtime",
                "KEY_OF_THE_SERVER": site.key,
                "NODE_EXTRA_CA_CERTS": str(site.authority),
            }
        ),
    )


def check(ran: "subprocess.CompletedProcess[str]") -> None:
    """Fail unless it talked as the quickstart shows."""
    assert (ran.returncode, ran.stderr) == (0, "")
    words = re.findall(r"^Transcript delta: (.*)$", ran.stdout, re.MULTILINE)
    sizes = re.findall(r"^Audio delta length: (\d+) bytes$", ran.stdout, re.MULTILINE)
    answer = re.findall(r"^The final response is: (.+)$", ran.stdout, re.MULTILINE)
    assert sum(map(int, sizes)) > 24_000
    assert ["".join(words)] == answer
    assert ran.stdout.endswith("\nThe sample completed successfully.\n")


def test_the_javascript_quickstart_talks_over_tls(
    shared: Path, embedded_server: Site, folder: Path
) -> None:
    program = folder / "index.js"
    program.write_text(javascript(shared))

    check(quickstart(program, embedded_server))


def test_the_typescript_quickstart_compiles_and_talks_over_tls(
    shared: Path, embedded_server: Site, folder: Path
) -> None:
    program = folder / "index.ts"
    program.write_text(typescript(shared))
    (folder / "tsconfig.json").write_text(compiler_settings(shared))

    compiled = run(PACKAGES / "typescript/lib/tsc.js", "-p", str(folder), environ=clean({}))

    assert (compiled.returncode, compiled.stdout) == (0, "")
    check(quickstart(folder / "index.js", embedded_server))
