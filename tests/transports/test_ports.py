"""Whose a datagram is, without a network: what a port takes in and what it would send."""

import asyncio
import socket
import struct
from typing import cast

import pytest

from vivavoce.testing.stun_server import BINDING, ERROR, SUCCESS, Message, written
from vivavoce.transports.webrtc.ports import (
    MAX_ADDRESSES,
    Address,
    Lane,
    Port,
    PortTaken,
    Tally,
    bind,
)

pytestmark = pytest.mark.anyio

HERE: Address = ("192.0.2.1", 5000)
ALICE: Address = ("198.51.100.1", 40001)
BOB: Address = ("198.51.100.2", 40002)
RTP = b"\x80" + bytes(30)
USERNAME = 0x0006


class Ear:
    """What one call heard, in order."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.lost = 0

    def stun_received(self, data: bytes, source: Address) -> None:
        self.heard.append(data)

    def media_received(self, data: bytes) -> None:
        self.heard.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


class Wire:
    """A port's socket that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []

    def sendto(self, data: bytes, to: Address) -> None:
        self.sent.append((data, to))

    def abort(self) -> None:
        pass


class Scene:
    """A port and the calls on it, by their names."""

    def __init__(self, *names: str) -> None:
        self.tally = Tally()
        self.wire = Wire()
        self.port = Port(HERE, self.tally)
        self.port.connection_made(cast(asyncio.DatagramTransport, self.wire))
        self.ears = {name: Ear() for name in names}
        self.lanes: dict[str, Lane] = {
            name: self.port.lane(name, ear) for name, ear in self.ears.items()
        }

    def heard(self, name: str) -> list[bytes]:
        return self.ears[name].heard

    def arrives(self, data: bytes, source: Address) -> None:
        self.port.datagram_received(data, source)


def request(name: str, number: int = 0) -> bytes:
    said = {0x0024: bytes(3), USERNAME: f"{name}:theirs".encode()}
    return written(Message(BINDING, struct.pack("!3I", 0, 0, number), said))


def answer(number: int = 0, kind: int = SUCCESS) -> bytes:
    return written(Message(BINDING | kind, struct.pack("!3I", 0, 0, number)))


def test_a_request_goes_to_the_call_that_it_names() -> None:
    scene = Scene("one", "two")

    scene.arrives(request("two"), ALICE)

    assert (scene.heard("one"), scene.heard("two")) == ([], [request("two")])


@pytest.mark.parametrize("name", ["three", "on", "", "one:", "ONE"])
def test_a_request_that_names_nobody_is_dropped_and_counted(name: str) -> None:
    scene = Scene("one")

    scene.arrives(request(name) if name != "one:" else request("x:one"), ALICE)

    assert (scene.heard("one"), scene.tally.strays) == ([], 1)


@pytest.mark.parametrize("kind", [SUCCESS, ERROR])
def test_an_answer_goes_to_the_call_that_asked_as_long_as_it_asks(kind: int) -> None:
    scene = Scene("one", "two")

    with scene.lanes["two"].awaiting(answer(7)[8:20]):
        scene.arrives(answer(7, kind), BOB)
        scene.arrives(answer(8, kind), BOB)
    scene.arrives(answer(7, kind), BOB)

    assert (scene.heard("one"), scene.heard("two")) == ([], [answer(7, kind)])
    assert scene.tally.strays == 2
    assert scene.port.remembered == 0


def test_media_goes_to_the_call_that_accepted_its_sender() -> None:
    scene = Scene("one", "two")
    scene.arrives(RTP, ALICE)

    scene.lanes["one"].sendto(answer(), ALICE)
    scene.lanes["two"].sendto(answer(), BOB)
    scene.arrives(RTP + b"1", ALICE)
    scene.arrives(RTP + b"2", BOB)

    assert (scene.heard("one"), scene.heard("two")) == ([RTP + b"1"], [RTP + b"2"])
    assert scene.tally.strays == 1
    assert scene.wire.sent == [(answer(), ALICE), (answer(), BOB)]


@pytest.mark.parametrize("said", [answer(kind=ERROR), request("theirs"), RTP])
def test_nothing_but_a_good_answer_accepts_a_sender(said: bytes) -> None:
    scene = Scene("one")

    scene.lanes["one"].sendto(said, ALICE)
    scene.arrives(RTP, ALICE)

    assert (scene.heard("one"), scene.tally.strays) == ([], 1)


def test_a_request_alone_brings_its_sender_nothing() -> None:
    scene = Scene("one")

    scene.arrives(request("one"), ALICE)
    scene.arrives(RTP, ALICE)

    assert scene.heard("one") == [request("one")]


