"""The scenario that a configuration names, looked at before anything is made of it."""

from vivavoce.config import Config, ConfigError
from vivavoce.engines.scenario import ScenarioError, load


def require_scenario(config: Config) -> None:
    """ConfigError if there is one and it cannot be performed.

    Three engines read it, and each would say by itself what is wrong with it.
    """
    if config.scenario is None:
        return
    try:
        load(config.scenario)
    except ScenarioError as wrong:
        raise ConfigError(f"--scenario {wrong}") from None
