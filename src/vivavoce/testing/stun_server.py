"""A small STUN server, and the messages it and a TURN server write: by the RFCs, without a library.

async with stun_server("192.0.2.7") as server: ...  # server.address, server.asked
"""

import hmac
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import anyio
from anyio import TypedAttributeProvider
from anyio.abc import SocketAttribute
from msgspec import Struct

Address = tuple[str, int]

COOKIE = b"\x21\x12\xa4\x42"
HEADER_BYTES = 20
BINDING = 0x0001
SUCCESS, ERROR = 0x0100, 0x0110  # added to a request's kind
INTEGRITY, ERROR_CODE, XOR_MAPPED = 0x0008, 0x0009, 0x0020
INTEGRITY_BYTES = 24


class Message(Struct, frozen=True):
    """A STUN message: its kind, the id of its transaction, its attributes by their numbers."""

    kind: int
    transaction: bytes
    attributes: Mapping[int, bytes] = {}


def read(data: bytes) -> Message | None:
    """A message, or None if it is none."""
    if len(data) < HEADER_BYTES or data[4:8] != COOKIE:
        return None
    attributes: dict[int, bytes] = {}
    at = HEADER_BYTES
    while at + 4 <= len(data):
        size = int.from_bytes(data[at + 2 : at + 4])
        attributes.setdefault(int.from_bytes(data[at : at + 2]), data[at + 4 : at + 4 + size])
        at += 4 + size + -size % 4
    return Message(int.from_bytes(data[:2]), data[8:20], attributes)


def written(message: Message, key: bytes | None = None) -> bytes:
    """A message as bytes, signed if there is a key."""
    body = b"".join(_attribute(*each) for each in message.attributes.items())
    if key is None:
        return _headed(message, len(body)) + body
    covered = _headed(message, len(body) + INTEGRITY_BYTES) + body
    return covered + _attribute(INTEGRITY, hmac.digest(key, covered, "sha1"))


def signed(message: Message, key: bytes) -> bool:
    """Whether a message that was read bears the signature of that key."""
    before: dict[int, bytes] = {}
    for number, value in message.attributes.items():
        if number == INTEGRITY:
            again = written(Message(message.kind, message.transaction, before), key)
            return hmac.compare_digest(again[-20:], value)
        before[number] = value
    return False


def xored(address: Address, transaction: bytes) -> bytes:
    """An address as an attribute holds it."""
    packed = ipaddress.ip_address(address[0]).packed
    plain = address[1].to_bytes(2) + packed
    family = b"\x00\x01" if len(packed) == 4 else b"\x00\x02"
    return family + _mixed(plain, transaction)


def unxored(value: bytes, transaction: bytes) -> Address:
    """The address in an attribute."""
    plain = _mixed(value[2:], transaction)
    return str(ipaddress.ip_address(plain[2:])), int.from_bytes(plain[:2])


def local_address(socket: TypedAttributeProvider) -> Address:
    """Where a socket is."""
    return cast(Address, socket.extra(SocketAttribute.local_address)[:2])


class StunServer:
    """Where it is and who asked it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.asked: list[Address] = []


@asynccontextmanager
async def stun_server(
    host: str, *, seen_as: Address | None = None, silent: bool = False
) -> AsyncIterator[StunServer]:
    """Tell whoever asks where they are, or that they are *seen_as*; *silent*: hear and say nothing."""
    async with (
        await anyio.create_udp_socket(local_host=host) as socket,
        anyio.create_task_group() as tasks,
    ):
        server = StunServer(local_address(socket))

        async def answer() -> None:
            async for data, source in socket:
                message = read(data)
                if message is None or message.kind != BINDING:
                    continue
                server.asked.append(source[:2])
                if not silent:
                    seen = xored(seen_as or source[:2], message.transaction)
                    reply = Message(BINDING | SUCCESS, message.transaction, {XOR_MAPPED: seen})
                    await socket.sendto(written(reply), *source[:2])

        tasks.start_soon(answer)
        yield server
        tasks.cancel_scope.cancel()


def _headed(message: Message, size: int) -> bytes:
    return message.kind.to_bytes(2) + size.to_bytes(2) + COOKIE + message.transaction


def _attribute(number: int, value: bytes) -> bytes:
    return number.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)


def _mixed(plain: bytes, transaction: bytes) -> bytes:
    port = zip(plain[:2], COOKIE[:2], strict=True)
    host = zip(plain[2:], COOKIE + transaction, strict=False)
    return bytes(a ^ b for a, b in [*port, *host])
