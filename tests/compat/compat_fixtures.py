"""What the tests of whole conversations share, made once for all of them: a plugin of theirs."""

from collections.abc import Iterator

import anyio
import pytest
from compat_servers import KEY, Site, scenario, served, serving, until
from compat_speech import SECOND, TEXT, spoken

from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server as it comes out of the box."""
    with served(Config(api_keys=(KEY,), data_dir=tmp_path_factory.mktemp("embedded"))) as site:
        yield site


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that answers by a script: at once, and its deployment `slow` at twice the speed of
    speech."""
    folder = tmp_path_factory.mktemp("scripted")
    slow = EngineChoice("scripted", {"scenario": str(scenario(folder, pace=2))})
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        scenario=scenario(folder, pace=0),
        recipes={"slow": RecipePlan(transcriber=slow, language_model=slow, synthesiser=slow)},
        deployments={"slow": DeploymentPlan(recipe="slow")},
    )
    with served(config) as site:
        yield site


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`vivavoce serve --tls`, with embedded engines, in a process of its own."""
    folder = tmp_path_factory.mktemp("secure")
    with serving(["--tls", "--api-key", KEY, "--data-dir", str(folder)]) as (_, url):
        site = Site(url, authority=folder / "tls" / "ca.pem")
        until(lambda: site.warm)
        yield site


@pytest.fixture(scope="session")
def speech() -> bytes:
    """Some seconds of speech by the embedded synthesiser and a second of silence, at 24 kHz."""
    return anyio.run(spoken, TEXT) + SECOND
