"""What a caller offers: one SDP text read and checked, and the answer to it written.

An offer lists sections. We take the first audio section that names a codec of ours and the first
section of data channels; all others are answered as rejected, in their places. Whatever of the text
does not concern these two is passed over, however odd: browsers add lines every year. The grammar
of candidates is aiortc's; the rest is read here, because its own reader refuses a whole offer for
one unusual line in a video section.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Literal

from aiortc import RTCIceCandidate, RTCIceParameters
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp
from msgspec import Struct

MAX_CHARS = 64 * 1024
MAX_SECTIONS = 16
# Each is sent checks, and nobody knows yet whose they are: an offer must not be able to aim many.
MAX_CANDIDATES, MAX_OF_ADDRESS = 10, 3
MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # of one message on the data channel, towards us
MESSAGE_BYTES_TAKEN = 256 * 1024  # by every browser
DEFAULT_MAX_MESSAGE = 65536  # what a peer takes that says nothing (RFC 8841, section 6.1)
SCTP_PORT = 5000
STREAM = "realtimeapi"  # the hosted service's name for its stream and its source

_SECURE = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "TCP/TLS/RTP/SAVPF")
_CHANNELS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
_STATIC = {0: "PCMU/8000", 8: "PCMA/8000"}  # payload types that need no rtpmap
_DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SUPPORTED = "opus/48000, PCMU/8000, PCMA/8000"

_SECTION = re.compile(r"m=([!-~]+) ([0-9]{1,5})(?:/[0-9]+)? ([!-~]+) ([!-~][ -~]*)")
_MID = re.compile(r"[!-~]{1,64}")
_ICE_SECRET = re.compile(r"[!-~]{1,256}")
_JSON_ANSWER = re.compile(r'"type"\s*:\s*"(answer|pranswer)"')

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_MIRRORED: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class BadOffer(Exception):  # noqa: N818 - what it is, not that it failed
    """The text is no offer that can be answered; it says what is wrong and what would be right."""


class AudioCodec(Struct, frozen=True):
    """The codec of a call, with the payload type under which the offer named it."""

    name: Literal["opus", "PCMU", "PCMA"]
    payload_type: int
    clock_hz: int


class Section(Struct, frozen=True):
    """One section of the offer as it stands there; *attributes* in order, without the `a=`."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    def all(self, name: str) -> Iterator[str]:
        """The values of an attribute."""
        return (value for key, value in self.attributes if key == name)

    def get(self, name: str) -> str | None:
        """The first value of an attribute; None where the section lacks it."""
        return next(self.all(name), None)

    @property
    def mid(self) -> str | None:
        """The section's name."""
        return self.get("mid")

    @property
    def offered(self) -> bool:
        """It is not switched off: a port of 0 says so, unless another section's port is meant."""
        return self.port != 0 or self.get("bundle-only") is not None


class Fingerprint(Struct, frozen=True):
    """The digest of a certificate."""

    algorithm: str
    value: str


class Offer(Struct, frozen=True):
    """An offer that can be answered. *audio* and *data* are places in *sections*, None: not wanted.

    *direction* is the answer's, from our side. *max_message* is the longest message that the peer
    says it takes, 0 for any. *starts_dtls*: the handshake is ours to begin.
    """

    sections: tuple[Section, ...]
    audio: int | None
    data: int | None
    codec: AudioCodec | None
    direction: Direction
    ice: RTCIceParameters
    candidates: tuple[RTCIceCandidate, ...]
    fingerprints: tuple[Fingerprint, ...]
    starts_dtls: bool
    bundle: tuple[str, ...]
    sctp_port: int
    max_message: int

    @property
    def receives(self) -> bool:
        """The peer's audio comes to us."""
        return self.audio is not None and self.direction in ("sendrecv", "recvonly")

    @property
    def sends(self) -> bool:
        """Our audio goes to the peer."""
        return self.audio is not None and self.direction in ("sendrecv", "sendonly")

    @property
    def has_data(self) -> bool:
        """There will be a data channel."""
        return self.data is not None

    @property
    def longest_message(self) -> int:
        """How many bytes we may send at once, 0 for any number: peers take more than they say."""
        return max(self.max_message, MESSAGE_BYTES_TAKEN) if self.max_message else 0


