"""A bad network: a UDP relay between a caller and the server that loses and delays what it carries."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import cast

CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*\r\n")
ANY_CANDIDATE = re.compile(r"a=(candidate:.*|end-of-candidates)\r\n")

Address = tuple[str, int]


def without_candidates(sdp: str) -> str:
    """A description of somebody whose addresses nobody is told."""
    return ANY_CANDIDATE.sub("", sdp)


class _Side(asyncio.DatagramProtocol):
    """One of the two sockets of a relay. What comes in goes out at the other."""

    transport: asyncio.DatagramTransport

    def __init__(self, relay: "Relay", known: Address | None) -> None:
        self.known = known  # who is at this side
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.known = self.known or addr
        self._relay.carry(self, data)


class Relay:
    """Loses the share *loss* of the datagrams, and delays each of the others by up to *jitter_s*."""

    def __init__(self, loss: float, jitter_s: float, seed: int = 1) -> None:
        self.carried = 0
        self.lost = 0
        self._loss = loss
        self._jitter_s = jitter_s
        self._dice = Random(seed)
        self._sides: list[_Side] = []
        self._server: Address | None = None

    async def open(self, host: str) -> None:
        """Open the two sockets at one of the machine's addresses."""
        loop = asyncio.get_running_loop()
        for _ in range(2):
            _, side = await loop.create_datagram_endpoint(
                lambda: _Side(self, None), local_addr=(host, 0)
            )
            self._sides.append(side)

    def between(self, answer: str) -> str:
        """The answer as if the server were here."""
        found = CANDIDATE.search(answer)
        assert found is not None, answer
        caller, server = self._sides
        server.known = (found[1], int(found[2]))
        host, port = caller.transport.get_extra_info("sockname")
        here = f"a=candidate:1 1 udp 2122317823 {host} {port} typ host\r\na=end-of-candidates\r\n"
        bare = without_candidates(answer)
        return re.sub(r"(a=ice-ufrag:)", here.replace("\\", "") + r"\1", bare)

    def carry(self, side: _Side, data: bytes) -> None:
        """Pass one datagram on, or not."""
        other = self._sides[1 - self._sides.index(side)]
        self.carried += 1
        if self._dice.random() < self._loss:
            self.lost += 1
            return
        delay = self._dice.random() * self._jitter_s
        asyncio.get_running_loop().call_later(delay, self._send, other, data)

    def _send(self, side: _Side, data: bytes) -> None:
        if side.known is not None and not side.transport.is_closing():
            side.transport.sendto(data, side.known)

    def close(self) -> None:
        """Carry nothing more."""
        for side in self._sides:
            side.transport.close()


@asynccontextmanager
async def relaying(host: str, *, loss: float, jitter_s: float) -> AsyncIterator[Relay]:
    """A relay at an address of this machine."""
    relay = Relay(loss, jitter_s)
    await relay.open(host)
    try:
        yield relay
    finally:
        relay.close()
