"""What answers to which name."""

from pathlib import Path

import pytest

from vivavoce.config import Config, ConfigError, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.core.settings import SemanticVad, ServerVad, SessionSettings, merge
from vivavoce.deployments import Deployments, UnknownDeployment


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-realtime-preview",
        "gpt-4o-mini-realtime-preview",
        "gpt-realtime",
        "gpt-realtime-mini",
    ],
)
def test_the_names_that_clients_know_are_answered_by_the_embedded_recipe(name: str) -> None:
    found = Deployments(Config()).find(name)
    assert (found.name, found.model, found.recipe_name) == (name, name, "embedded")
    engines = [choice.engine for choice in found.recipe.engines.values()]
    assert engines == ["silero", "pocketsphinx", "cadence", "responder", "espeak"]


@pytest.mark.parametrize(
    ("dated", "name"),
    [
        ("gpt-4o-realtime-preview-2024-12-17", "gpt-4o-realtime-preview"),
        ("gpt-realtime-2025-08-28", "gpt-realtime"),
    ],
)
def test_a_dated_name_means_the_deployment_without_the_date(dated: str, name: str) -> None:
    assert Deployments(Config()).find(dated).name == name


def test_a_deployment_of_that_very_name_comes_before_the_one_without_the_date() -> None:
    dated = "gpt-realtime-2025-08-28"
    config = Config(deployments={dated: DeploymentPlan(voice="verse")})
    assert Deployments(config).find(dated).name == dated


@pytest.mark.parametrize("name", ["gpt-5", "gpt-realtime-", "GPT-REALTIME", "-2025-08-28"])
def test_any_other_name_is_refused_with_a_list_of_what_exists(name: str) -> None:
    with pytest.raises(UnknownDeployment, match="gpt-4o-mini-realtime-preview, gpt-realtime, gpt"):
        Deployments(Config()).find(name)


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_the_default_answers_unless_it_is_strict(name: str | None) -> None:
    assert Deployments(Config()).find(name).name == "gpt-realtime"
    with pytest.raises(UnknownDeployment, match="No model was named"):
        Deployments(Config(strict=True)).find(name)


def test_a_scenario_answers_for_every_deployment_that_names_no_recipe() -> None:
    config = Config(
        scenario=Path("/plays/one.toml"), deployments={"mine": DeploymentPlan(recipe="embedded")}
    )
    deployments = Deployments(config)
    scripted = EngineChoice("scripted", {"scenario": "/plays/one.toml"})
    assert deployments.find("gpt-realtime").recipe == RecipePlan(
        transcriber=scripted, language_model=scripted, synthesiser=scripted
    )
    assert deployments.find("mine").recipe == RecipePlan()


def test_a_deployment_may_answer_to_other_names() -> None:
    config = Config(deployments={"mine": DeploymentPlan(aliases=("desk",), model="gpt-realtime")})
    found = Deployments(config).find("desk")
    assert (found.name, found.model) == ("mine", "gpt-realtime")


@pytest.mark.parametrize(
    "model", ["gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview-2024-12-17"]
)
def test_how_much_is_read_goes_by_the_model_that_it_is_made_from(model: str) -> None:
    plans = {"mine": DeploymentPlan(model=model), "other": DeploymentPlan()}
    deployments = Deployments(Config(deployments=plans))
    usual = deployments.find("gpt-4o-realtime-preview").quota
    assert deployments.find("mine").quota == usual != deployments.find("other").quota


def test_the_defaults_of_a_deployment_are_merged_into_a_session() -> None:
    plan = DeploymentPlan(
        voice="verse",
        instructions="Be brief.",
        turn_detection={"type": "server_vad", "threshold": "0.7"},
    )
    defaults = Deployments(Config(deployments={"mine": plan})).find("mine").defaults
    settings = merge(SessionSettings(), defaults)
    assert (settings.output.voice, settings.instructions) == ("verse", "Be brief.")
    assert settings.input.turn_detection == ServerVad(threshold=0.7)


def test_turn_detection_may_be_semantic_or_off_by_default() -> None:
    config = Config(
        deployments={
            "patient": DeploymentPlan(turn_detection={"type": "semantic_vad", "eagerness": "low"}),
            "push": DeploymentPlan(turn_detection=False),
        }
    )
    found = {each.name: each.defaults.input.turn_detection for each in Deployments(config)}
    assert found["patient"] == SemanticVad(eagerness="low")
    assert found["push"] is None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (DeploymentPlan(recipe="none"), "deployments.d.recipe: there is no recipe 'none'"),
        (DeploymentPlan(turn_detection={}), "turn_detection.type: has to be one of: server_vad, s"),
        (
            DeploymentPlan(turn_detection={"type": "server_vad", "treshold": 1}),
            "turn_detection.treshold: no such key",
        ),
        (
            DeploymentPlan(turn_detection={"type": "server_vad", "threshold": "x"}),
            "turn_detection: Expected float",
        ),
        (DeploymentPlan(aliases=("gpt-realtime",)), "gpt-realtime already means gpt-realtime"),
    ],
)
def test_tables_that_do_not_fit_together_are_named(plan: DeploymentPlan, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Deployments(Config(deployments={"d": plan}))
    assert message in str(raised.value)
