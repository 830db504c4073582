"""A small client of any realtime server, for the commands that talk to one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from vivavoce.cli.address import Address
from vivavoce.cli.knock import OPENING_S, Phone, knocked
from vivavoce.conformance.knock import HungUp, Knock

Json = dict[str, Any]  # one event of the protocol, as it is on the wire


class Call:
    """An open session, from its client's side."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    async def say(self, event: Json) -> None:
        """Send one event."""
        await self.say_encoded(msgspec.json.encode(event).decode())

    async def say_encoded(self, frame: str) -> None:
        """Send one event that is JSON already; to a server that hung up, nothing."""
        with suppress(HungUp):
            await self._phone.say(frame)

    async def heard(self) -> AsyncIterator[Json]:
        """Every event of the server, until either side hangs up."""
        async for frame in self._phone.frames():
            yield msgspec.json.decode(frame, type=Json)

    def frames(self) -> AsyncIterator[str | bytes]:
        """The same, not decoded."""
        return self._phone.frames()

    @property
    def farewell(self) -> str:
        """With what code and reason it was closed."""
        return self._phone.farewell


@asynccontextmanager
async def call(address: Address) -> AsyncIterator[Call]:
    """Open a session and close it again; NoSession says why there is none, and what to do."""
    async with knocked(address, Knock(), OPENING_S) as phone:
        yield Call(phone)
