"""The published quickstart for Python, run as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from compat_seeds import python_quickstart
from compat_servers import PATIENCE_S, Site, clean

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.shared

# Takes the place of azure.identity: its token is the server's key.
IDENTITY = """\
import os


class DefaultAzureCredential:
    def close(self) -> None:
        pass


def get_bearer_token_provider(credential, *scopes):
    return lambda: os.environ["KEY_OF_THE_SERVER"]
"""


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A folder with a package `azure.identity`."""
    package = tmp_path / "packages" / "azure"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "identity.py").write_text(IDENTITY)
    return package.parent


def test_the_python_quickstart_talks_over_tls(
    secure: Site, shared: Path, identity: Path, tmp_path: Path
) -> None:
    errors = secure.metric("vivavoce_errors_total")
    program = tmp_path / "text-in-audio-out.py"
    program.write_text(python_quickstart(shared))

    ran = subprocess.run(
        [sys.executable, program],
        input="How are you today?\nq\n",
        env=clean(
            {
                "AZURE_OPENAI_ENDPOINT": secure.url,
                "AZURE_OPENAI_DEPLOYMENT_NAME": "gpt-realtime",
                "KEY_OF_THE_SERVER": secure.key,
                "PYTHONPATH": str(identity),
                "SSL_CERT_FILE": str(secure.authority),
            }
        ),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    sizes = re.findall(r"Received (\d+) bytes of audio data\.", ran.stdout)
    assert sum(map(int, sizes)) > 24_000
    words = re.findall(
        r"^(?:Enter a message: )?Received text delta: (.+)$", ran.stdout, re.MULTILINE
    )
    assert words
    assert ran.stdout.endswith("Stopping the conversation.\nConversation ended.\n")
    # The program passes over error events: its missing type and misspelt key make none.
    assert secure.metric("vivavoce_errors_total") == errors
    assert secure.metric("vivavoce_responses_total") > 0
