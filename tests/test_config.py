"""Where a value comes from, and what an operator is told about a mistake."""

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec import UNSET

from vivavoce.config import (
    Config,
    ConfigError,
    DeploymentPlan,
    EngineChoice,
    RecipePlan,
    ensure_key,
    load,
)

NOTHING: Mapping[str, str] = {}


def loaded(
    text: str = "", environ: Mapping[str, str] = NOTHING, flags: Mapping[str, object] | None = None
) -> Config:
    """A configuration from a file `voice.toml` of that text, and the other sources."""
    return load({"config": "voice.toml", **(flags or {})}, environ, lambda _: text.encode())


def test_without_any_source_every_value_has_its_default() -> None:
    config = load({}, {})
    assert (config.host, config.port, config.drain_s) == ("127.0.0.1", 8642, 10)
    assert (config.api_keys, config.no_auth, config.strict) == ((), False, False)
    assert config.data_dir.name == "vivavoce"


def test_a_flag_wins_over_the_environment_and_that_over_the_file() -> None:
    file, environ = (
        "port = 1\nhost = '::1'\ndrain = 1",
        {"VIVAVOCE_PORT": "2", "VIVAVOCE_DRAIN": "2"},
    )
    config = loaded(file, environ, {"port": 3})
    assert (config.port, config.drain_s, config.host) == (3, 2, "::1")


def test_a_flag_that_was_not_given_hides_nothing() -> None:
    assert loaded("port = 1", flags={"port": None}).port == 1


@pytest.mark.parametrize(("text", "means"), [("1", True), ("true", True), ("0", False)])
def test_a_variable_says_yes_and_no_in_words(text: str, means: bool) -> None:
    assert load({}, {"VIVAVOCE_STRICT": text}).strict is means


def test_several_keys_come_with_commas_from_the_environment_and_as_a_list_from_the_file() -> None:
    assert load({}, {"VIVAVOCE_API_KEY": "a, b,"}).api_keys == ("a", "b")
    assert loaded("api_key = ['a', 'b']").api_keys == ("a", "b")
    assert loaded("api_key = 'a'").api_keys == ("a",)


def test_the_environment_may_name_the_file() -> None:
    read: list[Path] = []

    def read_file(path: Path) -> bytes:
        read.append(path)
        return b"port = 7"

    assert load({}, {"VIVAVOCE_CONFIG": "/etc/voice.toml"}, read_file).port == 7
    assert read == [Path("/etc/voice.toml")]


def test_a_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load({"data_dir": "~/voice"}, {}).data_dir == Path("/home/ada/voice")


def test_variables_of_the_tests_are_not_ours() -> None:
    load({}, {"VIVAVOCE_SHARED": "/somewhere", "VIVAVOCE_REQUIRE_SHARED": "1", "PATH": "/bin"})


def test_a_recipe_names_its_engines_with_or_without_options() -> None:
    config = loaded(
        """
        [recipes.mine]
        transcriber = "whisper"
        synthesiser = { engine = "kokoro", speed = 2 }
        """
    )
    assert config.recipes == {
        "mine": RecipePlan(
            transcriber=EngineChoice("whisper"), synthesiser=EngineChoice("kokoro", {"speed": 2})
        )
    }


def test_a_deployment_names_its_recipe_and_the_defaults_of_its_sessions() -> None:
    config = loaded(
        """
        [deployments.concierge]
        recipe = "mine"
        model = "gpt-realtime"
        aliases = ["reception"]
        voice = "verse"
        turn_detection = { type = "server_vad", threshold = 0.7 }
        """
    )
    assert config.deployments == {
        "concierge": DeploymentPlan(
            recipe="mine",
            model="gpt-realtime",
            aliases=("reception",),
            voice="verse",
            instructions=UNSET,
            turn_detection={"type": "server_vad", "threshold": 0.7},
        )
    }


def test_the_environment_reaches_into_tables() -> None:
    config = loaded(
        "[deployments.gpt-realtime]\nvoice = 'ash'\ninstructions = 'Hm.'",
        {
            "VIVAVOCE_DEPLOYMENTS__GPT_REALTIME__VOICE": "verse",
            "VIVAVOCE_DEPLOYMENTS__GPT_REALTIME__ALIASES": "a,b",
            "VIVAVOCE_DEPLOYMENTS__OTHER_ONE__TURN_DETECTION": "none",
        },
    )
    plan = config.deployments["gpt-realtime"]
    assert (plan.voice, plan.instructions, plan.aliases) == ("verse", "Hm.", ("a", "b"))
    assert config.deployments["other-one"].turn_detection is False


