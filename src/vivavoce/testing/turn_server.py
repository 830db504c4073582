"""A small TURN server over UDP, TCP or TLS: enough for one caller's relayed media, and for tests.

    async with turn_server("192.0.2.7", "alice", "secret", over="udp") as server: ...

Requests have to be signed with the password. Data travels in indications and channels.
"""

import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal, cast

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, TaskGroup, UDPSocket
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

from vivavoce.testing.stun_server import (
    ERROR,
    ERROR_CODE,
    HEADER_BYTES,
    SUCCESS,
    XOR_MAPPED,
    Address,
    Message,
    local_address,
    read,
    signed,
    unxored,
    written,
    xored,
)

REALM = b"tests"
NONCE = b"once"
LIFETIME_S = 600
ALLOCATE, REFRESH, BIND = 0x0003, 0x0004, 0x0009  # what is left is a permission
SEND, DATA = 0x0016, 0x0017  # indications
_CHANNEL, _LIFETIME, _PEER, _DATA, _REALM = 0x000C, 0x000D, 0x0012, 0x0013, 0x0014
_NONCE, _RELAYED = 0x0015, 0x0016

Send = Callable[[bytes], Awaitable[None]]


class TurnServer:
    """Where it is, how many relays it holds, and what passed them."""

    def __init__(self, address: Address, username: str, password: str) -> None:
        self.address = address
        self.relays = 0
        self.relayed = 0  # datagrams, both ways
        self.deaf = False  # from when on it hears nothing any more
        secret = f"{username}:{REALM.decode()}:{password}".encode()
        self.key = hashlib.md5(secret).digest()


class _Client:
    """One caller: its relay, the peers it talks to, the channels it has for them."""

    def __init__(self, server: TurnServer, tasks: TaskGroup, source: Address, send: Send) -> None:
        self._server = server
        self._tasks = tasks
        self._source = source
        self._send = send
        self._relay: UDPSocket | None = None
        self._permitted: set[str] = set()
        self._channels: dict[int, Address] = {}

    async def hear(self, data: bytes) -> None:
        """A message or a channel's data."""
        if self._server.deaf:
            return
        if 0x40 <= data[0] <= 0x7F:
            peer = self._channels.get(int.from_bytes(data[:2]))
            if peer is not None:
                await self._out(data[4 : 4 + int.from_bytes(data[2:4])], peer)
        elif (message := read(data)) is not None:
            if message.kind == SEND:
                await self._out(message.attributes[_DATA], self._peer(message))
            else:
                await self._answer(message)

    async def leave(self) -> None:
        """Give up the relay."""
        if self._relay is not None:
            relay, self._relay = self._relay, None
            self._server.relays -= 1
            await relay.aclose()

    async def _answer(self, request: Message) -> None:
        if not signed(request, self._server.key):
            refusal = {ERROR_CODE: b"\x00\x00\x04\x01Unauthorized", _REALM: REALM, _NONCE: NONCE}
            await self._send(written(Message(request.kind | ERROR, request.transaction, refusal)))
            return
        said = await self._done(request)
        reply = Message(request.kind | SUCCESS, request.transaction, said)
        await self._send(written(reply, self._server.key))

    async def _done(self, request: Message) -> dict[int, bytes]:
        """Do what is asked; what is said of it."""
        if request.kind == ALLOCATE:
            relay = await self._opened()
            where = {
                _RELAYED: xored(relay, request.transaction),
                XOR_MAPPED: xored(self._source, request.transaction),
            }
            return where | {_LIFETIME: LIFETIME_S.to_bytes(4)}
        if request.kind == REFRESH:
            lifetime = request.attributes[_LIFETIME]
            if not any(lifetime):
                await self.leave()
            return {_LIFETIME: lifetime}
        if request.kind == BIND:
            number = int.from_bytes(request.attributes[_CHANNEL][:2])
            self._channels[number] = self._peer(request)
        self._permitted.add(self._peer(request)[0])
        return {}

    async def _opened(self) -> Address:
        if self._relay is None:
            self._relay = await anyio.create_udp_socket(local_host=self._server.address[0])
            self._server.relays += 1
            self._tasks.start_soon(self._back, self._relay)
        return local_address(self._relay)

    async def _out(self, data: bytes, peer: Address) -> None:
        if self._relay is not None and peer[0] in self._permitted:
            self._server.relayed += 1
            await self._relay.sendto(data, *peer)

    async def _back(self, relay: UDPSocket) -> None:
        """What peers say to the relay."""
        try:
            async for data, peer in relay:
                if peer[0] in self._permitted and not self._server.deaf:
                    self._server.relayed += 1
                    await self._send(self._wrapped(data, peer[:2]))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass

    def _wrapped(self, data: bytes, peer: Address) -> bytes:
        for number, bound in self._channels.items():
            if bound == peer:
                head = number.to_bytes(2) + len(data).to_bytes(2)
                return head + data + bytes(-len(data) % 4)
        transaction = bytes(12)
        said = {_PEER: xored(peer, transaction), _DATA: data}
        return written(Message(DATA, transaction, said))

    def _peer(self, message: Message) -> Address:
        return unxored(message.attributes[_PEER], message.transaction)