def read_offer(text: str) -> Offer:
    """The offer that *text* is. Raises BadOffer, and nothing else, for whatever else it may be."""
    session, sections = _parts(_plausible(text))
    audio, codec = _audio_of(sections)
    data = _data_of(sections)
    taken = [place for place in (audio, data) if place is not None]
    if not taken:
        raise BadOffer(
            "the offer has no section for audio or for data channels: it needs m=audio with "
            "UDP/TLS/RTP/SAVPF, or m=application with UDP/DTLS/SCTP webrtc-datachannel, or both"
        )
    if audio is not None and sections[audio].get("rtcp-mux") is None:
        raise BadOffer("the audio section lacks a=rtcp-mux: RTP and RTCP share one port here")
    bundle = _bundle_of(session, [sections[place] for place in sorted(taken)])
    carrier = _carrier(sections, sorted(taken), bundle)
    ice = _ice_of(carrier, session)
    channels = session if data is None else sections[data]
    return Offer(
        sections=sections,
        audio=audio,
        data=data,
        codec=codec,
        direction=_direction_of(session if audio is None else sections[audio], session),
        ice=ice,
        candidates=tuple(_candidates_of(carrier)),
        fingerprints=_fingerprints_of(carrier, session),
        starts_dtls=_setup_of(carrier, session) != "active",
        bundle=bundle,
        sctp_port=_whole(channels.get("sctp-port"), 1, 65535, SCTP_PORT),
        max_message=_whole(channels.get("max-message-size"), 0, 2**63, DEFAULT_MAX_MESSAGE),
    )


def write_answer(
    offer: Offer,
    ice: RTCIceParameters,
    candidates: Iterable[RTCIceCandidate],
    fingerprint: Fingerprint,
    ssrc: int,
) -> str:
    """The answer to *offer*: what it takes is served from *candidates*, what else is rejected."""
    transport = [
        *(f"a=candidate:{candidate_to_sdp(candidate)}" for candidate in candidates),
        "a=end-of-candidates",
        f"a=ice-ufrag:{ice.usernameFragment}",
        f"a=ice-pwd:{ice.password}",
        f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
        f"a=setup:{'active' if offer.starts_dtls else 'passive'}",
    ]
    lines = ["v=0", f"o=- {secrets.randbits(62)} 2 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    if offer.bundle:
        lines.append(f"a=group:BUNDLE {' '.join(offer.bundle)}")
    lines.append(f"a=msid-semantic: WMS {STREAM}")
    for place, section in enumerate(offer.sections):
        if place == offer.audio and offer.codec is not None:
            lines += _audio_answer(offer, offer.codec, section, transport, ssrc)
        elif place == offer.data:
            lines += _data_answer(section, transport)
        else:
            lines += _rejection(section)
    return "\r\n".join(lines) + "\r\n"


def _audio_answer(
    offer: Offer, codec: AudioCodec, section: Section, transport: list[str], ssrc: int
) -> list[str]:
    lines = [
        f"m=audio 9 {section.protocol} {codec.payload_type}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        *transport,
        *_named(section),
        f"a={offer.direction}",
        "a=rtcp-mux",
    ]
    if section.get("rtcp-rsize") is not None:
        lines.append("a=rtcp-rsize")
    if codec.name == "opus":
        lines.append(f"a=rtpmap:{codec.payload_type} opus/48000/2")
        lines.append(f"a=fmtp:{codec.payload_type} minptime=10;useinbandfec=1")
    else:
        lines.append(f"a=rtpmap:{codec.payload_type} {codec.name}/8000")
    if offer.sends:
        lines += [f"a=msid:{STREAM} {STREAM}", f"a=ssrc:{ssrc} cname:{STREAM}"]
    return lines


def _data_answer(section: Section, transport: list[str]) -> list[str]:
    return [
        f"m=application 9 {section.protocol} webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        *transport,
        *_named(section),
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_MESSAGE_BYTES}",
    ]


def _rejection(section: Section) -> list[str]:
    return [
        f"m={section.kind} 0 {section.protocol} {section.formats[0]}",
        "c=IN IP4 0.0.0.0",
        *_named(section),
        "a=inactive",
    ]


def _named(section: Section) -> list[str]:
    return [] if section.mid is None else [f"a=mid:{section.mid}"]


# Reading


def _plausible(text: str) -> str:
    """*text* without what surrounds it, if it looks like an offer at all."""
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise BadOffer("the offer is empty: send the SDP text of the offer, which begins with v=0")
    if len(text) > MAX_CHARS:
        raise BadOffer(f"the offer has {len(text)} characters, but {MAX_CHARS} are the most taken")
    if text[0] in '{["':
        if answer := _JSON_ANSWER.search(text):
            raise BadOffer(f"this JSON is of type {answer[1]}, but it is the offer that is wanted")
        raise BadOffer("this is JSON: send the SDP text alone, which begins with v=0")
    if not text.startswith("v=0"):
        raise BadOffer("this is not SDP: an offer begins with the line v=0")
    if f"a=msid:{STREAM}" in text:
        raise BadOffer("this is an answer that a server wrote, but it is the offer that is wanted")
    return text


