"""ICE for one call, as aioice does it, over lanes of shared ports in place of sockets of its own.

Here alone aioice and aiortc are bent, and a test names what that rests on:

* `aioice.Connection._protocols`: the transports of a connection; `close` closes them.
* `aioice.Connection._queue`: what was received and not read yet, which has no bound of its own.
* `aiortc.RTCIceGatherer._connection`: what `RTCIceTransport` talks through.
* Without an underscore, but in no documentation: `Connection.get_component_candidates`,
  `check_complete`, `data_received`; `StunProtocol` with `request`, `local_candidate`, `transport`;
  `CandidatePair`, `relayed_candidate`, `candidate_foundation`, `candidate_priority`.
"""

import asyncio
import ipaddress
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

import anyio
import structlog
from aioice import Candidate, Connection, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol, relayed_candidate
from aiortc import RTCIceGatherer

from vivavoce.transports.network_plan import IceServer, NetworkPlan
from vivavoce.transports.webrtc.ports import Address, Lane, Port

log = structlog.get_logger(__name__)

PATIENCE_S = {"stun": 1.0, "turn": 2.0, "turns": 2.0}  # TURN takes several trips, TLS some more
RELEASE_S = 0.5  # for a TURN server to hear that we leave
MAX_UNREAD = 1000  # datagrams: 20 s of a call's sound
COMPONENT = 1  # sound, pictures and data share one

_NO_ANSWER = (OSError, stun.TransactionError, LookupError, ValueError)
_CUT_SHORT = (LookupError, ValueError, struct.error)  # what aioice trips over

Ports = Callable[[Sequence[str]], Awaitable[list[Port]]]


class CallGatherer(RTCIceGatherer):
    """The local end of one call. Whoever has it closes it, or the transport that was made of it."""

    _connection: "CallConnection"

    def __init__(self, plan: NetworkPlan, ports: Ports) -> None:
        # The name is what tells calls apart and must not be guessed; the password never leaves.
        name, password = secrets.token_hex(10), secrets.token_hex(16)
        super().__init__(iceServers=[], local_username=name, local_password=password)
        self._connection = CallConnection(plan, ports, name, password)

    async def close(self) -> None:
        """Leave all ports and relays."""
        await self._connection.close()


