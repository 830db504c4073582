"""Short hands for the tests of this room: a command, a Refusal or a frame from plain values."""

import json
from typing import Any

import pytest

from vivavoce.core.commands import AnyCommand, CreateItem, CreateResponse, UpdateSession
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.settings import SessionUpdate
from vivavoce.dialects.api import Dialect, codec

Frame = dict[str, Any]  # what JSON decodes to


def decoded(dialect: Dialect, event: object, *, strict: bool = False) -> AnyCommand:
    """The command that a client's event is."""
    return codec(dialect, strict=strict).decode(json.dumps(event))


def refused(dialect: Dialect, event: object, *, strict: bool = False) -> Refusal:
    """The Refusal that a client's event meets."""
    with pytest.raises(Refusal) as caught:
        decoded(dialect, event, strict=strict)
    return caught.value


def updated(dialect: Dialect, *, strict: bool = False, **session: object) -> SessionUpdate:
    """What a `session.update` changes."""
    command = decoded(dialect, {"type": "session.update", "session": session}, strict=strict)
    assert isinstance(command, UpdateSession)
    return command.update


def created(dialect: Dialect, *, strict: bool = False, **response: object) -> CreateResponse:
    """What a `response.create` asks for."""
    command = decoded(dialect, {"type": "response.create", "response": response}, strict=strict)
    assert isinstance(command, CreateResponse)
    return command


def added(dialect: Dialect, *, strict: bool = False, **item: object) -> CreateItem:
    """What a `conversation.item.create` adds."""
    command = decoded(dialect, {"type": "conversation.item.create", "item": item}, strict=strict)
    assert isinstance(command, CreateItem)
    return command


def refused_update(dialect: Dialect, *, strict: bool = False, **session: object) -> Refusal:
    """The Refusal that a `session.update` meets."""
    return refused(dialect, {"type": "session.update", "session": session}, strict=strict)


def refused_item(dialect: Dialect, *, strict: bool = False, **item: object) -> Refusal:
    """The Refusal that a `conversation.item.create` meets."""
    return refused(dialect, {"type": "conversation.item.create", "item": item}, strict=strict)


def refused_response(dialect: Dialect, *, strict: bool = False, **response: object) -> Refusal:
    """The Refusal that a `response.create` meets."""
    return refused(dialect, {"type": "response.create", "response": response}, strict=strict)


def frames(dialect: Dialect, event: ServerEvent, *, azure: bool = False) -> list[Frame]:
    """The frames that an event is, decoded again."""
    return [json.loads(frame) for frame in codec(dialect, azure=azure).encode(event)]


def frame(dialect: Dialect, event: ServerEvent, *, azure: bool = False) -> Frame:
    """The one frame that an event is."""
    (only,) = frames(dialect, event, azure=azure)
    return only
