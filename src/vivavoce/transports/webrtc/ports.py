"""UDP ports that all calls share, and the lane that each call has of one.

What arrives is told apart without a look at its contents, save for the twenty bytes of a STUN
header and the name in a STUN request:

* A STUN request names the lane: the secret fragment of a name (ufrag) that its call made up.
* A STUN answer carries the id of a request that a lane sent.
* Everything else belongs to the lane that owns the address it comes from.

An address comes to a lane in two ways. The lane *accepted* a request from it, password and all: it
may have the address if nobody else has. Or it was *proven*: an answer to a request of the lane's own
came back from there, which takes more than a forged sender. Then it is the lane's, whoever had it
before, for a caller may hang up and call again from the port it had. So neither who knows no name
nor who has a call can take the datagrams of another's.

Whatever belongs to nobody is dropped and counted. No lane can make the port remember much: addresses
and requests of a lane are few, and go with it.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol, cast

Address = tuple[str, int]

MAX_ADDRESSES = 16  # of one lane; a browser has a handful, a changing network brings a few more
BUFFER_BYTES = 4 << 20  # two seconds of some hundreds of calls, if the system grants it

_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_BYTES = 20
_NOT_STUN = 4  # the lowest first byte of what is not STUN (RFC 7983)
_USERNAME = 6
_REQUEST, _SUCCESS, _ERROR = b"\x00\x01", b"\x01\x01", b"\x01\x11"
_ANSWERS = (_SUCCESS, _ERROR)


class Listener(Protocol):
    """Whose lane it is."""

    def stun_received(self, data: bytes, source: Address) -> None:
        """A STUN message of this lane."""

    def media_received(self, data: bytes) -> None:
        """Anything else of this lane."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The lane is closed."""


class Tally:
    """What did not go its way, in datagrams."""

    def __init__(self) -> None:
        self.strays = 0  # came and belonged to nobody
        self.unsent = 0  # could not go, for the system's buffer was full


class PortTaken(Exception):  # noqa: N818 - named by what it is
    """Every port that was allowed is in use."""


def bind(host: str, ports: Iterable[int]) -> socket.socket:
    """A UDP socket on the first of *ports* that is free there (0: any).

    PortTaken when none is; OSError when the address cannot be bound at all.
    """
    six = ipaddress.ip_address(host).version == 6
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        _bind_first(sock, host, ports)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return sock


def _bind_first(sock: socket.socket, host: str, ports: Iterable[int]) -> None:
    for port in ports:
        try:
            sock.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise PortTaken