class CallConnection(Connection):
    """A connection on lanes of the ports that *ports* gives for the addresses of this machine."""

    def __init__(self, plan: NetworkPlan, ports: Ports, name: str, password: str) -> None:
        super().__init__(ice_controlling=False, local_username=name, local_password=password)
        self._plan = plan
        self._ports = ports
        self._left = False

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 - aioice has it; ours are in PATIENCE_S
    ) -> list[Candidate]:
        """Announced addresses, then hosts, then what servers say in the time they have."""
        ports = await self._ports(addresses)
        if self._left:
            return []
        ears = [self._listen(port, place) for place, port in enumerate(ports)]
        found = [*self._announced(ports), *(ear.local_candidate for ear in ears)]
        async with anyio.create_task_group() as asking:
            for server in self._plan.servers:
                ask = partial(self._ask, server, found)
                if server.scheme == "stun":
                    for ear in ears:
                        asking.start_soon(ask, partial(self._reflexive, server, ear))
                else:
                    asking.start_soon(ask, partial(self._relayed, server))
        return _distinct(found)

    def _listen(self, port: Port, place: int) -> "Ear":
        """A lane of that port."""
        ear = Ear(self)
        ear.connection_made(port.lane(self.local_username, ear))
        ear.local_candidate = _host(port.address, 32767 - place)
        self._protocols.append(ear)
        return ear

    def _announced(self, ports: Sequence[Port]) -> list[Candidate]:
        """The same ports at the addresses outside; of the other family if ours has none."""
        found = []
        for place, address in enumerate(self._plan.announced):
            version = ipaddress.ip_address(address).version
            same = [port for port in ports if _version(port.address) == version]
            numbers = dict.fromkeys(port.address[1] for port in same or ports)
            found += [_host((address, number), 65535 - place) for number in numbers]
        return found

    async def _ask(
        self,
        server: IceServer,
        found: list[Candidate],
        question: Callable[[], Awaitable[Candidate | None]],
    ) -> None:
        """Add what a server says, if it says it in time."""
        trouble = "it does not answer"
        with anyio.move_on_after(PATIENCE_S[server.scheme]):
            try:
                candidate = await question()
            except _NO_ANSWER as error:
                trouble = str(error)
            else:
                found += [candidate] if candidate is not None else []
                return
        log.warning("ice server left out", server=server.url, reason=trouble)

    async def _reflexive(self, server: IceServer, ear: "Ear") -> Candidate | None:
        """How a STUN server sees the port; None where it cannot be reached from."""
        base = ear.local_candidate
        address = await _resolved(server, ipaddress.ip_address(base.host).version)
        if address is None:
            return None
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        response, _ = await ear.request(request, address)
        host, number = response.attributes["XOR-MAPPED-ADDRESS"]
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", base.host),
            component=COMPONENT,
            transport="udp",
            priority=candidate_priority(COMPONENT, "srflx"),
            host=host,
            port=number,
            type="srflx",
            related_address=base.host,
            related_port=base.port,
        )

    async def _relayed(self, server: IceServer) -> Candidate:
        """An address on a TURN server."""
        candidate, protocol = await relayed_candidate(
            component=COMPONENT,
            hide_related_address=False,
            protocol_factory=lambda: RelayEar(self),
            turn_server=(server.host, server.port),
            turn_username=server.username,
            turn_password=server.password,
            turn_ssl=server.scheme == "turns",
            turn_transport=server.transport,
        )
        self._protocols.append(protocol)
        if self._left:
            await protocol.close()
        return candidate

    def check_complete(self, pair: CandidatePair) -> None:
        """A check has its answer: if it is good, the address is proven to be this call's."""
        lane = pair.protocol.transport
        if pair.state is CandidatePair.State.SUCCEEDED and isinstance(lane, Lane):
            lane.prove(pair.remote_addr)
        super().check_complete(pair)

    def data_received(self, data: bytes, component: int) -> None:
        """Keep a datagram to be read, unless nobody reads."""
        if self._queue.qsize() < MAX_UNREAD:
            super().data_received(data, component)

    async def close(self) -> None:
        """Leave, for good even in the middle of gathering."""
        self._left = True
        await super().close()


class Ear(StunProtocol):
    """What a connection hears on one lane."""

    receiver: CallConnection

    @property
    def lane(self) -> Lane:
        """Where it hears it."""
        return cast(Lane, self.transport)

    def stun_received(self, data: bytes, source: Address) -> None:
        """A STUN message of this call; what is malformed goes no further."""
        try:
            self.datagram_received(data, source)
        except _CUT_SHORT:
            self.lane.port.stray()

    def media_received(self, data: bytes) -> None:
        """Anything else of this call."""
        self.receiver.data_received(data, COMPONENT)

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        """Ask, with the answer finding the way to this lane."""
        with self.lane.awaiting(request.transaction_id):
            return await super().request(request, addr, integrity_key, retransmissions)


class RelayEar(StunProtocol):
    """What a connection hears through a TURN server."""

    async def close(self) -> None:
        """Give the relay back; a server that is silent does not hold us up.

        aioice would ask it for half a minute, and still does, with nobody waiting.
        """
        with anyio.move_on_after(RELEASE_S):
            await super().close()


def _host(address: Address, preference: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", address[0]),
        component=COMPONENT,
        transport="udp",
        priority=candidate_priority(COMPONENT, "host", preference),
        host=address[0],
        port=address[1],
        type="host",
    )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The best of those that name the same place, best first."""
    best: dict[Address, Candidate] = {}
    for each in sorted(candidates, key=lambda each: -each.priority):
        best.setdefault((each.host, each.port), each)
    return list(best.values())


def _version(address: Address) -> int:
    return ipaddress.ip_address(address[0]).version


async def _resolved(server: IceServer, version: int) -> Address | None:
    """The server's first address of that version."""
    try:
        literal = ipaddress.ip_address(server.host)
    except ValueError:
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        loop = asyncio.get_running_loop()
        kind = socket.SOCK_DGRAM
        answers = await loop.getaddrinfo(server.host, server.port, family=family, type=kind)
        return str(answers[0][4][0]), server.port
    return (str(literal), server.port) if literal.version == version else None
