"""`--llm auto`: the model server of this machine, if there is one."""

import sys

import anyio
import msgspec

from vivavoce.config import AUTO, Config, ConfigError


def with_model_server(config: Config) -> Config:
    """The configuration with `auto` resolved; says what was found. ConfigError if nothing was."""
    if config.llm != AUTO:
        return config
    from vivavoce.engines.chat import OLLAMA, find_ollama  # it takes long to import

    url = anyio.run(find_ollama)
    if url is None:
        raise ConfigError(
            f"--llm auto: no Ollama answers at {OLLAMA}; start it (ollama serve), or give the "
            "address of a model server"
        )
    sys.stdout.write(f"answered by the Ollama at {url}\n")
    return msgspec.structs.replace(config, llm=url)
