"""Checks of wire frames for tests: against the catalogue, and against the official types."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from vivavoce.conformance.catalogue import DialectName, Direction, Transport
from vivavoce.conformance.validator import faults

if TYPE_CHECKING:
    from openai.types.realtime import RealtimeServerEvent

Frame = dict[str, Any]  # what JSON decodes to


def decoded(frame: str | bytes | Mapping[str, Any]) -> Frame:
    """A frame as an object; text that is not a JSON object raises."""
    if isinstance(frame, str | bytes):
        return msgspec.json.decode(frame, type=Frame)
    return dict(frame)


def check_frames(
    frames: Iterable[str | bytes | Mapping[str, Any]],
    dialect: DialectName,
    direction: Direction = "server",
    *,
    strict_emit: bool = True,
    transport: Transport | None = None,
) -> list[Frame]:
    """Return the frames decoded; raise AssertionError with every fault of every frame."""
    seen = [decoded(frame) for frame in frames]
    found = [
        f"frame {index}, {frame.get('type')}: {fault}"
        for index, frame in enumerate(seen)
        for fault in faults(frame, dialect, direction, strict_emit=strict_emit, transport=transport)
    ]
    assert not found, "\n".join(found)
    return seen


def official(frame: Mapping[str, Any]) -> "RealtimeServerEvent":
    """A GA server event as the official client parses it; raises where its types refuse."""
    adapters = _adapters()
    kind = frame["type"]
    assert kind in adapters, f"the official types have no server event {kind!r}"
    event: RealtimeServerEvent = adapters[kind].validate_json(
        msgspec.json.encode(frame), strict=True
    )
    return event


@cache
def _adapters() -> dict[str, Any]:  # Any: pydantic is no dependency of this package
    """A validator for each event type: the union as a whole reports the faults of all members."""
    from openai.types.realtime import RealtimeServerEvent
    from pydantic import TypeAdapter

    union = get_args(RealtimeServerEvent)[0]
    models = get_args(union)
    return {get_args(m.model_fields["type"].annotation)[0]: TypeAdapter(m) for m in models}
