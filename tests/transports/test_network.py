"""Calls through shared ports: real sockets on this machine's own addresses, plain aioice as callers."""

import inspect
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from aioice import Candidate, Connection, ice, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc import RTCIceCandidate, RTCIceGatherer, RTCIceParameters, RTCIceTransport

from vivavoce.runtime.clock import Clock
from vivavoce.server.certificates import ensure_certificates
from vivavoce.testing import virtual_time
from vivavoce.testing.stun_server import stun_server
from vivavoce.testing.turn_server import turn_server
from vivavoce.transports.network_plan import IceServer, NetworkPlan
from vivavoce.transports.webrtc.ice import (
    MAX_UNREAD,
    PATIENCE_S,
    CallConnection,
)
from vivavoce.transports.webrtc.network import Network, NetworkFault, usable
from vivavoce.transports.webrtc.ports import Address, bind

pytestmark = pytest.mark.anyio

Choice = Callable[[Candidate], bool]

LOOPBACK = "127.0.0.1"
RTP = b"\x80\x00" + bytes(30)
OURS = usable(ice.get_host_addresses(use_ipv4=True, use_ipv6=True))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers of a machine without a network call over its loopback, as we answer them."""
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: OURS)


def on(*hosts: str, plan: NetworkPlan | None = None) -> Network:
    """A network of a machine with these addresses."""
    return Network(plan or NetworkPlan(), among=lambda _: hosts)


async def candidates(network: Network) -> list[RTCIceCandidate]:
    """What a call is offered."""
    gatherer = network.gatherer()
    try:
        await gatherer.gather()
        return gatherer.getLocalCandidates()
    finally:
        await gatherer.close()


def kinds(found: Sequence[RTCIceCandidate]) -> list[str]:
    return [each.type for each in found]


def is_at(host: str, candidate: Candidate) -> bool:
    """Of that address."""
    return candidate.host == host


def is_old(candidate: Candidate) -> bool:
    """Of IPv4."""
    return ":" not in candidate.host


def any_of_them(_: Candidate) -> bool:
    """No choice at all."""
    return True


class Call:
    """Both ends of one call: ours on the network, and the caller's own."""

    def __init__(self, network: Network) -> None:
        self.gatherer = network.gatherer()
        self.transport = RTCIceTransport(self.gatherer)
        self.caller = Connection(ice_controlling=True)

    @property
    def ours(self) -> CallConnection:
        return self.gatherer._connection

    async def connect(self, ours: Choice = any_of_them, theirs: Choice = any_of_them) -> None:
        """Connect by the candidates that are chosen of either side's."""
        await self.gatherer.gather()
        await self.caller.gather_candidates()
        for each in filter(theirs, self.caller.local_candidates):
            await self.ours.add_remote_candidate(each)
        for each in filter(ours, self.ours.local_candidates):
            await self.caller.add_remote_candidate(each)
        await self.caller.add_remote_candidate(None)
        if self.ours.remote_candidates:  # else, as with many a browser, they are to be found out
            await self.ours.add_remote_candidate(None)
        named = self.gatherer.getLocalParameters()
        self.caller.remote_username = named.usernameFragment
        self.caller.remote_password = named.password
        names = RTCIceParameters(self.caller.local_username, self.caller.local_password)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.transport.start, names)
            tasks.start_soon(self.caller.connect)
        assert self.transport.state == "completed"

    async def exchange(self, word: str) -> None:
        """Say something both ways and hear it, and nothing else."""
        await self.caller.send(RTP + f"to {word}".encode())
        assert await self.ours.recv() == RTP + f"to {word}".encode()
        await self.ours.send(RTP + f"from {word}".encode())
        assert await self.caller.recv() == RTP + f"from {word}".encode()

    async def close(self) -> None:
        await self.caller.close()
        await self.gatherer.close()


