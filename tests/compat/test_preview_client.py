"""The preview dialect, to the older official package and to the letter of its guide."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from compat_seeds import Json, all_printed, as_json, listed, printed
from compat_servers import PATIENCE_S, Site, clean
from compat_wire import DELTAS, PREVIEW, Frame, Witness, kinds, line, of_kind, words_of

pytest_plugins = ["compat_fixtures"]
pytestmark = [pytest.mark.anyio, pytest.mark.shared]

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".venv-preview" / "bin" / "python"

# What a server says in its own way; the type is the same all the same.
ITS_OWN = frozenset(
    {
        "session.model",
        "session.expires_at",
        "session.instructions",
        "response.output[0].content[0].transcript",
        "response.usage.total_tokens",
        "response.usage.input_tokens",
        "response.usage.output_tokens",
        "response.usage.input_token_details.text_tokens",
        "response.usage.output_token_details.text_tokens",
        "response.usage.output_token_details.audio_tokens",
    }
)


def differences(shown: object, sent: object, path: str = "") -> list[str]:
    """Where *sent* lacks what is *shown*, or says it otherwise. It may say more."""
    match shown, sent:
        case dict(), dict():
            below = [
                differences(value, sent.get(key, "nothing"), f"{path}.{key}".lstrip("."))
                for key, value in shown.items()
            ]
            return [each for some in below for each in some]
        case list(), list() if len(shown) == len(sent):
            pairs = enumerate(zip(shown, sent, strict=True))
            return [each for at, pair in pairs for each in differences(*pair, f"{path}[{at}]")]
        case ("REDACTED", str()) if sent:
            return []
        case _ if path in ITS_OWN and type(shown) is type(sent):
            return []
    return [] if shown == sent else [f"{path}: {sent!r} instead of {shown!r}"]


def judge_answer(frames: list[Frame], shared: Path) -> None:
    """Fail where the events from the session's beginning to its answer are not as in the guide."""
    by_kind = {frame["type"]: frame for frame in frames}
    for kind in ("session.created", "response.created", "response.done"):
        assert differences(as_json(printed(shared, kind)), by_kind[kind]) == []
    deltas = {*DELTAS["audio"], *DELTAS["words"]}
    order = kinds(frames)[1:]
    assert [each for each in order if each not in deltas] == [
        each for each in listed(shared) if each not in deltas
    ]
    spoken = order[
        order.index("response.content_part.added") + 1 : order.index("response.audio.done")
    ]
    assert set(spoken) == {"response.audio_transcript.delta", "response.audio.delta"}
    content = by_kind["response.done"]["response"]["output"][0]["content"]
    assert content[0]["transcript"] == words_of(frames)
    witness = Witness("preview")
    witness.frames = frames
    witness.judge(finished=True)


@pytest.mark.preview_client
def test_the_older_package_gets_the_answer_of_the_guide(secure: Site, shared: Path) -> None:
    if not PYTHON.exists():
        pytest.fail(f"there is no {PYTHON}: say `make test`, which installs the older package")
    asking = msgspec.json.encode(as_json(printed(shared, "response.create"))).decode()

    ran = subprocess.run(
        [
            PYTHON,
            HERE / "preview_client.py",
            secure.url,
            secure.key,
            "gpt-4o-realtime-preview",
            asking,
        ],
        env=clean({"SSL_CERT_FILE": str(secure.authority)}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    judge_answer(
        [msgspec.json.decode(each, type=Frame) for each in ran.stdout.splitlines()], shared
    )


async def test_the_guide_is_followed_to_the_letter(embedded: Site, shared: Path) -> None:
    async with line(embedded, PREVIEW, dialect="preview") as client:
        # With the comma too many that is printed there.
        await client.connection.send(printed(shared, "response.create"))
        await client.until("response.done")

    judge_answer(client.witness.frames, shared)


async def test_a_session_is_set_up_as_the_guide_does(embedded: Site, shared: Path) -> None:
    update: Json = as_json(printed(shared, "session.update"))

    async with line(embedded, PREVIEW, dialect="preview") as client:
        await client.connection.send(printed(shared, "session.update"))
        updated = await client.until("session.updated")

    assert kinds(updated) == ["session.updated"]
    assert differences(update["session"], updated[0]["session"]) == []


async def test_an_answer_outside_the_conversation_is_told_by_its_metadata(
    embedded: Site, shared: Path
) -> None:
    with_prompt = [each for each in all_printed(shared, "response.create") if '"metadata"' in each]

    async with line(embedded, PREVIEW, dialect="preview") as client:
        await client.connection.send(with_prompt[0])
        answer = await client.until("response.done")

    response = answer[-1]["response"]
    assert response["metadata"] == {"topic": "world_capitals"}
    assert response["output"][0]["content"][0]["type"] == "text"
    assert of_kind(answer, "conversation.item.created") == []
