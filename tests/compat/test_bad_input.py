"""What clients do wrong, against a running server: the session lives wherever it should."""

import base64
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
import websockets
from anyio import to_thread
from compat_servers import KEY, PATIENCE_S, Site, scenario, served, until
from compat_wire import GA, PREVIEW, SLOW, Frame, Line, line, written
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from vivavoce.config import Config

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

OPENAI = "/v1/realtime?model=gpt-realtime"
MIB = 1024 * 1024


async def refusal(site: Site, path: str, headers: dict[str, str]) -> tuple[int, Frame]:
    """Status and error with which an upgrade is turned down."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connect(site.ws_url + path, additional_headers=headers):
            pass
    response = caught.value.response
    body = msgspec.json.decode(response.body or b"", type=dict[str, Frame])
    return response.status_code, body["error"]


@pytest.fixture
async def client(scripted: Site) -> AsyncIterator[Line]:
    """A line whose session must still live when the test is over."""
    async with line(scripted) as opened:
        yield opened
        await opened.still_lives()


async def error_of(client: Line, frame: str | bytes) -> Frame:
    """The error with which *frame* is answered."""
    await client.connection.send(frame)
    answer = await client.next()
    assert answer["type"] == "error"
    return dict(answer["error"])


def sent(kind: str, **fields: Any) -> str:  # whatever the event takes
    """An event as a frame, with an id."""
    return msgspec.json.encode({"type": kind, "event_id": "mine", **fields}).decode()


# At the door.


@pytest.mark.parametrize(("path", "code"), [(GA, "401"), (OPENAI, "invalid_api_key")])
async def test_a_wrong_key_opens_nothing(scripted: Site, path: str, code: str) -> None:
    status, error = await refusal(scripted, path, {"Authorization": "Bearer wrong"})

    assert (status, error["code"]) == (401, code)
    assert "wrong" not in error["message"]


@pytest.mark.parametrize("path", [GA, OPENAI, PREVIEW])
async def test_without_a_key_nothing_opens(scripted: Site, path: str) -> None:
    status, error = await refusal(scripted, path, {})

    assert status == 401
    assert "api-key" in error["message"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/openai/v1/realtime?model=gpt-nonsense", "DeploymentNotFound"),
        (
            "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-nonsense",
            "DeploymentNotFound",
        ),
        ("/v1/realtime?model=gpt-nonsense", "model_not_found"),
    ],
)
async def test_an_unknown_deployment_is_answered_by_those_there_are(
    scripted: Site, path: str, code: str
) -> None:
    status, error = await refusal(scripted, path, {"api-key": scripted.key})

    assert (status, error["code"]) == (404, code)
    assert "gpt-nonsense" in error["message"]
    for name in ("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview", "gpt-realtime", "slow"):
        assert name in error["message"]


# In the session.


async def test_what_is_not_json_is_refused(client: Line) -> None:
    error = await error_of(client, '{"type": "response.create"')

    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_event")


async def test_a_binary_frame_is_refused(client: Line) -> None:
    error = await error_of(client, bytes(range(256)))

    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_event")


async def test_an_unknown_event_is_refused_by_name(client: Line) -> None:
    error = await error_of(client, sent("session.destroy"))

    assert (error["event_id"], error["param"]) == ("mine", "type")
    assert "session.destroy" in error["message"]


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (
            sent("session.update", session={"type": "realtime", "instructions": 7}),
            "session.instructions",
        ),
        (
            sent(
                "session.update",
                session={
                    "type": "realtime",
                    "audio": {
                        "input": {"turn_detection": {"type": "server_vad", "threshold": "x"}}
                    },
                },
            ),
            "session.audio.input.turn_detection.threshold",
        ),
        (
            sent("conversation.item.create", item={**written("hello"), "content": [{"type": 3}]}),
            "item.content[0].type",
        ),
        (sent("response.create", response={"tools": {}}), "response.tools"),
        (sent("input_audio_buffer.append", audio=[1, 2, 3]), "audio"),
        (sent("conversation.item.truncate", item_id="a", content_index="0"), "content_index"),
    ],
)
async def test_a_field_of_the_wrong_type_is_named_by_its_path(
    client: Line, frame: str, param: str
) -> None:
    error = await error_of(client, frame)

    assert (error["type"], error["event_id"]) == ("invalid_request_error", "mine")
    assert error["param"] == param


async def test_a_refused_update_changes_nothing(client: Line) -> None:
    await error_of(
        client,
        sent("session.update", session={"type": "realtime", "instructions": "New.", "tools": 1}),
    )

    await client.say("session.update", session={"type": "realtime"})
    session = (await client.until("session.updated"))[-1]["session"]

    assert session == client.witness.frames[0]["session"]


async def test_sixteen_mebibytes_of_audio_are_too_much_for_one_append(client: Line) -> None:
    audio = base64.b64encode(bytes(16 * MIB)).decode()

    error = await error_of(client, sent("input_audio_buffer.append", audio=audio))

    assert (error["event_id"], error["param"]) == ("mine", "audio")
    assert "15 MiB" in error["message"]


async def test_a_frame_beyond_thirty_two_mebibytes_closes_the_connection(scripted: Site) -> None:
    async with line(scripted) as client, line(scripted) as other:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await error_of(client, "x" * (32 * MIB + 1))
        await other.still_lives()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_nothing_cannot_be_committed(client: Line) -> None:
    error = await error_of(client, sent("input_audio_buffer.commit"))

    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (
            sent("conversation.item.retrieve", item_id="item_none"),
            "item_retrieve_invalid_item_id",
        ),
        (sent("conversation.item.delete", item_id="item_none"), "item_delete_invalid_item_id"),
        (
            sent(
                "conversation.item.truncate", item_id="item_none", content_index=0, audio_end_ms=0
            ),
            "item_truncate_invalid_item_id",
        ),
        (
            sent(
                "conversation.item.create",
                item=written("hello"),
                previous_item_id="item_none",
            ),
            "item_create_invalid_previous_item_id",
        ),
    ],
)
async def test_an_item_that_does_not_exist_is_refused_by_name(
    client: Line, frame: str, code: str
) -> None:
    error = await error_of(client, frame)

    assert (error["code"], error["event_id"]) == (code, "mine")
    assert "item_none" in error["message"]


async def test_a_second_response_is_refused_while_one_is_made(scripted: Site) -> None:
    async with line(scripted, SLOW) as client:
        await client.write("Tell me at length.")
        begun = (await client.until("response.created"))[-1]["response"]["id"]
        await client.say("response.create", event_id="too_soon")
        error = (await client.until("error"))[-1]["error"]
        await client.say("response.cancel")
        done = (await client.until("response.done"))[-1]["response"]

    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "too_soon"
    assert (done["id"], done["status"]) == (begun, "cancelled")


# Clients that go or do not take.


async def test_a_client_that_vanishes_in_the_middle_of_an_answer_leaves_nothing(
    scripted: Site,
) -> None:
    live = 'vivavoce_sessions_live{deployment="slow"}'
    async with line(scripted, SLOW, finished=False) as client:
        await client.write("Tell me at length.")
        await client.until("response.output_audio.delta")
        assert scripted.metric(live) == 1
        before = scripted.sessions
        client.connection.transport.abort()

        await to_thread.run_sync(until, lambda: scripted.metric(live) == 0)
        await to_thread.run_sync(until, lambda: scripted.sessions == before - 1)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that soon loses its patience."""
    folder = tmp_path_factory.mktemp("impatient")
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        scenario=scenario(folder, pace=0),
        outbox_bytes=64 * 1024,
        grace_s=0.3,
    )
    with served(config) as site:
        yield site