def test_a_call_cannot_take_the_address_of_another_by_accepting_it() -> None:
    scene = Scene("one", "thief")
    scene.lanes["one"].prove(ALICE)

    scene.lanes["thief"].sendto(answer(), ALICE)
    scene.arrives(RTP, ALICE)

    assert (scene.heard("one"), scene.heard("thief")) == ([RTP], [])


def test_what_is_proven_to_be_a_calls_is_its_whoever_accepted_it_before() -> None:
    scene = Scene("thief", "one")
    scene.lanes["thief"].sendto(answer(), ALICE)

    scene.lanes["one"].prove(ALICE)
    scene.arrives(RTP, ALICE)

    assert (scene.heard("one"), scene.heard("thief")) == ([RTP], [])


def test_a_call_that_ends_leaves_alone_what_is_anothers_by_now() -> None:
    scene = Scene("one", "two")
    scene.lanes["one"].prove(ALICE)
    scene.lanes["two"].prove(ALICE)

    scene.lanes["one"].close()
    scene.arrives(RTP, ALICE)

    assert scene.heard("two") == [RTP]


def test_a_closed_lane_leaves_nothing_behind() -> None:
    scene = Scene("one")
    lane = scene.lanes["one"]
    lane.sendto(answer(), ALICE)
    lane.prove(BOB)

    lane.close()
    lane.close()
    lane.prove(ALICE)
    lane.sendto(answer(), ALICE)
    for data in (RTP, request("one")):
        scene.arrives(data, ALICE)

    assert (scene.port.lanes, scene.port.remembered, scene.ears["one"].lost) == (0, 0, 1)
    assert (scene.heard("one"), scene.tally.strays, len(scene.wire.sent)) == ([], 2, 1)
    assert lane.is_closing()


def test_a_closed_port_closes_its_lanes() -> None:
    scene = Scene("one", "two")

    scene.port.close()

    assert [ear.lost for ear in scene.ears.values()] == [1, 1]


def test_a_call_cannot_have_more_addresses_than_its_share() -> None:
    scene = Scene("one")
    for number in range(MAX_ADDRESSES):
        scene.lanes["one"].sendto(answer(), ("198.51.100.9", number))

    scene.arrives(request("one"), ALICE)
    scene.arrives(request("one"), ("198.51.100.9", 3))

    assert (scene.tally.strays, len(scene.heard("one"))) == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        request("one")[:19],
        request("one")[:4] + bytes(4) + request("one")[8:],
        request("one")[:20],
        request("one")[:30],
        written(Message(BINDING, bytes(12), {0x0024: bytes(4)})),
        written(Message(0x0011, bytes(12))),
    ],
)
def test_what_is_nobodys_stun_is_dropped_and_counted(data: bytes) -> None:
    scene = Scene("one")

    scene.arrives(data, ALICE)

    assert (scene.heard("one"), scene.tally.strays) == ([], 1)


def test_a_sender_over_ipv6_is_known_by_address_and_port_alone() -> None:
    scene = Scene("one")
    scene.lanes["one"].sendto(answer(), ("2001:db8::7", 9))

    scene.port.datagram_received(RTP, ("2001:db8::7", 9, 0, 0))

    assert scene.heard("one") == [RTP]


def test_what_the_system_does_not_take_is_counted_and_not_kept() -> None:
    scene = Scene("one")

    scene.port.pause_writing()
    scene.lanes["one"].sendto(RTP, ALICE)
    scene.port.resume_writing()
    scene.lanes["one"].sendto(RTP + b"!", ALICE)

    assert (scene.tally.unsent, scene.wire.sent) == (1, [(RTP + b"!", ALICE)])


def test_a_lane_is_at_the_address_of_its_port() -> None:
    assert Scene("one").lanes["one"].get_extra_info("sockname") == HERE


def test_a_port_that_is_taken_is_passed_over() -> None:
    with bind("127.0.0.1", [0]) as first, bind("127.0.0.1", [0]) as second:
        taken, free = first.getsockname()[1], second.getsockname()[1]
        second.close()

        with bind("127.0.0.1", [taken, free]) as third:
            assert third.getsockname()[1] == free


def test_with_every_port_taken_none_is_bound() -> None:
    with bind("127.0.0.1", [0]) as first, pytest.raises(PortTaken):
        bind("127.0.0.1", [first.getsockname()[1]])


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(OSError, match="assign"):
        bind("203.0.113.99", [0])


def test_a_port_has_more_room_for_what_waits_than_sockets_usually_have() -> None:
    with bind("127.0.0.1", [0]) as ours, socket.socket(type=socket.SOCK_DGRAM) as usual:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            room = [each.getsockopt(socket.SOL_SOCKET, option) for each in (ours, usual)]
            assert room[0] > room[1]