def _parts(text: str) -> tuple[Section, tuple[Section, ...]]:
    """The lines ahead of all sections, as if they were one, and the sections."""
    heads: list[tuple[str, int, str, tuple[str, ...]]] = [("session", 9, "", ())]
    attributes: list[list[tuple[str, str]]] = [[]]
    for line in re.split(r"\r\n|\n|\r", text):
        if line.startswith("m="):
            heads.append(_head(line.rstrip()))
            attributes.append([])
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            attributes[-1].append((name.strip(), value.strip()))
    if len(heads) > MAX_SECTIONS + 1:
        raise BadOffer(
            f"the offer has {len(heads) - 1} sections, but {MAX_SECTIONS} are the most taken: "
            "a call needs one for audio and one for data channels"
        )
    session, *sections = (
        Section(*head, tuple(found)) for head, found in zip(heads, attributes, strict=True)
    )
    _check_mids(sections)
    return session, tuple(sections)


def _head(line: str) -> tuple[str, int, str, tuple[str, ...]]:
    if not (read := _SECTION.fullmatch(line)):
        raise BadOffer(
            f"the line {line[:60]!a} opens no section: it should read like "
            "'m=audio 9 UDP/TLS/RTP/SAVPF 111'"
        )
    return read[1], int(read[2]), read[3], tuple(read[4].split())


def _check_mids(sections: Iterable[Section]) -> None:
    mids = [section.mid for section in sections if section.mid is not None]
    for mid in mids:
        if not _MID.fullmatch(mid):
            raise BadOffer(
                f"a=mid:{ascii(mid[:60])[1:-1]} is no name of a section: one word of visible "
                "ASCII characters is"
            )
    if len(set(mids)) < len(mids):
        raise BadOffer("two sections have the same a=mid: each needs its own")


def _audio_of(sections: tuple[Section, ...]) -> tuple[int | None, AudioCodec | None]:
    """The first audio section with a codec of ours, and the first such codec in it."""
    offered: list[str] = []
    for place, section in enumerate(sections):
        if section.kind != "audio" or not section.offered:
            continue
        if section.protocol not in _SECURE:
            raise BadOffer(
                f"the audio section has the protocol {section.protocol[:40]}, but audio is only "
                "taken encrypted: UDP/TLS/RTP/SAVPF"
            )
        for payload_type, encoding in _encodings(section):
            if codec := _codec(payload_type, encoding):
                return place, codec
            offered.append(encoding)
    if offered:
        raise BadOffer(
            f"no codec of the audio section is supported: offered are {', '.join(offered[:20])}; "
            f"supported are {_SUPPORTED}"
        )
    return None, None


def _encodings(section: Section) -> Iterator[tuple[int, str]]:
    """Payload types in the order of the offer's preference, and what they stand for."""
    named: dict[str, str] = {}
    for value in section.all("rtpmap"):
        number, _, encoding = value.partition(" ")
        named[number] = ascii(encoding.strip()[:40])[1:-1]
    for number in section.formats:
        payload_type = _whole(number, 0, 127, -1)
        encoding = named.get(number) or _STATIC.get(payload_type, f"payload type {number[:8]}")
        yield payload_type, encoding


def _codec(payload_type: int, encoding: str) -> AudioCodec | None:
    # With RTP and RTCP on one port, payload types from 64 to 95 cannot be told from RTCP's.
    if payload_type < 0 or 64 <= payload_type <= 95:
        return None
    match encoding.lower().split("/"):
        case ["opus", "48000", *_]:
            return AudioCodec("opus", payload_type, 48000)
        case ["pcmu", "8000"] | ["pcmu", "8000", "1"]:
            return AudioCodec("PCMU", payload_type, 8000)
        case ["pcma", "8000"] | ["pcma", "8000", "1"]:
            return AudioCodec("PCMA", payload_type, 8000)
    return None


def _data_of(sections: tuple[Section, ...]) -> int | None:
    for place, section in enumerate(sections):
        if (
            section.kind == "application"
            and section.offered
            and section.protocol in _CHANNELS
            and "webrtc-datachannel" in section.formats
        ):
            return place
    return None