class Port(asyncio.DatagramProtocol):
    """One UDP socket of one host address. Made by `opened`; closed by `close`, and all lanes with it."""

    def __init__(self, address: Address, tally: Tally) -> None:
        self.address = address
        self.closed = False
        self._gone = asyncio.Event()
        self._tally = tally
        self._full = False
        self._transport: asyncio.DatagramTransport | None = None
        self._lanes: dict[bytes, Lane] = {}
        self._owners: dict[Address, Lane] = {}
        self._awaited: dict[bytes, Lane] = {}

    @classmethod
    async def opened(cls, sock: socket.socket, tally: Tally) -> "Port":
        """A port on a bound socket, which it takes over."""
        port = cls(sock.getsockname()[:2], tally)
        try:
            loop = asyncio.get_running_loop()
            await loop.create_datagram_endpoint(lambda: port, sock=sock)
        except BaseException:
            port.close()
            sock.close()
            raise
        return port

    @property
    def lanes(self) -> int:
        """How many calls use it."""
        return len(self._lanes)

    @property
    def remembered(self) -> int:
        """How many addresses and requests are known."""
        return len(self._owners) + len(self._awaited)

    def lane(self, name: str, listener: Listener) -> "Lane":
        """A lane for the call whose STUN requests bear that *name* (its ufrag)."""
        lane = Lane(self, name.encode(), listener)
        self._lanes[name.encode()] = lane
        return lane

    def close(self) -> None:
        """Close the socket and all lanes."""
        self.closed = True
        for lane in list(self._lanes.values()):
            lane.close()
        if self._transport is not None:
            self._transport.abort()

    async def wait_gone(self) -> None:
        """Until the number of a closed port is free for others."""
        await self._gone.wait()

    # What lanes do.

    def stray(self) -> None:
        """Count a datagram that was of no use to anybody."""
        self._tally.strays += 1

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram, or count it when the system takes no more."""
        if self._full or self._transport is None or self.closed:
            self._tally.unsent += 1
        else:
            try:
                self._transport.sendto(data, to)
            except (TypeError, ValueError):  # what is no address must not end it for all
                self._tally.unsent += 1

    def accept(self, source: Address, lane: "Lane") -> None:
        """What comes from *source* is the lane's, unless it is another's."""
        self._owners.setdefault(source, lane)

    def prove(self, source: Address, lane: "Lane") -> None:
        """What comes from *source* is the lane's."""
        self._owners[source] = lane

    @contextmanager
    def awaiting(self, transaction: bytes, lane: "Lane") -> Iterator[None]:
        """Answers to that request are the lane's."""
        self._awaited[transaction] = lane
        try:
            yield
        finally:
            self._awaited.pop(transaction, None)

    def forget(self, lane: "Lane") -> None:
        """It is closed."""
        self._lanes.pop(lane.name, None)
        for source in lane.sources:
            if self._owners.get(source) is lane:
                del self._owners[source]

    # What the socket does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        self._gone.set()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # IPv6 has four
        source: Address = addr[:2]
        if data and data[0] >= _NOT_STUN:
            owner = self._owners.get(source)
            if owner is not None:
                owner.listener.media_received(data)
                return
        elif (lane := self._called(data, source)) is not None:
            lane.listener.stun_received(data, source)
            return
        self.stray()

    def _called(self, data: bytes, source: Address) -> "Lane | None":
        """Whom a STUN message is for."""
        if len(data) < _HEADER_BYTES or data[4:8] != _COOKIE:
            return None
        kind = data[:2]
        if kind == _REQUEST:
            lane = self._lanes.get(_name(data))
            return lane if lane is not None and lane.admits(source) else None
        if kind in _ANSWERS:
            return self._awaited.get(data[8:20])
        return self._owners.get(source)


class Lane(asyncio.DatagramTransport):
    """One call's share of a port: a datagram transport that others use as well."""

    def __init__(self, port: Port, name: bytes, listener: Listener) -> None:
        super().__init__({"sockname": port.address})
        self.port = port
        self.name = name
        self.listener = listener
        self.sources: set[Address] = set()
        self._closed = False

    def sendto(self, data: Any, addr: Any = None) -> None:  # Any, as the base is loose here
        """Send a datagram; nothing when closed."""
        if self._closed:
            return
        if data[:2] == _SUCCESS and data[4:8] == _COOKIE:  # who is answered was let in
            self.sources.add(addr)
            self.port.accept(addr, self)
        self.port.send(data, addr)

    def prove(self, source: Address) -> None:
        """An answer to a request of ours came from *source*: it is ours."""
        if not self._closed:
            self.sources.add(source)
            self.port.prove(source, self)

    def awaiting(self, transaction: bytes) -> AbstractContextManager[None]:
        """The answer to that request is ours."""
        return self.port.awaiting(transaction, self)

    def admits(self, source: Address) -> bool:
        """Whether a request from *source* is worth a look."""
        return source in self.sources or len(self.sources) < MAX_ADDRESSES

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Leave the port, which knows nothing of this call any more."""
        if not self._closed:
            self._closed = True
            self.port.forget(self)
            self.listener.connection_lost(None)

    def abort(self) -> None:
        self.close()


def _name(request: bytes) -> bytes:
    """The first half of a STUN request's USERNAME, which is its receiver's; empty: there is none."""
    at = _HEADER_BYTES
    while at + 4 <= len(request):
        kind = int.from_bytes(request[at : at + 2])
        size = int.from_bytes(request[at + 2 : at + 4])
        if kind == _USERNAME:
            return request[at + 4 : at + 4 + size].partition(b":")[0]
        at += 4 + size + -size % 4
    return b""
