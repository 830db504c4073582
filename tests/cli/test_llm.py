"""Which model server answers."""

from pathlib import Path

import pytest

from vivavoce.cli.llm import with_model_server
from vivavoce.config import AUTO, Config, ConfigError, DeploymentPlan, RecipePlan, load
from vivavoce.deployments import Deployments
from vivavoce.engines import chat


def found(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find_ollama() -> str | None:
        return url

    monkeypatch.setattr(chat, "find_ollama", find_ollama)


def test_a_local_ollama_is_found_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found("http://127.0.0.1:11434/v1", monkeypatch)

    assert with_model_server(Config(llm=AUTO)).llm == "http://127.0.0.1:11434/v1"
    assert "Ollama at http://127.0.0.1:11434/v1" in capsys.readouterr().out


def test_without_one_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found(None, monkeypatch)

    with pytest.raises(ConfigError, match="ollama serve"):
        with_model_server(Config(llm=AUTO))


def test_an_address_is_taken_as_it_is() -> None:
    config = Config(llm="http://models.example:8000")

    assert with_model_server(config) is config


def test_the_model_server_writes_for_the_recipes_that_are_there() -> None:
    config = load({"llm": "http://127.0.0.1:8000", "llm_model": "small", "llm_key": "k"}, {})
    deployments = Deployments(config)

    embedded = deployments.default.recipe
    assert embedded.language_model.engine == "chat"
    assert embedded.language_model.options == {
        "url": "http://127.0.0.1:8000",
        "key": "k",
        "model": "small",
    }
    assert embedded.transcriber.engine == "pocketsphinx"


def test_a_recipe_is_chosen_for_all_deployments_that_name_none() -> None:
    deployments = Deployments(load({"recipe": "openai-compatible", "llm": "http://x:1"}, {}))

    engines = {slot: choice.engine for slot, choice in deployments.default.recipe.engines.items()}
    assert engines == {
        "detector": "silero",
        "transcriber": "http",
        "judge": "cadence",
        "language_model": "chat",
        "synthesiser": "http",
    }


def test_a_model_without_a_server_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="belong to --llm"):
        load({"llm_model": "small"}, {})


def test_a_recipe_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="there is no recipe 'grand'"):
        Deployments(load({"recipe": "grand"}, {}))


@pytest.mark.parametrize(
    "config",
    [
        Config(llm="http://x:1", recipe="scripted"),
        Config(llm=AUTO, scenario=Path("talk.toml")),
        Config(llm="http://x:1", recipes={"embedded": RecipePlan()}),
    ],
)
def test_a_model_server_that_nobody_would_ask_is_a_mistake(config: Config) -> None:
    with pytest.raises(ConfigError, match="--llm: would not be used"):
        Deployments(config)


def test_beside_a_scenario_another_deployment_may_ask_a_model_server() -> None:
    config = Config(
        llm="http://x:1",
        scenario=Path("talk.toml"),
        deployments={"other": DeploymentPlan(recipe="embedded")},
    )

    assert Deployments(config).find("other").recipe.language_model.engine == "chat"
