"""The catalogue of every wire event in both dialects, as typed values.

The data beside this module is generated from the protocol reference; no one edits it by hand.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

DialectName = Literal["ga", "preview"]
Direction = Literal["server", "client"]
Transport = Literal["websocket", "webrtc", "sip"]
JsonType = Literal["string", "integer", "number", "boolean", "array", "object"]


class Field(Struct, frozen=True):
    """What one key may hold.

    *of* and *items_of* name the objects allowed for the value and for an array's members; where
    both a text and an object are allowed, *enum* is about the text. Of an array, *enum* lists
    what its members may be.
    """

    type: JsonType | tuple[JsonType, ...]
    required: bool = False
    nullable: bool = False
    emit: str | None = None
    const: str | None = None
    enum: tuple[str | int, ...] = ()
    enum_open: bool = False
    aliases: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    max_bytes: int | None = None
    max_properties: int | None = None
    max_key_length: int | None = None
    max_value_length: int | None = None
    pattern: str | None = None
    extra: str | None = None
    of: tuple[str, ...] = ()
    items: JsonType | None = None
    items_of: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[JsonType, ...]:
        """The JSON types allowed."""
        return (self.type,) if isinstance(self.type, str) else self.type


Fields = dict[str, Field]


class Event(Struct, frozen=True):
    """One event: its keys, the transports it is bound to (none named: all), and if it is sent."""

    fields: Fields
    transports: tuple[Transport, ...] = ()
    emit: str | None = None


class Dialect(Struct, frozen=True):
    """All a dialect has: the events of both directions and the objects they refer to."""

    server: dict[str, Event]
    client: dict[str, Event]
    objects: dict[str, Fields]

    def events(self, direction: Direction) -> dict[str, Event]:
        """The events that go in *direction*'s name."""
        return self.server if direction == "server" else self.client


@cache
def catalogue(dialect: DialectName) -> Dialect:
    """The catalogue of one dialect."""
    text = files(__package__).joinpath("catalogue.json").read_bytes()
    return msgspec.json.decode(text, type=dict[DialectName, Dialect])[dialect]
