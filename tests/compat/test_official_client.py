"""The official Python package of today against a running server, by both of its addresses."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from compat_servers import PATIENCE_S, Site
from compat_speech import appends
from compat_wire import WEATHER, Frame, Witness, kinds, of_kind, spoken_bytes, words_of
from openai import AsyncOpenAI, OpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection, RealtimeConnection
from openai.types.realtime import (
    RealtimeConversationItemUserMessageParam,
    RealtimeErrorEvent,
    RealtimeServerEvent,
    ResponseDoneEvent,
    SessionCreatedEvent,
)

pytest_plugins = ["compat_fixtures"]
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("base", ["/v1", "/openai/v1"])]

VAD: Any = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300}


class Talk:
    """A connection of the official package, whose every frame is kept."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.witness = Witness("ga")

    async def next_event(self) -> RealtimeServerEvent:
        """The next event, as the package's own type."""
        with anyio.fail_after(PATIENCE_S):
            raw = await self.connection.recv_bytes()
        self.witness.saw(raw)
        return self.connection.parse_event(raw)

    async def until(self, kind: str) -> list[Frame]:
        """The events up to the next of that type, and that one, as they were sent."""
        start = len(self.witness.frames)
        while (await self.next_event()).type != kind:
            pass
        return self.witness.frames[start:]

    async def ask(self, text: str) -> list[Frame]:
        """Say something in writing; all events until it is answered."""
        await self.connection.conversation.item.create(item=by_user(text))
        await self.connection.response.create()
        return await self.until("response.done")

    async def configure(self, **session: Any) -> Frame:  # the fields of a session
        """Change settings, and return the session as it is then."""
        await self.connection.session.update(session={"type": "realtime", **session})  # type: ignore[arg-type]
        return dict((await self.until("session.updated"))[-1]["session"])


def by_user(text: str, item_id: str | None = None) -> RealtimeConversationItemUserMessageParam:
    """An item of the user's."""
    item: RealtimeConversationItemUserMessageParam = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }
    if item_id is not None:
        item["id"] = item_id
    return item


@asynccontextmanager
async def talk_to(
    site: Site, base: str, *, model: str = "gpt-realtime", finished: bool = True
) -> AsyncIterator[Talk]:
    """A connection whose session has been created. Leaving it judges every frame."""
    client = AsyncOpenAI(base_url=site.url + base, api_key=site.key)
    async with client, client.realtime.connect(model=model) as connection:
        talk = Talk(connection)
        assert isinstance(await talk.next_event(), SessionCreatedEvent)
        yield talk
    talk.witness.judge(finished=finished)


async def test_a_written_turn_is_answered_in_writing(embedded: Site, base: str) -> None:
    async with talk_to(embedded, base) as talk:
        await talk.configure(output_modalities=["text"])

        answer = await talk.ask("How are you today?")

    response = answer[-1]["response"]
    assert response["status"] == "completed"
    assert words_of(answer)
    assert response["output"][0]["content"] == [{"type": "output_text", "text": words_of(answer)}]
    assert spoken_bytes(answer) == 0
    assert response["usage"]["output_token_details"]["audio_tokens"] == 0


async def test_a_written_turn_is_answered_in_speech(embedded: Site, base: str) -> None:
    async with talk_to(embedded, base) as talk:
        answer = await talk.ask("How are you today?")

    assert spoken_bytes(answer) > 24_000
    assert spoken_bytes(answer) % 2 == 0
    content = answer[-1]["response"]["output"][0]["content"]
    assert content == [{"type": "output_audio", "transcript": words_of(answer)}]
    assert answer[-1]["response"]["usage"]["output_token_details"]["audio_tokens"] > 0


async def test_a_spoken_turn_is_heard_written_down_and_answered(
    embedded: Site, base: str, speech: bytes
) -> None:
    async with talk_to(embedded, base) as talk:
        await talk.configure(
            audio={"input": {"turn_detection": VAD, "transcription": {"model": "whisper-1"}}}
        )
        for audio in appends(speech):
            await talk.connection.input_audio_buffer.append(audio=audio)

        heard = await talk.until("response.done")
        item_id = heard[0]["item_id"]
        await talk.connection.conversation.item.retrieve(item_id=item_id)
        item = (await talk.until("conversation.item.retrieved"))[-1]["item"]

    assert kinds(heard)[:5] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    named = [frame.get("item_id") or frame["item"]["id"] for frame in heard[:5]]
    assert named == [item_id] * 5
    assert heard[0]["audio_start_ms"] < heard[1]["audio_end_ms"] <= len(speech) // 48
    transcribed = of_kind(heard, "conversation.item.input_audio_transcription.completed")
    assert [frame["item_id"] for frame in transcribed] == [item_id]
    assert heard[-1]["response"]["status"] == "completed"
    assert spoken_bytes(heard) > 0
    assert item["content"][0]["transcript"] == transcribed[0]["transcript"]