@asynccontextmanager
async def calling(network: Network, count: int = 1) -> AsyncIterator[list[Call]]:
    """So many calls at once, all connected; afterwards nothing of them is left."""
    calls = [Call(network) for _ in range(count)]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(network.close)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for call in calls:
                    stack.push_async_callback(call.close)
                    tasks.start_soon(call.connect)
            yield calls


async def told_apart(calls: Sequence[Call]) -> None:
    """Each hears what is meant for it, all talking at once."""
    async with anyio.create_task_group() as tasks:
        for number, call in enumerate(calls):
            tasks.start_soon(call.exchange, f"call {number}")


async def test_two_calls_through_one_port_are_told_apart() -> None:
    network = Network(NetworkPlan())
    async with calling(network, 2) as calls:
        places = [{(c.host, c.port) for c in call.ours.local_candidates} for call in calls]

        await told_apart(calls)

        assert places[0] == places[1]


async def test_ten_calls_at_once_are_told_apart() -> None:
    async with calling(Network(NetworkPlan()), 10) as calls:
        for _ in range(5):
            await told_apart(calls)


def test_calls_are_told_apart_on_the_servers_own_loop_over_every_address() -> None:
    async def main() -> None:
        network = Network(NetworkPlan())
        with anyio.fail_after(30):
            calls = [Call(network) for _ in range(2 * len(OURS))]
            for call, host in zip(calls, OURS * 2, strict=True):
                await call.connect(ours=partial(is_at, host))
                assert {pair.local_addr[0] for pair in call.ours._nominated.values()} == {host}
            await told_apart(calls)
            for call in calls:
                await call.close()
            await network.close()

    anyio.run(main, backend_options={"use_uvloop": True})


async def test_every_address_has_a_port_of_the_same_number() -> None:
    network = Network(NetworkPlan())

    found = await candidates(network)
    await network.close()

    assert [each.ip for each in found] == OURS
    assert len({each.port for each in found}) == 1


async def test_a_call_that_ends_leaves_nothing_at_the_port() -> None:
    network = Network(NetworkPlan())
    async with calling(network, 3) as calls:
        ports = await network.ports(OURS)
        assert network.lanes == 3 * len(OURS)

        await calls[0].close()
        assert network.lanes == 2 * len(OURS)
        await told_apart(calls[1:])
        await calls[1].transport.stop()
        await calls[2].caller.close()
        await calls[2].transport.stop()

        assert (network.lanes, [port.remembered for port in ports]) == (0, [0] * len(ports))


async def test_a_call_closed_while_it_gathers_leaves_nothing() -> None:
    async with turn_server(OURS[0], "alice", "hush") as server:
        network = on(OURS[0], plan=NetworkPlan(servers=(turn_of(server.address),)))
        gatherer = network.gatherer()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gatherer.gather)
            while not network.lanes:
                await anyio.lowlevel.checkpoint()
            await gatherer.close()

        assert (network.lanes, server.relays) == (0, 0)
        await network.close()


async def test_a_call_closed_before_its_ports_are_open_has_none() -> None:
    network = on(LOOPBACK)
    gatherer = network.gatherer()
    async with network._opening, anyio.create_task_group() as tasks:
        tasks.start_soon(gatherer.gather)
        await anyio.wait_all_tasks_blocked()
        await gatherer.close()
        network._opening.release()
        await anyio.wait_all_tasks_blocked()
        await network._opening.acquire()

    assert (network.lanes, gatherer.getLocalCandidates()) == (0, [])
    await network.close()


async def test_a_closed_network_ends_its_calls_and_takes_no_more() -> None:
    network = Network(NetworkPlan())
    async with calling(network) as (call,):
        await network.close()

        with pytest.raises(ConnectionError):
            await call.ours.recv()
        with pytest.raises(NetworkFault, match="stopping"):
            await network.gatherer().gather()


async def test_a_closed_network_gives_its_ports_back_at_once() -> None:
    network = on(LOOPBACK)
    (found,) = await candidates(network)

    await network.close()

    bind(LOOPBACK, [found.port]).close()


# What strangers may try.


