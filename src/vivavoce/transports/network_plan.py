"""What an operator says of the network of calls, read and checked; imports nothing of WebRTC."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

Scheme = Literal["stun", "turn", "turns"]
Carrier = Literal["udp", "tcp"]

_DEFAULT_PORTS: dict[Scheme, int] = {"stun": 3478, "turn": 3478, "turns": 5349}
_PORT = re.compile(r"[0-9]{1,5}")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_PLACE = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>.*))?")

_STUN_FORM = "stun:host or stun:host:port"
_TURN_FORM = (
    "turn:user:password@host:port, or turns: for TLS, with ?transport=tcp or udp if need be"
)


class IceServer(Struct, frozen=True):
    """A server that tells how we are seen from outside (STUN) or takes our part there (TURN)."""

    scheme: Scheme
    host: str
    port: int
    transport: Carrier = "udp"
    username: str | None = None
    password: str | None = None

    @property
    def url(self) -> str:
        """Its address, without who may use it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        carried = "" if self.scheme == "stun" else f"?transport={self.transport}"
        return f"{self.scheme}:{host}:{self.port}{carried}"

    def __repr__(self) -> str:
        return f"IceServer({self.url})"


class NetworkPlan(Struct, frozen=True):
    """Where the media of calls comes and goes.

    *announced*: addresses besides the machine's own at which others reach the same ports.
    *ports*: the first and the last UDP port that may be opened; None: any.
    """

    announced: tuple[str, ...] = ()
    ports: tuple[int, int] | None = None
    servers: tuple[IceServer, ...] = ()


def plan_of(announced: Sequence[str], ports: str | None, servers: Sequence[str]) -> NetworkPlan:
    """The plan in an operator's words, or ValueError that names the option and what would be right.

    A user or password may be percent-encoded, as in any URL; no message repeats them.
    """
    return NetworkPlan(
        tuple(dict.fromkeys(_address(each) for each in announced)),
        _range(ports) if ports else None,
        tuple(dict.fromkeys(_server(each.strip()) for each in servers)),
    )


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise ValueError(
            f"--rtc-address: {text!r} is no IP address; give one such as 203.0.113.7 or "
            "2001:db8::7 (names are not looked up)"
        ) from None
    if address.is_unspecified or address.is_multicast or getattr(address, "scope_id", None):
        raise ValueError(
            f"--rtc-address: nobody can send to {address}; give the address at which callers "
            "reach this machine"
        )
    return str(address)


def _range(text: str) -> tuple[int, int]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        span = _port(first), _port(last if dash else first)
    except ValueError:
        span = (1, 0)
    if span[0] > span[1]:
        raise ValueError(
            f"--rtc-ports: {text!r} is neither a port nor a range of them; give one such as 50000 "
            "or 50000-50010, from 1 to 65535"
        )
    return span


def _port(text: str) -> int:
    if _PORT.fullmatch(text) and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError("ports go from 1 to 65535")


def _server(text: str) -> IceServer:
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "stun":
            return _stun(rest)
        case "turn":
            return _turn("turn", rest)
        case "turns":
            return _turn("turns", rest)
        case "stuns":
            raise _mistake("stuns: is not supported; give", _STUN_FORM)
        case _:
            raise _mistake("that is no such server; give", f"{_STUN_FORM}, or {_TURN_FORM}")


def _stun(rest: str) -> IceServer:
    if "@" in rest or "?" in rest:
        raise _mistake("a STUN server has no user, password or transport; give", _STUN_FORM)
    host, port = _place("stun", rest, _STUN_FORM)
    return IceServer("stun", host, port)


def _turn(scheme: Scheme, rest: str) -> IceServer:
    who, at, where = rest.rpartition("@")
    user, colon, password = who.partition(":")
    if not (at and colon and user and password):
        raise _mistake("a TURN server needs user and password; give", _TURN_FORM)
    where, _, query = where.partition("?")
    carrier = _carrier(scheme, query)
    host, port = _place(scheme, where, _TURN_FORM)
    return IceServer(scheme, host, port, carrier, unquote(user), unquote(password))


def _carrier(scheme: Scheme, query: str) -> Carrier:
    match scheme, query.lower():
        case "turn", "" | "transport=udp":
            return "udp"
        case ("turn", "transport=tcp") | ("turns", "" | "transport=tcp"):
            return "tcp"
        case "turns", _:
            raise _mistake("turns: runs over TCP; leave ?transport= away or give", "?transport=tcp")
        case _:
            raise _mistake("behind the question mark give", "transport=udp or transport=tcp")


def _place(scheme: Scheme, text: str, form: str) -> tuple[str, int]:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise _mistake("host and port cannot be read; give", form)
    port = found["port"]
    try:
        number = _DEFAULT_PORTS[scheme] if port is None else _port(port)
        host = found["host"] if found["six"] is None else str(ipaddress.IPv6Address(found["six"]))
    except ValueError:
        raise _mistake("host and port cannot be read; give", form) from None
    if found["six"] is None and not _NAME.fullmatch(host):
        raise _mistake("that is no host; give", form)
    return host, number


def _mistake(words: str, right: str) -> ValueError:
    return ValueError(f"--ice-server: {words} {right}")