MISTAKES = [
    ("port = 'x'", {}, {}, "voice.toml: port: expected int, got str"),
    ("port = 70000", {}, {}, "voice.toml: port: expected int <= 65535"),
    ("", {"VIVAVOCE_PORT": "many"}, {}, "VIVAVOCE_PORT: expected int"),
    ("", {}, {"max_sessions": 0}, "--max-sessions: expected int >= 1"),
    ("prot = 1", {}, {}, "voice.toml: prot: no such option; did you mean port?"),
    ("", {"VIVAVOCE_PROT": "1"}, {}, "VIVAVOCE_PROT: no such option; did you mean port?"),
    (
        "",
        {},
        {"zzz": 1},
        "--zzz: no such option; there are: allow_origin, api_key, config, conversation_created, data_dir",
    ),
    ("port = ", {}, {}, "voice.toml: is not TOML: Invalid value"),
    ("recipes = 3", {}, {}, "voice.toml: recipes: has to be a table of tables"),
    ("[recipes]\nmine = 3", {}, {}, "voice.toml: recipes.mine: has to be a table"),
    ("[recipes.m]\near = 'x'", {}, {}, "voice.toml: recipes.m.ear: no such slot; there are: det"),
    ("[recipes.m]\ndetector = {}", {}, {}, "recipes.m.detector: has to be the name of an engine"),
    ("[deployments.d]\nvoise = 1", {}, {}, "deployments.d.voise: no such key; did you mean voice?"),
    ("[deployments.d]\nvoice = 1", {}, {}, "deployments.d: voice: expected str, got int"),
    ("[deployments.d]\nturn_detection = true", {}, {}, "turn_detection: has to be a table"),
    (
        "",
        {"VIVAVOCE_DEPLOYMENTS__D": "x"},
        {},
        "VIVAVOCE_DEPLOYMENTS__D: has to be a table",
    ),
    ("", {}, {"log_level": "loud"}, "--log-level: invalid enum value 'loud'"),
    ("", {}, {"no_auth": True, "host": "0.0.0.0"}, "--no-auth: anybody could use 0.0.0.0; serve"),
    ("", {}, {"no_auth": True, "api_key": "k"}, "--no-auth: a key is given as well"),
    ("", {}, {"tls_cert": "a.pem"}, "--tls-cert and --tls-key: each needs the other"),
    ("", {}, {"tls": True, "tls_cert": "a", "tls_key": "b"}, "--tls: makes a certificate"),
]


@pytest.mark.parametrize(("text", "environ", "flags", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_its_remedy(
    text: str, environ: Mapping[str, str], flags: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(text, environ, flags)
    assert message in str(raised.value)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConfigError, match=r"missing.toml: cannot be read: No such file"):
        load({"config": "missing.toml"}, {})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_no_key_is_needed_where_only_this_machine_can_come(host: str) -> None:
    assert load({"host": host, "no_auth": True}, {}).loopback


def test_a_configuration_shows_no_key() -> None:
    assert "hush" not in repr(load({"api_key": "hush"}, {}))


def test_a_key_is_made_once_kept_from_other_eyes_and_read_again(tmp_path: Path) -> None:
    config = load({"data_dir": tmp_path / "voice"}, {})

    first, second = ensure_key(config), ensure_key(config)

    assert first.api_keys == second.api_keys
    assert len(first.api_keys[0]) > 30
    assert stat.S_IMODE(config.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.data_dir.stat().st_mode) == 0o700


def test_no_key_is_made_where_one_was_given_or_none_is_asked_for(tmp_path: Path) -> None:
    for flags in ({"api_key": "mine"}, {"no_auth": True}):
        config = load({"data_dir": tmp_path, **flags}, {})
        assert ensure_key(config) is config
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"\n", b"\xff\xfe\x00", b"two\nlines\n"])
def test_a_key_file_without_a_key_lets_nobody_in(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_bytes(content)
    with pytest.raises(ConfigError, match="holds no key; delete it"):
        ensure_key(load({"data_dir": tmp_path}, {}))


def test_a_data_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="set --data-dir to a folder that can be written"):
        ensure_key(load({"data_dir": tmp_path / "file"}, {}))


@pytest.mark.parametrize(
    "address", ["auto", "127.0.0.1:11434", "http://ollama", "https://[::1]:8000/v1"]
)
def test_a_model_server_is_an_address_or_to_be_found(address: str) -> None:
    assert loaded("", {}, {"llm": address}).llm == address


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://h:99999", "host and port cannot be read"),
        ("http://h:0", "that is no address"),
        ("http://[h", "host and port cannot be read"),
        ("nonsense value", "that is no address"),
        ("http://", "that is no address"),
        ("ftp://h/v1", "model servers are reached by http"),
        ("http://me:hunter2@h:1", "a name or password has no place"),
        ("ftp://me:hunter2@h:99999", "a name or password has no place"),
        ("http://me:hunter2/x@h", "a name or password has no place"),
        ("me:hunter2@h", "a name or password has no place"),
    ],
)
def test_what_is_no_address_of_a_model_server_is_said_without_it(address: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded("", {"VIVAVOCE_LLM": address}, {})

    assert str(raised.value).startswith(f"--llm: {fault}")
    assert "hunter2" not in str(raised.value)


def test_an_empty_model_server_is_none() -> None:
    empty = {"VIVAVOCE_LLM": "", "VIVAVOCE_LLM_MODEL": "", "VIVAVOCE_LLM_KEY": ""}

    config = loaded("", empty, {"llm": ""})

    assert (config.llm, config.llm_model, config.llm_key) == (None, None, None)
    assert loaded("llm = 'http://h'", empty, {}).llm == "http://h"