def _bundle_of(session: Section, taken: list[Section]) -> tuple[str, ...]:
    """The names of the sections taken, in their group's order; empty: there is no group."""
    mids = {section.mid for section in taken}
    for value in session.all("group"):
        group = value.split()
        if group[:1] == ["BUNDLE"] and mids <= set(group[1:]):
            return tuple(mid for mid in dict.fromkeys(group[1:]) if mid in mids)
    if len(taken) > 1:
        raise BadOffer(
            "audio and data channels are not bundled: both need an a=mid, and the session a line "
            "a=group:BUNDLE that names them both, because they share one connection"
        )
    return ()


def _carrier(sections: tuple[Section, ...], taken: list[int], bundle: tuple[str, ...]) -> Section:
    """The section whose transport serves all: the first of the bundle that describes one.

    A section that is only bundled may leave the description to one that we reject.
    """
    ours = [s for mid in bundle for s in sections if s.mid == mid] or [sections[taken[0]]]
    for section in [*ours, *(sections if bundle else ())]:
        if section.get("ice-pwd") is not None:
            return section
    return ours[0]


def _ice_of(carrier: Section, session: Section) -> RTCIceParameters:
    own = carrier if carrier.get("ice-pwd") is not None else session
    fragment, password = own.get("ice-ufrag") or "", own.get("ice-pwd") or ""
    if not (_ICE_SECRET.fullmatch(fragment) and _ICE_SECRET.fullmatch(password)):
        raise BadOffer(
            "the offer has no ICE credentials: it needs a=ice-ufrag and a=ice-pwd, in its sections "
            "or ahead of them"
        )
    return RTCIceParameters(
        usernameFragment=fragment,
        password=password,
        iceLite=session.get("ice-lite") is not None,
    )


def _fingerprints_of(carrier: Section, session: Section) -> tuple[Fingerprint, ...]:
    """Digests of the peer's certificate that can be checked."""
    values = list(carrier.all("fingerprint")) or list(session.all("fingerprint"))
    found = tuple(filter(None, map(_fingerprint, values[:8])))
    if not found:
        raise BadOffer(
            "the offer has no fingerprint that can be checked: it needs a=fingerprint with sha-256 "
            "(or sha-384, sha-512) and the digest in hexadecimal, its bytes parted by colons"
        )
    return found


def _fingerprint(value: str) -> Fingerprint | None:
    algorithm, _, digest = value.partition(" ")
    length = _DIGEST_BYTES.get(algorithm.lower())
    pairs = digest.strip().split(":")
    if len(pairs) != length or not all(re.fullmatch("[0-9A-Fa-f]{2}", pair) for pair in pairs):
        return None
    return Fingerprint(algorithm.lower(), ":".join(pairs).upper())


def _setup_of(carrier: Section, session: Section) -> str:
    setup = carrier.get("setup") or session.get("setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise BadOffer(f"a=setup:{ascii(setup[:20])[1:-1]} is not possible: actpass would be right")
    return setup


def _direction_of(section: Section, session: Section) -> Direction:
    said = (name for name, _ in (*section.attributes, *session.attributes) if name in _MIRRORED)
    return _MIRRORED[next(said, "sendrecv")]


def _candidates_of(carrier: Section) -> Iterator[RTCIceCandidate]:
    """Where the peer may be reached by UDP.

    Names ending in .local are passed over: whoever hides its address so checks us first, and is
    answered where its checks came from.
    """
    met: Counter[str] = Counter()
    found = filter(None, map(_candidate, carrier.all("candidate")))
    for candidate in islice(found, MAX_CANDIDATES):
        met[candidate.ip] += 1
        if met[candidate.ip] <= MAX_OF_ADDRESS:
            yield candidate


def _candidate(value: str) -> RTCIceCandidate | None:
    try:
        candidate = candidate_from_sdp(value)
        address = ip_address(candidate.ip)
    except (AssertionError, ValueError):
        return None
    # Where no caller is. One on this machine is answered where its own checks come from.
    nowhere = (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or address.is_reserved
        or "%" in candidate.ip
    )
    usable = (
        not nowhere
        and candidate.component == 1
        and candidate.protocol.lower() == "udp"
        and candidate.type in ("host", "srflx", "relay")
        and 0 < candidate.port < 65536
    )
    return candidate if usable else None


def _whole(text: str | None, least: int, most: int, otherwise: int) -> int:
    if text is None or not re.fullmatch("[0-9]{1,20}", text):
        return otherwise
    return int(text) if least <= int(text) <= most else otherwise