@asynccontextmanager
async def turn_server(
    host: str,
    username: str,
    password: str,
    *,
    over: Literal["udp", "tcp"] = "udp",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[TurnServer]:
    """Serve on a free port of *host* until the block is left."""
    door: UDPSocket | SocketListener
    if over == "udp":
        door = await anyio.create_udp_socket(local_host=host)
    else:
        listening = await anyio.create_tcp_listener(local_host=host)
        door = cast(SocketListener, listening.listeners[0])
    server = TurnServer(local_address(door), username, password)
    async with door, anyio.create_task_group() as tasks:
        if isinstance(door, UDPSocket):
            tasks.start_soon(_serve_datagrams, server, door, tasks)
        else:
            tasks.start_soon(_serve_streams, server, door, tasks, tls)
        yield server
        tasks.cancel_scope.cancel()


async def _serve_datagrams(server: TurnServer, socket: UDPSocket, tasks: TaskGroup) -> None:
    clients: dict[Address, _Client] = {}
    try:
        async for data, (host, port) in socket:
            client = clients.get((host, port))
            if client is None:
                send = partial(_send_datagram, socket, (host, port))
                client = clients[host, port] = _Client(server, tasks, (host, port), send)
            await client.hear(data)
    finally:
        await _leave(clients.values())


async def _send_datagram(socket: UDPSocket, to: Address, data: bytes) -> None:
    await socket.sendto(data, *to)


async def _serve_streams(
    server: TurnServer, listener: SocketListener, tasks: TaskGroup, tls: ssl.SSLContext | None
) -> None:
    async def serve(stream: ByteStream) -> None:
        source = cast(Address, stream.extra(SocketAttribute.remote_address)[:2])
        client = _Client(server, tasks, source, stream.send)
        try:
            async with stream:
                await _read_all(BufferedByteReceiveStream(stream), client)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            pass
        finally:
            await _leave([client])

    if tls is None:
        await listener.serve(serve)
    else:
        await TLSListener(listener, tls, standard_compatible=False).serve(serve)


async def _read_all(stream: BufferedByteReceiveStream, client: _Client) -> None:
    """Cut what comes into messages and channel data, which a stream pads to words."""
    while True:
        head = await stream.receive_exactly(4)
        size = int.from_bytes(head[2:4])
        rest = size + -size % 4 if head[0] >= 0x40 else HEADER_BYTES - 4 + size
        await client.hear(head + await stream.receive_exactly(rest))


async def _leave(clients: Iterable[_Client]) -> None:
    with anyio.CancelScope(shield=True):
        for client in clients:
            await client.leave()
