"""No key ever reaches a log line, whatever its place, right or wrong, at any level."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
import websockets
from server_clients import KEY, OPENAI, house, next_frame

from vivavoce.observe import start_logging

pytestmark = pytest.mark.anyio
WRONG = "the-key-of-another-server"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, at the most talkative level."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    # The secrets are not named: nothing may depend on their being blotted out.
    start_logging("debug", "json", stream=stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("key", [KEY, WRONG])
async def test_a_key_is_never_logged(log: io.StringIO, key: str) -> None:
    forms = [
        ("", {"api-key": key}, None),
        (f"&api-key={key}", {}, None),
        ("", {"Authorization": f"Bearer {key}"}, None),
        (f"&Authorization=Bearer%20{key}", {}, None),
        ("", {}, ["realtime", f"openai-insecure-api-key.{key}"]),
        ("", {"Authorization": f"Bearer {key}{'x' * 9000}"}, None),
    ]
    async with house() as at:
        for query, headers, subprotocols in forms:
            try:
                async with at.talk(OPENAI + query, headers, subprotocols) as client:
                    await next_frame(client)
                    await client.send(f'{{"type":"{key}"}}')
                    await next_frame(client)
            except websockets.InvalidStatus:
                continue
        await at.get(f"/v1/models?api-key={key}", {})
        await at.get(f"/{key}?api-key={key}", {"api-key": key})
        await at.refusal(f"/{key}", {"api-key": key})
    lines = log.getvalue()
    assert key not in lines
    told = [json.loads(line) for line in lines.splitlines()]
    assert ("session begins" if key == KEY else "upgrade refused") in {
        line["event"] for line in told
    }
    assert [line for line in told if line["level"] in ("warning", "error")] == []


async def test_what_is_said_is_never_logged(log: io.StringIO) -> None:
    item = '{"type":"message","role":"user","content":[{"type":"input_text","text":"my secret"}]}'
    async with house() as at, at.talk() as client:
        await next_frame(client)
        await client.send(f'{{"type":"conversation.item.create","item":{item}}}')
        await next_frame(client)
        await client.send("my secret")
        await next_frame(client)
        await client.send('{"type":"session.update","session":{"my_key":"my secret"}}')
        await next_frame(client)
    assert "my secret" not in log.getvalue()
    assert "session over" in log.getvalue()
