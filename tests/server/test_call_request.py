"""What callers post, read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.server.call_request import CallRequest, read_call
from vivavoce.server.refusals import Denial

SDP = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n"
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="sdp"\r\nContent-Type: application/sdp\r\n\r\n'
    + SDP.encode()
    + b'\r\n--x\r\ncontent-disposition: form-data; name=session; filename="s.json"\r\n\r\n'
    + b'{"type":"realtime","model":"gpt-realtime"}\r\n--x--\r\n'
)


def read(body: bytes, kind: str) -> CallRequest:
    made = read_call(body, kind)
    assert isinstance(made, CallRequest), made
    return made


def refused(body: bytes, kind: str) -> Denial:
    made = read_call(body, kind)
    assert isinstance(made, Denial), made
    return made


@pytest.mark.parametrize(
    "kind", ["application/sdp", "Application/SDP; charset=utf-8", "text/plain", ""]
)
def test_an_offer_may_come_alone(kind: str) -> None:
    assert read(SDP.encode(), kind) == CallRequest(SDP)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=x",
        'multipart/form-data; boundary="x"; charset=utf-8',
        "multipart/form-data",
    ],
)
def test_a_form_has_the_offer_and_the_session(kind: str) -> None:
    asked = read(FORM, kind)
    assert asked.sdp == SDP
    assert asked.session == {"type": "realtime", "model": "gpt-realtime"}
    assert asked.model == "gpt-realtime"


def test_json_has_the_offer_the_session_and_the_model() -> None:
    asked = read(b'{"sdp":"v=0","session":{"voice":"echo"},"model":"m"}', "application/json")
    assert asked == CallRequest("v=0", {"voice": "echo"}, "m")


@pytest.mark.parametrize(
    ("body", "kind", "status", "holds"),
    [
        (b"v=0", "application/xml", 415, "application/xml"),
        (b"\xff", "application/sdp", 400, "UTF-8"),
        (b"{", "application/json", 400, "not a JSON object"),
        (b"[" * 90_000, "application/json", 400, "not a JSON object"),
        (b'{"sdp":1}', "application/json", 400, "'sdp'"),
        (b'{"sdp":"v=0","session":[]}', "application/json", 400, "'session'"),
        (b'{"sdp":"v=0","model":1}', "application/json", 400, "'model'"),
        (b"", "multipart/form-data", 400, "no boundary"),
        (b"--x\r\n\r\nno name\r\n--x--", "multipart/form-data", 400, "'sdp'"),
        (b"--x\r\n" * 30, "multipart/form-data; boundary=x", 400, "too many parts"),
        (FORM.replace(b'{"type"', b"{type"), "multipart/form-data; boundary=x", 400, "'session'"),
    ],
)
def test_what_cannot_be_read_is_told(body: bytes, kind: str, status: int, holds: str) -> None:
    denial = refused(body, kind)
    assert denial.status == status
    assert holds in denial.message


HOSTILE = [
    b"--b\r\nContent-Disposition: form-data; name=" + b"(a)" * 80_000 + b"\r\n\r\nx\r\n--b--",
    b"--b\r\n" + b"\r\n" * 120_000 + b"--b--",
    b"--b\r\n\r\n" * 30_000,
    b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
        for n in range(3000)
    ),
    b"--b\r\n" + b"Content-Type: message/rfc822\r\n" * 8000 + b"\r\n",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_no_form_takes_long(body: bytes) -> None:
    """Not a measurement: what is worse than linear takes seconds here, all else microseconds."""
    began = time.thread_time()
    for boundary in ("b", "(" * 5000, "(a)" * 6000):
        refused(body[: 256 * 1024], f"multipart/form-data; boundary={boundary}")
    assert time.thread_time() - began < 2


@given(st.binary(max_size=400), st.text(max_size=80))
def test_nothing_else_is_ever_raised(body: bytes, kind: str) -> None:
    for each in (kind, "multipart/form-data; boundary=x", "application/json", "application/sdp"):
        read_call(body, each)
