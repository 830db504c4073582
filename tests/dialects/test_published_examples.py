"""The published examples, read out of the pages they stand on, in their own spelling."""

import re
from pathlib import Path

import pytest

from vivavoce.core.commands import CreateItem, CreateResponse, ItemReference, UpdateSession
from vivavoce.core.items import InputText, Message
from vivavoce.core.settings import (
    AudioFormat,
    AudioInputUpdate,
    AudioOutputUpdate,
    DetectionUpdate,
    ServerVad,
    SessionUpdate,
    Transcription,
)
from vivavoce.dialects.api import codec

CAPITAL = Message("", "user", (InputText("What is the capital of France?"),))
PARIS = Message("", "user", (InputText("The capital of France is Paris."),))


def page(shared: Path, number: str) -> str:
    (path,) = (shared / "seeds").glob(f"{number}_*.txt")
    return path.read_text(encoding="utf-8")


@pytest.mark.shared
def test_the_preview_examples_are_understood_with_their_trailing_commas(shared: Path) -> None:
    printed = re.findall(
        r'^\{\n(?:"event_id": null,\n)?"type": "(?:session\.update|response\.create)".*?\n\}\n(?=[^\n\]},"{])',
        page(shared, "002"),
        re.MULTILINE | re.DOTALL,
    )

    commands = [codec("preview").decode(example) for example in printed]

    assert commands == [
        UpdateSession(
            update=SessionUpdate(
                instructions="",
                tools=(),
                input=AudioInputUpdate(
                    format=AudioFormat(),
                    transcription=Transcription("whisper-1"),
                    turn_detection=DetectionUpdate(
                        ServerVad,
                        {
                            "threshold": 0.5,
                            "prefix_padding_ms": 300,
                            "silence_duration_ms": 200,
                            "create_response": True,
                        },
                    ),
                ),
                output=AudioOutputUpdate(voice="alloy"),
            )
        ),
        CreateResponse(
            output_modality="text",
            conversation="none",
            metadata={"topic": "world_capitals"},
            extra=(CAPITAL,),
        ),
        CreateResponse(
            output_modality="text",
            conversation="none",
            input=(ItemReference("existing_conversation_item_id"), PARIS),
            extra=(CAPITAL,),
        ),
        CreateResponse(
            output_modality="audio",
            instructions="Please assist the user.",
            commit=True,
            cancel_previous=True,
        ),
    ]


@pytest.mark.shared
def test_the_python_example_is_understood_with_its_misspelt_key(shared: Path) -> None:
    match = re.search(r"session\.update\(session=(\{.*?\})\) #", page(shared, "004"))
    assert match is not None
    session = match[1].replace("True", "true")
    ignored: list[str] = []

    command = codec("ga", on_ignored=ignored.append).decode(
        f'{{"type": "session.update", "session": {session}}}'
    )

    assert command == UpdateSession(
        update=SessionUpdate(
            output_modality="audio",
            instructions="You are a helpful assistant. You respond by voice and text.",
            input=AudioInputUpdate(
                format=AudioFormat(),
                transcription=Transcription("whisper-1"),
                turn_detection=DetectionUpdate(
                    ServerVad,
                    {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200},
                ),
            ),
            output=AudioOutputUpdate(format=AudioFormat(), voice="alloy"),
        )
    )
    assert ignored == ["session.audio.input.turn_detection.create_responese"]


@pytest.mark.shared
def test_the_typescript_example_is_understood(shared: Path) -> None:
    match = re.search(
        r"sessionConfig: RealtimeSessionCreateRequest = (\{.*?\}); realtimeClient",
        page(shared, "004"),
    )
    assert match is not None
    session = match[1].replace("'", '"')

    command = codec("ga").decode(f'{{"type": "session.update", "session": {session}}}')

    assert isinstance(command, UpdateSession)
    assert command.update.type == "realtime"
    assert command.update.output == AudioOutputUpdate(format=AudioFormat(), voice="alloy")


def test_a_question_typed_by_the_user_is_an_item_and_a_response() -> None:
    item = (
        '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
        '"content":[{"type":"input_text","text":"Please assist the user."}]}}'
    )

    for strict in (False, True):
        one = codec("ga", strict=strict)
        said = Message("", "user", (InputText("Please assist the user."),))
        assert one.decode(item) == CreateItem(item=said)
        assert one.decode('{"type":"response.create"}') == CreateResponse()
