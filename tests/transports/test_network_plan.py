"""What operators say of the network, read and checked."""

import subprocess
import sys

import pytest

from vivavoce.transports.network_plan import IceServer, NetworkPlan, plan_of


def server(text: str) -> IceServer:
    return plan_of([], None, [text]).servers[0]


def test_nothing_said_is_the_plan_with_nothing_in_it() -> None:
    assert plan_of([], None, []) == NetworkPlan()
    assert plan_of([], "", []) == NetworkPlan()


def test_addresses_are_kept_once_and_in_their_usual_spelling() -> None:
    plan = plan_of(["203.0.113.7", " 2001:DB8:0::7 ", "203.0.113.7"], None, [])

    assert plan.announced == ("203.0.113.7", "2001:db8::7")


@pytest.mark.parametrize("text", ["calls.example.com", "203.0.113", "", "203.0.113.7:5000"])
def test_an_address_that_is_none_is_refused_with_one_that_would_do(text: str) -> None:
    with pytest.raises(ValueError, match=r"--rtc-address: .* such as 203\.0\.113\.7"):
        plan_of([text], None, [])


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0"])
def test_an_address_that_nobody_can_send_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--rtc-address: nobody can send to"):
        plan_of([text], None, [])


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("50000", (50000, 50000)),
        ("50000-50010", (50000, 50010)),
        (" 1 - 65535 ", (1, 65535)),
    ],
)
def test_ports_are_one_or_a_range(text: str, span: tuple[int, int]) -> None:
    assert plan_of([], text, []).ports == span


@pytest.mark.parametrize(
    "text", ["0", "65536", "50010-50000", "5-", "-5", "a", "5-b", "1-2-3", "\u0665"]
)
def test_ports_that_are_none_are_refused_with_some_that_would_do(text: str) -> None:
    with pytest.raises(ValueError, match=r"--rtc-ports: .* such as 50000 or 50000-50010"):
        plan_of([], text, [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stun:example.com", IceServer("stun", "example.com", 3478)),
        ("STUN:192.0.2.7:19302", IceServer("stun", "192.0.2.7", 19302)),
        ("stun:[2001:db8::7]:5", IceServer("stun", "2001:db8::7", 5)),
        ("turn:a:b@example.com", IceServer("turn", "example.com", 3478, "udp", "a", "b")),
        ("turn:a:b@x:9?transport=tcp", IceServer("turn", "x", 9, "tcp", "a", "b")),
        ("turn:a:b@x?transport=UDP", IceServer("turn", "x", 3478, "udp", "a", "b")),
        ("turns:a:b@x", IceServer("turns", "x", 5349, "tcp", "a", "b")),
        ("turns:a:b@[::7]", IceServer("turns", "::7", 5349, "tcp", "a", "b")),
        ("turn:1%3Aa:b:c@d%25@x", IceServer("turn", "x", 3478, "udp", "1:a", "b:c@d%")),
    ],
)
def test_servers_are_read_in_all_their_forms(text: str, found: IceServer) -> None:
    assert server(text) == found


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("example.com", "stun:host"),
        ("", "stun:host"),
        ("http://alice:hush@x", "stun:host"),
        ("stuns:alice:hush@x", "stun:host"),
        ("stun://x", "stun:host"),
        ("stun:", "stun:host"),
        ("stun:x:", "stun:host"),
        ("stun:x:0", "stun:host"),
        ("stun:::7", "stun:host"),
        ("stun:[hush]", "stun:host"),
        ("stun:x?transport=udp", "stun:host"),
        ("stun:alice:hush@x", "stun:host"),
        ("turn:x", "turn:user:password@host"),
        ("turn:alice@x", "turn:user:password@host"),
        ("turn:alice:@x", "turn:user:password@host"),
        ("turn::hush@x", "turn:user:password@host"),
        ("turn:alice:hush@", "turn:user:password@host"),
        ("turn:alice:hush@-x", "turn:user:password@host"),
        ("turn:alice:hush@x:hush", "turn:user:password@host"),
        ("turn:alice:hush@x?hush", "transport=udp or transport=tcp"),
        ("turns:alice:hush@x?transport=udp", r"\?transport=tcp"),
    ],
)
def test_a_server_that_is_none_is_refused_with_what_would_do(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"--ice-server: .*{right}") as refused:
        server(text)

    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_plan_shows_its_servers_without_their_passwords() -> None:
    plan = plan_of([], None, ["turns:alice:hush@[2001:db8::7]:5"])

    assert "hush" not in repr(plan)
    assert plan.servers[0].url == "turns:[2001:db8::7]:5?transport=tcp"


def test_reading_a_plan_takes_nothing_of_webrtc() -> None:
    asked = "import sys, vivavoce.transports.network_plan; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)

    assert not {b"aiortc", b"aioice", b"av"} & set(loaded.stdout.split())
