"""Making sherpa-onnx's models, and first making each in a process that may die of it.

Whatever the library does not like in a model ends the whole process without a word to Python, from
a key that is missing in the metadata to a token too many. So a model is loaded elsewhere first, and
what that process had to say before it died becomes the `EngineFailure`.
"""

import importlib
import importlib.util
import os
import sys
from subprocess import DEVNULL, PIPE
from typing import Any, Literal

import anyio
import msgspec
from anyio import to_thread
from msgspec import Struct

from vivavoce.engines.api import EngineFailure
from vivavoce.engines.sherpa_folder import Provider, RecogniserFiles, VoiceFiles

PACKAGE = "sherpa_onnx"
INSTALL = "pip install 'vivavoce[sherpa-onnx]'"
TRIAL_S = 180.0  # for a model of a gigabyte from a slow disk


class Plan(Struct, frozen=True):
    """A model to be made, and with what."""

    name: Literal["recogniser", "voice"]
    files: RecogniserFiles | None
    voice: VoiceFiles | None
    threads: int
    provider: Provider


async def tried(plan: Plan, folder: str) -> Any:
    """The model of *plan*, which has been found loadable; `EngineFailure` says why it is not."""
    if await to_thread.run_sync(importlib.util.find_spec, PACKAGE) is None:
        raise EngineFailure(f"sherpa-onnx is not installed. Install it with: {INSTALL}")
    await _try(plan, folder)
    # Any: the package has no types of its own.
    return await to_thread.run_sync(make, plan)


async def _try(plan: Plan, folder: str) -> None:
    command = (sys.executable, "-P", "-c", f"from {__name__} import main; main()")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        with anyio.fail_after(TRIAL_S):
            ended = await anyio.run_process(
                command,
                input=msgspec.msgpack.encode(plan),
                stdout=DEVNULL,
                stderr=PIPE,
                check=False,
                env=environment,
            )
    except TimeoutError:
        raise EngineFailure(f"{folder} was not loaded within {TRIAL_S:.0f} s") from None
    if ended.returncode:
        raise EngineFailure(
            f"sherpa-onnx cannot load the {plan.name} in {folder}: {_last_words(ended.stderr)}. "
            "If the files are whole, another `kind` may be right"
        )


def _last_words(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    # The library puts the place in its own source before each message.
    return lines[-1].split(" ", 1)[-1].rstrip(". ") if lines else "it gave no reason"


def make(plan: Plan) -> Any:
    """Load the model, in this process. Blocks for as long as that takes."""
    package = importlib.import_module(PACKAGE)
    if plan.files is not None:
        maker, method = plan.files.made_by
        return getattr(getattr(package, maker), method)(
            **plan.files.arguments, num_threads=plan.threads, provider=plan.provider
        )
    if plan.voice is None:
        raise ValueError("a plan is for a recogniser or a voice")
    return _voice(package, plan.voice, plan)


def _voice(package: Any, files: VoiceFiles, plan: Plan) -> Any:
    kinds = {
        "vits": package.OfflineTtsVitsModelConfig,
        "kokoro": package.OfflineTtsKokoroModelConfig,
        "matcha": package.OfflineTtsMatchaModelConfig,
    }
    model = package.OfflineTtsModelConfig(
        **{files.kind: kinds[files.kind](**files.arguments)},
        num_threads=plan.threads,
        provider=plan.provider,
    )
    config = package.OfflineTtsConfig(
        model=model, rule_fsts=files.rules, max_num_sentences=1, silence_scale=1.0
    )
    if not config.validate():
        raise ValueError("its files do not fit together")
    return package.OfflineTts(config)


def main() -> None:
    """What the process on trial runs: a plan comes in, and nothing out unless it fails."""
    make(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan))
    os._exit(0)  # in haste: nothing here needs putting away
