"""Which dialect a connection speaks: protocol reference, README, section 1."""

import pytest

from vivavoce.core import events
from vivavoce.core.items import Message
from vivavoce.dialects.api import Dialect, codec, dialect_of


@pytest.mark.parametrize(
    ("path", "beta", "subprotocols", "dialect"),
    [
        ("/openai/v1/realtime", None, [], "ga"),
        ("/openai/v1/realtime", "realtime=v1", ["openai-beta.realtime-v1"], "ga"),
        ("/openai/realtime", None, [], "preview"),
        ("/openai/realtime/", "", ["realtime"], "preview"),
        ("/v1/realtime", "realtime=v1", [], "preview"),
        ("/v1/realtime", "assistants=v2 , Realtime=V1", [], "preview"),
        ("/v1/realtime", "realtime=v10", [], "ga"),
        ("/v1/realtime/", None, ["realtime", "openai-beta.realtime-v1"], "preview"),
        ("/v1/realtime", None, ["realtime", "openai-insecure-api-key.k"], "ga"),
        ("/v1/realtime", None, [], "ga"),
        ("/openai/v1/realtime/", None, [], "ga"),
    ],
)
def test_the_first_rule_that_matches_chooses_the_dialect(
    path: str, beta: str | None, subprotocols: list[str], dialect: Dialect
) -> None:
    assert dialect_of(path, beta, subprotocols) == dialect


@pytest.mark.parametrize(
    ("dialect", "name"),
    [("ga", "conversation.item.added"), ("preview", "conversation.item.created")],
)
def test_each_dialect_has_its_codec(dialect: Dialect, name: str) -> None:
    item = Message("item_1", "user", ())
    event = events.ItemAdded(event_id="event_1", previous_item_id=None, item=item)

    (frame,) = codec(dialect).encode(event)

    assert f'"type":"{name}"'.encode() in frame