async def test_a_turn_can_be_committed_by_hand(embedded: Site, base: str, speech: bytes) -> None:
    async with talk_to(embedded, base) as talk:
        await talk.configure(
            audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
        )
        for audio in appends(speech):
            await talk.connection.input_audio_buffer.append(audio=audio)
        await talk.connection.input_audio_buffer.commit()
        await talk.connection.response.create()

        heard = await talk.until("response.done")

    assert kinds(heard)[:3] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    transcribed = of_kind(heard, "conversation.item.input_audio_transcription.completed")
    assert [frame["item_id"] for frame in transcribed] == [heard[0]["item_id"]]
    assert heard[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
async def test_a_function_is_called_and_its_result_is_told(
    embedded: Site, base: str, choice: Any
) -> None:
    async with talk_to(embedded, base) as talk:
        await talk.configure(tools=[WEATHER], tool_choice=choice, output_modalities=["text"])
        calling = await talk.ask("What is the weather like in Paris?")
        call = calling[-1]["response"]["output"][0]
        await talk.connection.conversation.item.create(
            item={
                "type": "function_call_output",
                "call_id": call["call_id"],
                "output": '{"weather": "raining", "celsius": 17}',
            }
        )
        await talk.connection.response.create(response={"tool_choice": "auto"})

        answer = await talk.until("response.done")

    assert (call["type"], call["name"], call["status"]) == (
        "function_call",
        "get_weather",
        "completed",
    )
    assert msgspec.json.decode(call["arguments"]) == {"city": "Paris"}
    done = of_kind(calling, "response.function_call_arguments.done")[0]
    deltas = of_kind(calling, "response.function_call_arguments.delta")
    assert "".join(frame["delta"] for frame in deltas) == done["arguments"] == call["arguments"]
    assert answer[-1]["response"]["output"][0]["type"] == "message"
    assert "17" in words_of(answer)


async def test_a_response_is_cancelled(scripted: Site, base: str) -> None:
    async with talk_to(scripted, base, model="slow") as talk:
        await talk.connection.conversation.item.create(item=by_user("Tell me at length."))
        await talk.connection.response.create()
        begun = await talk.until("response.output_audio.delta")
        await talk.connection.response.cancel()
        done = (await talk.until("response.done"))[-1]["response"]
        answer = await talk.ask("And in short?")

    assert done["id"] == of_kind(begun, "response.created")[0]["response"]["id"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert {frame["response_id"] for frame in answer if "response_id" in frame} == {
        answer[-1]["response"]["id"]
    }
    assert answer[-1]["response"]["status"] == "completed"


async def test_an_answer_is_truncated_to_what_was_heard(scripted: Site, base: str) -> None:
    async with talk_to(scripted, base) as talk:
        answer = await talk.ask("one two three four five six seven eight nine ten")
        item_id = answer[-1]["response"]["output"][0]["id"]
        await talk.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=1500
        )
        truncated = (await talk.until("conversation.item.truncated"))[-1]
        await talk.connection.conversation.item.retrieve(item_id=item_id)
        kept = (await talk.until("conversation.item.retrieved"))[-1]["item"]["content"][0]

    assert (truncated["item_id"], truncated["content_index"]) == (item_id, 0)
    assert truncated["audio_end_ms"] == 1500
    assert kept["type"] == "output_audio"
    assert spoken_bytes(answer) > 1500 * 48
    assert len(base64.b64decode(kept["audio"])) == 1500 * 48
    # Which words were heard the client cannot know, so it is not told the old ones any more.
    assert not kept["transcript"]


async def test_items_are_created_in_any_place_and_retrieved_and_deleted(
    scripted: Site, base: str
) -> None:
    async with talk_to(scripted, base) as talk:
        items = talk.connection.conversation.item
        await items.create(item=by_user("the second", "item_b"))
        await items.create(item=by_user("the first", "item_a"), previous_item_id="root")
        await talk.until("conversation.item.done")
        placed = await talk.until("conversation.item.done")
        await items.retrieve(item_id="item_b")
        found = (await talk.until("conversation.item.retrieved"))[-1]["item"]
        await items.delete(item_id="item_b")
        deleted = (await talk.until("conversation.item.deleted"))[-1]
        await items.retrieve(item_id="item_b", event_id="ask_again")
        error = await talk.next_event()

    assert placed[0]["previous_item_id"] is None
    assert found["content"] == [{"type": "input_text", "text": "the second"}]
    assert deleted["item_id"] == "item_b"
    assert isinstance(error, RealtimeErrorEvent)
    assert error.error.event_id == "ask_again"
    assert error.error.code == "item_retrieve_invalid_item_id"


async def test_settings_change_where_they_are_named_and_nowhere_else(
    scripted: Site, base: str
) -> None:
    async with talk_to(scripted, base) as talk:
        created = talk.witness.frames[0]["session"]
        updated = await talk.configure(
            instructions="Be brief.", audio={"output": {"voice": "verse", "speed": 1.25}}
        )

    assert updated["instructions"] == "Be brief."
    assert updated["audio"]["output"]["voice"] == "verse"
    assert updated["audio"]["output"]["speed"] == 1.25
    assert updated["audio"]["input"] == created["audio"]["input"]
    assert updated["audio"]["output"]["format"] == created["audio"]["output"]["format"]
    for name in ("id", "model", "tools", "tool_choice", "output_modalities", "max_output_tokens"):
        assert updated[name] == created[name]


async def test_an_error_says_what_was_wrong_and_with_which_event(scripted: Site, base: str) -> None:
    async with talk_to(scripted, base) as talk:
        await talk.connection.send(
            {  # type: ignore[arg-type]
                "type": "session.update",
                "event_id": "event_of_mine",
                "session": {"type": "realtime", "audio": {"output": {"voice": 7}}},
            }
        )
        event = await talk.next_event()
        answer = await talk.ask("Are you still there?")

    assert isinstance(event, RealtimeErrorEvent)
    assert event.event_id.startswith("event_")
    assert event.error.type == "invalid_request_error"
    assert event.error.code == "invalid_type"
    assert event.error.param == "session.audio.output.voice"
    assert event.error.event_id == "event_of_mine"
    assert event.error.message
    assert answer[-1]["response"]["status"] == "completed"


async def test_an_engine_that_fails_fails_its_response_and_not_the_session(
    scripted: Site, base: str
) -> None:
    async with talk_to(scripted, base) as talk:
        failed = (await talk.ask("Please break down."))[-1]["response"]
        answer = await talk.ask("And now?")

    assert failed["status"] == "failed"
    assert failed["status_details"]["type"] == "failed"
    assert failed["status_details"]["error"]["type"]
    assert answer[-1]["response"]["status"] == "completed"


async def test_events_are_iterated_over_until_the_client_hangs_up(
    embedded: Site, base: str
) -> None:
    client = AsyncOpenAI(base_url=embedded.url + base, api_key=embedded.key)
    witness, seen = Witness("ga"), []
    with anyio.fail_after(PATIENCE_S):
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.conversation.item.create(item=by_user("Hello!"))
            await connection.response.create()
            async for event in connection:
                seen.append(event)
                witness.frames.append(event.to_dict(mode="json"))
                if event.type == "rate_limits.updated":
                    await connection.close()

    witness.judge(finished=True)
    done = seen[-2]
    assert isinstance(done, ResponseDoneEvent)
    assert done.response.status == "completed"
    assert done.response.usage is not None
    assert done.response.usage.total_tokens


def test_the_client_that_blocks_talks_as_well(embedded: Site, base: str, speech: bytes) -> None:
    witness = Witness("ga")

    def until(connection: RealtimeConnection, kind: str) -> list[Frame]:
        start = len(witness.frames)
        while witness.saw(connection.recv_bytes())["type"] != kind:
            pass
        return witness.frames[start:]

    with (
        OpenAI(base_url=embedded.url + base, api_key=embedded.key) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        until(connection, "session.created")
        connection.conversation.item.create(item=by_user("Hello!"))
        connection.response.create()
        answer = until(connection, "response.done")
        for audio in appends(speech):
            connection.input_audio_buffer.append(audio=audio)
        spoken = until(connection, "response.done")

    witness.judge(finished=True)
    assert words_of(answer)
    assert "input_audio_buffer.speech_stopped" in kinds(spoken)
    assert spoken_bytes(spoken) > 0