class DeafClient:
    """A client that sends, and reads nothing after the upgrade."""

    def __init__(self, site: Site) -> None:
        uri = parse_uri(site.ws_url + GA)
        self._protocol = ClientProtocol(uri)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((uri.host, uri.port))
        request = self._protocol.connect()
        request.headers["api-key"] = site.key
        self._protocol.send_request(request)
        self._flush()
        assert self._socket.recv(64).startswith(b"HTTP/1.1 101")

    def say(self, kind: str, **fields: Any) -> None:  # whatever the event takes
        """Send an event."""
        self._protocol.state = websockets.State.OPEN
        self._protocol.send_text(msgspec.json.encode({"type": kind, **fields}))
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(b"".join(self._protocol.data_to_send()))

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


async def test_a_client_that_never_reads_is_cut_off(impatient: Site) -> None:
    reason = 'code="1008",reason="the client does not read what it is sent"'
    cut_off = f"vivavoce_clients_cut_off_total{{{reason}}}"
    deaf = await to_thread.run_sync(DeafClient, impatient)
    with closing(deaf):
        async with line(impatient) as other:
            deaf.say("conversation.item.create", item=written("Tell me at length."))
            deaf.say("response.create")

            await to_thread.run_sync(until, lambda: impatient.metric(cut_off) == 1)
            await to_thread.run_sync(until, lambda: impatient.sessions == 1)
            await other.write("Are you there?")
            answer = await other.until("response.done")

    assert answer[-1]["response"]["status"] == "completed"
