"""The registry, over plugins that are really installed: a folder with a distribution's metadata."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from textwrap import dedent

import anyio
import pytest

from vivavoce.engines import registry, self_check
from vivavoce.engines.api import EngineFailure, Frames
from vivavoce.engines.registry import EngineUnavailable, Record
from vivavoce.engines.scripted import (
    ScriptedLanguageModel,
    ScriptedSynthesiser,
    ScriptedTranscriber,
)
from vivavoce.testing import virtual_time

Install = Callable[[str, str, str], None]

SPEAKER = """
class Speaker:
    version = "Speaker 1"

    def __init__(self, *, pitch=1.0):
        if pitch <= 0:
            raise ValueError("pitch has to be above 0")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        pass

    async def speak(self, phrases, voice):
        return
        yield
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one module and the synthesisers it declares."""

    def install(distribution: str, synthesisers: str, source: str) -> None:
        module = f"{distribution}_plugin"
        (tmp_path / f"{module}.py").write_text(dedent(source))
        metadata = tmp_path / f"{distribution}-2.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1\n"
        )
        (metadata / "entry_points.txt").write_text(f"[vivavoce.synthesisers]\n{synthesisers}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def _record(name: str, distribution: str | None = None) -> Record:
    matching = [
        each
        for each in registry.records()
        if (each.slot, each.name) == ("synthesiser", name)
        and distribution in (None, each.distribution)
    ]
    assert len(matching) == 1
    return matching[0]


def _examined(record: Record, **options: object) -> Record:
    return virtual_time.run(self_check.examine, record, options)


def test_the_built_in_engines_come_by_the_same_door_as_any_other() -> None:
    scripted = [each for each in registry.records() if each.name == "scripted"]

    assert [(each.slot, each.status, each.distribution) for each in scripted] == [
        ("transcriber", "enabled", "vivavoce"),
        ("language_model", "enabled", "vivavoce"),
        ("synthesiser", "enabled", "vivavoce"),
    ]


def test_a_plugin_is_found_and_made_with_its_options(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", SPEAKER)

    engine = registry.make("synthesiser", "speaker", {"pitch": 2.0})

    assert engine.version == "Speaker 1"
    assert _record("speaker") == Record(
        "synthesiser", "speaker", "enabled", "choir_plugin:Speaker", "choir", "2.1"
    )


def test_an_engine_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(EngineUnavailable, match=r"no language model is called 'hal'.*scripted"):
        registry.make("language_model", "hal")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import no_such_library", "choir_plugin:Speaker cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("pass", "has no attribute 'Speaker'|AttributeError"),
        ("Speaker = 3", "has to be a class or function .* `speak`"),
        ("class Speaker: pass", "has to be a class or function .* `speak`"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_why_and_leaves_the_rest_alone(
    install: Install, source: str, complaint: str
) -> None:
    install("choir", "speaker = choir_plugin:Speaker", source)

    with pytest.raises(EngineUnavailable, match=complaint):
        registry.make("synthesiser", "speaker")
    assert _record("speaker").status == "failed to load"
    assert _record("speaker").detail
    assert _record("scripted").status == "enabled"


def test_what_a_function_makes_has_to_have_the_shape_of_an_engine(install: Install) -> None:
    install("choir", "speaker = choir_plugin:make", "def make(): return object()")

    with pytest.raises(EngineUnavailable, match="object lacks speak, version, __aenter__"):
        registry.make("synthesiser", "speaker")


def test_an_unknown_option_is_named_with_those_there_are(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", SPEAKER)

    with pytest.raises(EngineUnavailable, match="no option `pich`; there are: pitch") as caught:
        registry.make("synthesiser", "speaker", {"pich": 2.0})
    assert caught.value.status == "misconfigured"


def test_a_missing_option_is_named(install: Install) -> None:
    install("choir", "speaker = choir_plugin:make", "def make(model): return model")

    with pytest.raises(EngineUnavailable, match="the option `model` is needed"):
        registry.make("synthesiser", "speaker")


def test_an_engine_that_takes_any_option_is_given_it(install: Install) -> None:
    source = SPEAKER + "\ndef make(**options): return Speaker(pitch=options['depth'])"
    install("choir", "speaker = choir_plugin:make", source)

    assert registry.make("synthesiser", "speaker", {"depth": 1}).version == "Speaker 1"


def test_an_option_out_of_range_is_the_operators_to_put_right(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", SPEAKER)

    examined = _examined(_record("speaker"), pitch=-1)

    assert examined.status == "misconfigured"
    assert "pitch has to be above 0" in examined.detail


def test_a_name_that_two_declare_is_ours_first_and_the_other_is_told(install: Install) -> None:
    install("choir", "scripted = choir_plugin:Speaker", SPEAKER)

    assert isinstance(registry.make("synthesiser", "scripted"), ScriptedSynthesiser)
    assert _record("scripted", "vivavoce").status == "enabled"
    assert _record("scripted", "choir").status == "disabled"
    assert "vivavoce declares this name too" in _record("scripted", "choir").detail


def test_a_disabled_plugin_is_not_even_imported(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", SPEAKER)

    found = registry.records(disabled=[("synthesiser", "speaker")])

    assert [each.status for each in found if each.name == "speaker"] == ["disabled"]
    assert "choir_plugin" not in sys.modules


def test_names_lists_what_is_declared_without_importing_it(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", "raise RuntimeError")

    assert {"scripted", "speaker"} <= set(registry.names("synthesiser"))
    assert "choir_plugin" not in sys.modules


def test_an_engine_that_works_says_so_with_its_version() -> None:
    examined = _examined(_record("scripted"))

    assert examined.status == "enabled"
    assert examined.detail.startswith("Scripted ")
    assert "spoke 'Hello.' in 360 ms at 24000 Hz" in examined.detail


def test_an_engine_that_gives_nothing_fails_its_self_check(install: Install) -> None:
    install("choir", "speaker = choir_plugin:Speaker", SPEAKER)

    examined = _examined(_record("speaker"))

    assert examined.status == "failed self-check"
    assert "gave 0 ms of audio" in examined.detail


def test_an_engine_that_fails_to_load_its_model_fails_its_self_check(install: Install) -> None:
    source = SPEAKER.replace("return self", "raise OSError('no such model')")
    install("choir", "speaker = choir_plugin:Speaker", source)

    examined = _examined(_record("speaker"))

    assert examined.status == "failed self-check"
    assert examined.detail == "OSError: no such model"


def test_an_engine_that_never_finishes_loading_fails_its_self_check(install: Install) -> None:
    source = "import anyio\n" + SPEAKER.replace("return self", "await anyio.sleep_forever()")
    install("choir", "speaker = choir_plugin:Speaker", source)

    examined = _examined(_record("speaker"))

    assert examined.status == "failed self-check"
    assert examined.detail == "did not finish within 60 s"


def test_a_record_that_is_not_enabled_is_not_examined() -> None:
    disabled = Record("synthesiser", "scripted", "disabled", "turned off", "vivavoce", "1")

    assert _examined(disabled) == disabled


def test_the_self_check_of_each_slot_tells_what_happened() -> None:
    async def main() -> list[str]:
        return [
            await self_check.self_check("transcriber", ScriptedTranscriber()),
            await self_check.self_check("language_model", ScriptedLanguageModel()),
        ]

    assert anyio.run(main) == [
        "300 ms of silence is transcribed as ''",
        "answered 'hello' with 3 words",
    ]


class Detector:
    """Gives one probability to every frame, or where it *forgets*, to the first of each array."""

    version = "Detector"

    def __init__(self, probability: float, *, forgets: bool = False) -> None:
        self._probability = probability
        self._forgets = forgets

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            yield (self._probability,) * (1 if self._forgets else len(array))


def test_a_detector_that_hears_nothing_in_silence_passes_its_self_check() -> None:
    told = anyio.run(self_check.self_check, "voice_detector", Detector(0.1))

    assert told == "half a second of silence is voice with probability 0.10 at most"


@pytest.mark.parametrize(
    ("detector", "complaint"),
    [
        (Detector(0.1, forgets=True), "probabilities for 16 and 16 frames"),
        (Detector(1.1), "not between 0 and 1"),
        (Detector(0.9), r"takes silence for voice, with probability 0\.90"),
    ],
)
def test_a_detector_that_is_wrong_about_silence_fails_its_self_check(
    detector: Detector, complaint: str
) -> None:
    with pytest.raises(EngineFailure, match=complaint):
        anyio.run(self_check.self_check, "voice_detector", detector)