@asynccontextmanager
async def stranger(to: Call) -> AsyncIterator[Any]:  # Any: anyio's connected socket
    """A socket that nobody has invited, pointed at a call's port."""
    (pair,) = to.ours._nominated.values()
    host, port = pair.local_addr
    async with await anyio.create_connected_udp_socket(host, port, local_host=host) as socket:
        yield socket


async def counted(network: Network, count: int) -> None:
    """Wait for the strays to arrive."""
    with anyio.fail_after(10):
        while network.strays < count:
            await anyio.lowlevel.checkpoint()


def check_of(call: Call, name: str, password: str) -> bytes:
    """A caller's request to connect, as good as the name and the password in it."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{name}:{call.caller.local_username}"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 1
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request)


async def test_a_strangers_datagrams_are_dropped_and_counted() -> None:
    network = Network(NetworkPlan())
    async with calling(network) as (call,), stranger(call) as socket:
        for data in (RTP, check_of(call, "guessed", call.ours.local_password), b"\x00\x01"):
            await socket.send(data)
        await counted(network, 3)

        await call.exchange("nobody else")
        assert network.strays == 3


async def test_who_knows_the_name_of_a_call_but_no_password_is_not_let_in() -> None:
    network = Network(NetworkPlan())
    async with calling(network) as (call,), stranger(call) as socket:
        await socket.send(check_of(call, call.ours.local_username, "a password of another call"))
        refusal = stun.parse_message(await socket.receive())
        await socket.send(RTP)
        await counted(network, 1)

        assert refusal.error_code == 401
        await call.exchange("nobody else")


async def test_a_caller_whose_address_changes_is_heard_from_its_new_one() -> None:
    network = Network(NetworkPlan())
    async with calling(network) as (call,), stranger(call) as socket:
        named = call.ours.local_username, call.ours.local_password
        await socket.send(check_of(call, *named))
        assert stun.parse_message(await socket.receive()).message_class is stun.Class.RESPONSE

        await socket.send(RTP + b"from elsewhere")

        assert await call.ours.recv() == RTP + b"from elsewhere"


async def test_a_call_cannot_be_talked_out_of_its_caller_by_another_call() -> None:
    network = Network(NetworkPlan())
    async with calling(network, 2) as (call, thief):
        (pair,) = call.ours._nominated.values()
        forged = check_of(thief, thief.ours.local_username, thief.ours.local_password)
        for port in await network.ports(OURS):
            port.datagram_received(forged, pair.remote_addr)

        await told_apart([call, thief])


async def test_a_call_gets_its_caller_though_another_call_laid_claim_to_the_address_before() -> (
    None
):
    network = Network(NetworkPlan())
    call, thief = Call(network), Call(network)
    await thief.gatherer.gather()
    await call.caller.gather_candidates()
    forged = check_of(thief, thief.ours.local_username, thief.ours.local_password)
    for port in await network.ports(OURS):
        for each in call.caller.local_candidates:
            if is_old(each) == (":" not in port.address[0]):
                port.datagram_received(forged, (each.host, each.port))

    with anyio.fail_after(30):
        await call.connect()
        await call.exchange("the caller")

    await call.close()
    await thief.close()
    await network.close()


async def test_a_malformed_message_under_a_calls_name_is_dropped_and_counted() -> None:
    network = Network(NetworkPlan())
    async with calling(network) as (call,), stranger(call) as socket:
        good = check_of(call, call.ours.local_username, call.ours.local_password)
        at = good.index(b"\x00\x24\x00\x04")  # the priority, whose length becomes 2
        await socket.send(good[: at + 3] + b"\x02" + good[at + 4 :])
        await counted(network, 1)

        await call.exchange("nobody else")


async def test_what_nobody_reads_is_kept_up_to_a_bound() -> None:
    connection = Network(NetworkPlan()).gatherer()._connection

    for _ in range(MAX_UNREAD + 5):
        connection.data_received(RTP, 1)

    assert connection._queue.qsize() == MAX_UNREAD


def test_calls_have_long_names_and_passwords_of_their_own() -> None:
    async def main() -> None:
        network = Network(NetworkPlan())
        named = [network.gatherer().getLocalParameters() for _ in range(2)]

        assert all(len(each.usernameFragment or "") >= 16 for each in named)
        assert all(len(each.password or "") >= 22 for each in named)
        assert named[0].usernameFragment != named[1].usernameFragment
        assert named[0].password != named[1].password

    anyio.run(main)


# Addresses.


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["192.0.2.2", "fd00::2"], ["192.0.2.2", "fd00::2"]),
        (["127.0.0.2", "192.0.2.2", "::1"], ["192.0.2.2"]),
        (["fe80::1", "192.0.2.2", "192.0.2.2"], ["192.0.2.2"]),
        (["169.254.1.1"], ["169.254.1.1"]),
        (["127.0.0.2", "fe80::1"], [LOOPBACK]),
        ([], [LOOPBACK]),
    ],
)
def test_addresses_that_others_cannot_reach_are_left_out(
    addresses: list[str], found: list[str]
) -> None:
    assert usable(addresses) == found


async def test_an_announced_address_is_a_candidate_before_all_others_on_the_same_port() -> None:
    network = on(LOOPBACK, plan=NetworkPlan(announced=("203.0.113.7", "203.0.113.8")))

    found = await candidates(network)
    await network.close()

    assert [each.ip for each in found] == ["203.0.113.7", "203.0.113.8", LOOPBACK]
    assert kinds(found) == ["host"] * 3
    assert len({each.port for each in found}) == 1
    assert len({each.foundation for each in found}) == 3
    assert found[0].priority > found[1].priority > found[2].priority


async def test_an_announced_address_has_the_port_of_its_own_family() -> None:
    hosts = [LOOPBACK]
    network = Network(NetworkPlan(("203.0.113.7", "2001:db8::7")), among=lambda _: hosts)
    (port,) = await network.ports([])
    hosts.append("::1")
    with bind("::1", [port.address[1]]):  # so that the numbers differ
        found = {each.ip: each.port for each in await candidates(network)}
    await network.close()

    assert found["203.0.113.7"] == found[LOOPBACK]
    assert found["2001:db8::7"] == found["::1"]
    assert found[LOOPBACK] != found["::1"]


async def test_an_announced_address_of_a_family_that_the_machine_lacks_has_the_ports_there_are() -> (
    None
):
    network = on(LOOPBACK, plan=NetworkPlan(announced=("2001:db8::7",)))

    found = await candidates(network)
    await network.close()

    assert [each.ip for each in found] == ["2001:db8::7", LOOPBACK]
    assert found[0].port == found[1].port


async def test_an_announced_address_that_is_the_machines_own_is_said_once() -> None:
    network = on(LOOPBACK, "127.0.0.2", plan=NetworkPlan(announced=("127.0.0.2",)))

    found = await candidates(network)
    await network.close()

    assert [each.ip for each in found] == ["127.0.0.2", LOOPBACK]


@asynccontextmanager
async def forwarding(outside: Address, inside: Address) -> AsyncIterator[None]:
    """A router that has one port forwarded: what one caller sends to *outside* comes in there."""
    async with (
        await anyio.create_udp_socket(local_host=outside[0], local_port=outside[1]) as out,
        await anyio.create_connected_udp_socket(*inside, local_host=outside[0]) as within,
        anyio.create_task_group() as tasks,
    ):
        caller: list[Address] = []

        async def inwards() -> None:
            async for data, source in out:
                caller[:] = [source]
                await within.send(data)

        async def outwards() -> None:
            async for data in within:
                await out.sendto(data, *caller[0])

        tasks.start_soon(inwards)
        tasks.start_soon(outwards)
        yield
        tasks.cancel_scope.cancel()


async def test_a_call_to_an_announced_address_gets_through_where_the_port_is_forwarded() -> None:
    outside = "127.0.0.2"
    network = on(LOOPBACK, plan=NetworkPlan(announced=(outside,)))
    (port,) = await network.ports([])
    number = port.address[1]
    call = Call(network)
    async with forwarding((outside, number), (LOOPBACK, number)):
        with anyio.fail_after(30):
            await call.connect(ours=partial(is_at, outside), theirs=lambda _: False)
            await call.exchange("the router")

    (pair,) = call.caller._nominated.values()
    assert pair.remote_addr == (outside, number)
    await call.close()
    await network.close()


async def test_an_address_that_cannot_be_bound_is_left_out() -> None:
    network = on("203.0.113.99", LOOPBACK)

    found = await candidates(network)
    await network.close()

    assert [each.ip for each in found] == [LOOPBACK]


async def test_with_no_address_that_can_be_bound_there_is_no_call() -> None:
    with pytest.raises(NetworkFault, match=r"on 203\.0\.113\.99: .*--rtc-ports"):
        await candidates(on("203.0.113.99"))


async def test_an_address_that_came_or_went_is_noticed_at_the_next_call() -> None:
    hosts = [LOOPBACK]
    network = Network(NetworkPlan(), among=lambda _: hosts)
    before = await candidates(network)

    hosts[:] = [LOOPBACK, "127.0.0.2"]
    between = await candidates(network)
    hosts[:] = ["127.0.0.2"]
    after = await candidates(network)

    assert [[each.ip for each in found] for found in (before, between, after)] == [
        [LOOPBACK],
        [LOOPBACK, "127.0.0.2"],
        ["127.0.0.2"],
    ]
    assert between[0].port == before[0].port
    bind(LOOPBACK, [before[0].port]).close()  # given back, as no call was left there
    await network.close()


async def test_a_port_that_broke_is_opened_anew_for_the_next_call() -> None:
    network = on(LOOPBACK)
    (port,) = await network.ports([])
    port.connection_lost(None)

    (found,) = await candidates(network)
    (again,) = await network.ports([])
    await network.close()

    assert (found.ip, found.port) == again.address
    assert again is not port


async def test_a_port_whose_address_went_stays_as_long_as_a_call_is_there() -> None:
    hosts = list(OURS)
    network = Network(NetworkPlan(), among=lambda _: hosts)
    async with calling(network) as calls:
        hosts[:] = ["127.0.0.2"]
        await candidates(network)

        await told_apart(calls)


# Ports.


async def test_ports_of_the_range_that_are_taken_are_passed_over() -> None:
    with bind(LOOPBACK, [0]) as taken:
        first = taken.getsockname()[1]
        network = on(LOOPBACK, plan=NetworkPlan(ports=(first, 65535)))
        (found,) = await candidates(network)
        await network.close()

    assert first < found.port


async def test_a_range_with_no_port_left_is_a_fault_that_names_the_option() -> None:
    with bind(LOOPBACK, [0]) as taken:
        port = taken.getsockname()[1]
        network = on(LOOPBACK, plan=NetworkPlan(ports=(port, port)))

        with pytest.raises(NetworkFault, match=f"from {port} to {port} is free .*--rtc-ports"):
            await candidates(network)

    (found,) = await candidates(network)  # free by now
    await network.close()
    assert found.port == port


# Servers.


def stun_of(address: Address) -> IceServer:
    return IceServer("stun", *address)


def turn_of(
    address: Address, scheme: Literal["turn", "turns"] = "turn", over: Literal["udp", "tcp"] = "udp"
) -> IceServer:
    return IceServer(scheme, *address, over, "alice", "hush")


async def test_without_servers_there_are_host_candidates_alone() -> None:
    network = Network(NetworkPlan())

    found = await candidates(network)
    await network.close()

    assert set(kinds(found)) == {"host"}


async def test_a_stun_server_tells_how_the_port_is_seen() -> None:
    async with stun_server(LOOPBACK, seen_as=("203.0.113.7", 4711)) as server:
        network = on(LOOPBACK, plan=NetworkPlan(servers=(stun_of(server.address),)))

        host, seen = await candidates(network)
        await network.close()

    assert (seen.type, seen.ip, seen.port) == ("srflx", "203.0.113.7", 4711)
    assert (seen.relatedAddress, seen.relatedPort) == (host.ip, host.port)
    assert server.asked == [(host.ip, host.port)]
    assert host.priority > seen.priority


async def test_a_stun_server_is_found_by_its_name() -> None:
    async with stun_server(LOOPBACK, seen_as=("203.0.113.7", 4711)) as server:
        named = IceServer("stun", "localhost", server.address[1])
        network = on(LOOPBACK, plan=NetworkPlan(servers=(named,)))

        found = await candidates(network)
        await network.close()

    assert [each.ip for each in found] == [LOOPBACK, "203.0.113.7"]


async def test_a_stun_server_is_asked_from_ports_of_its_own_family_alone() -> None:
    async with stun_server("::1", seen_as=("2001:db8::7", 4711)) as server:
        network = on(LOOPBACK, "::1", plan=NetworkPlan(servers=(stun_of(server.address),)))

        found = await candidates(network)
        await network.close()

    assert [each.ip for each in found] == [LOOPBACK, "::1", "2001:db8::7"]
    assert found[2].relatedAddress == "::1"


def test_a_stun_server_that_no_port_of_ours_can_reach_is_not_waited_for() -> None:
    async def main() -> None:
        network = on(LOOPBACK, plan=NetworkPlan(servers=(stun_of(("::1", 9)),)))

        assert kinds(await candidates(network)) == ["host"]
        assert anyio.current_time() == 0
        await network.close()

    virtual_time.run(main)


async def test_what_a_stun_server_sees_is_not_said_twice() -> None:
    async with stun_server(LOOPBACK) as one, stun_server(LOOPBACK) as two:
        servers = (stun_of(one.address), stun_of(two.address))
        network = on(LOOPBACK, plan=NetworkPlan(servers=servers))

        found = await candidates(network)
        await network.close()

    assert kinds(found) == ["host"]
    assert (len(one.asked), len(two.asked)) == (1, 1)


@pytest.mark.parametrize(
    ("scheme", "seconds"), [("stun", 1), ("turn", 2)], ids=["a second of stun", "two of turn"]
)
def test_a_silent_server_costs_no_more_than_our_patience_and_is_left_out(
    scheme: Literal["stun", "turn"], seconds: int
) -> None:
    async def main() -> None:
        with bind(LOOPBACK, [0]) as silent:
            host, port = silent.getsockname()
            server = IceServer(scheme, host, port, "udp", "alice", "hush")
            network = on(LOOPBACK, plan=NetworkPlan(servers=(server,)))

            found = await candidates(network)

            assert anyio.current_time() == PATIENCE_S[scheme] == seconds
            assert kinds(found) == ["host"]
            assert stun.parse_message(silent.recv(2000)).message_class is stun.Class.REQUEST
            await network.close()

    virtual_time.run(main)


async def relayed_call(
    host: str,
    scheme: Literal["turn", "turns"],
    over: Literal["udp", "tcp"],
    tls: ssl.SSLContext | None = None,
) -> None:
    """A call through our relay alone; afterwards the relay is given back."""
    async with turn_server(host, "alice", "hush", over=over, tls=tls) as relay:
        # The hosts have no family in common, so there is no way around the relay.
        network = on("::1", plan=NetworkPlan(servers=(turn_of(relay.address, scheme, over),)))
        call = Call(network)
        with anyio.fail_after(30):
            await call.connect(ours=lambda each: each.type == "relay", theirs=is_old)
            before = relay.relayed
            await call.exchange("the relay")
            found = call.gatherer.getLocalCandidates()
            assert (kinds(found), relay.relays) == (["host", "relay"], 1)
            assert relay.relayed > before
            await call.close()
            while relay.relays:
                await anyio.lowlevel.checkpoint()
            await network.close()


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_a_turn_server_takes_our_part(over: Literal["udp", "tcp"]) -> None:
    await relayed_call(LOOPBACK, "turn", over)


async def test_a_turn_server_takes_our_part_over_tls_if_its_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ensure_certificates(tmp_path, Clock().wall())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert_file, made.key_file)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority_file))

    await relayed_call(LOOPBACK, "turns", "tcp", context)


async def test_a_turn_server_that_refuses_us_is_left_out() -> None:
    async with turn_server(LOOPBACK, "alice", "another password") as server:
        network = on(LOOPBACK, plan=NetworkPlan(servers=(turn_of(server.address),)))

        found = await candidates(network)
        await network.close()

    assert (kinds(found), server.relays) == (["host"], 0)


async def test_a_turn_server_that_fell_silent_does_not_hold_up_the_end_of_a_call() -> None:
    async with turn_server(LOOPBACK, "alice", "hush") as server:
        network = on(LOOPBACK, plan=NetworkPlan(servers=(turn_of(server.address),)))
        gatherer = network.gatherer()
        await gatherer.gather()
        server.deaf = True

        with anyio.fail_after(20):  # aioice would ask it for longer
            await gatherer.close()

        assert network.lanes == 0
        await network.close()


# What we rest on.


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


async def test_aioice_and_aiortc_are_as_we_bend_them() -> None:
    plain = Connection(ice_controlling=False)
    assert type(plain._protocols) is list
    assert plain._queue.qsize() == 0
    assert isinstance(RTCIceGatherer(iceServers=[])._connection, Connection)
    assert "gatherer._connection" in inspect.getsource(RTCIceTransport.__init__)
    for used in ("self.get_component_candidates(", "self._local_candidates +="):
        assert used in inspect.getsource(Connection.gather_candidates)
    assert "in self._protocols" in inspect.getsource(Connection.close)
    assert "self._queue.put_nowait" in inspect.getsource(Connection.data_received)
    assert "self._queue.get" in inspect.getsource(Connection.recvfrom)
    assert parameters(Connection.get_component_candidates) == [
        "self",
        "component",
        "addresses",
        "timeout",
    ]
    assert parameters(Connection.check_complete) == ["self", "pair"]
    assert parameters(Connection.data_received) == ["self", "data", "component"]
    assert parameters(ice.StunProtocol) == ["receiver"]
    assert parameters(ice.StunProtocol.request) == [
        "self",
        "request",
        "addr",
        "integrity_key",
        "retransmissions",
    ]
    assert parameters(ice.relayed_candidate) == [
        "component",
        "hide_related_address",
        "protocol_factory",
        "turn_server",
        "turn_username",
        "turn_password",
        "turn_ssl",
        "turn_transport",
    ]
    assert parameters(candidate_foundation) == [
        "candidate_type",
        "candidate_transport",
        "base_address",
    ]
    assert parameters(candidate_priority) == ["candidate_component", "candidate_type", "local_pref"]
    assert {"protocol", "state", "remote_addr"} <= set(dir(pair_of_nothing()))


def pair_of_nothing() -> ice.CandidatePair:
    """A pair, to look at."""
    protocol = ice.StunProtocol(Connection(ice_controlling=False))
    return ice.CandidatePair(protocol, Candidate.from_sdp("1 1 udp 1 192.0.2.7 9 typ host"))


async def test_no_name_of_ours_is_one_of_the_librarys() -> None:
    ours, plain = Network(NetworkPlan()).gatherer(), Connection(ice_controlling=False)
    overridden = {"get_component_candidates", "check_complete", "data_received", "close"}

    methods = {name for name in vars(CallConnection) if not name.startswith("__")}

    assert methods & set(dir(plain)) == overridden
    assert set(vars(ours._connection)) - set(vars(plain)) == {"_plan", "_ports", "_left"}
    assert not hasattr(RTCIceGatherer, "close")
    assert not {"lane", "stun_received", "media_received"} & set(dir(ice.StunProtocol))
