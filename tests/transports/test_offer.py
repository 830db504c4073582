"""Offers as browsers and libraries write them, and as nobody should."""

import pytest
from aiortc import RTCIceCandidate, RTCIceParameters
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.transports.webrtc.offer import (
    MAX_CANDIDATES,
    MAX_CHARS,
    AudioCodec,
    BadOffer,
    Fingerprint,
    Offer,
    read_offer,
    write_answer,
)

DIGEST = ":".join(["AB"] * 32)

CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS 5f0e8c8a-8b2c-4a0e-9a43-0d8b5a1f5e11
m=audio 50874 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 203.0.113.9
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:2999745851 1 udp 2122260223 4a1f7d5b-0d0e-4f2f-9cbb-7c1b0e3cf6a1.local 50874 typ host generation 0 network-id 1
a=candidate:842163049 1 udp 1686052607 203.0.113.9 50874 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-id 1 network-cost 999
a=candidate:1510613869 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active generation 0 network-id 1
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle renomination
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:5f0e8c8a-8b2c-4a0e-9a43-0d8b5a1f5e11 21f1d8cc-77d7-4d0c-9b9b-0a9a1f9f9e0e
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3735928559 cname:5wrFvcMXVn0Zq3mC
a=ssrc:3735928559 msid:5f0e8c8a-8b2c-4a0e-9a43-0d8b5a1f5e11 21f1d8cc-77d7-4d0c-9b9b-0a9a1f9f9e0e
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle renomination
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""

# Firefox describes what all sections share ahead of them, and bundles by a port of 0.
FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7412903848219127473 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {DIGEST}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:2a6e2f6b8f1bd5a2a9d9b42c5b6e1b6c
a=ice-ufrag:8c6a1b2d
a=mid:0
a=msid:- {{0d5b2f60-0a4c-4a2e-8f68-52c12b6e2e2c}}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=setup:actpass
a=ssrc:1234567890 cname:{{3a5d1c7b-6a55-4a5f-8a3e-4f1d2f5b0a11}}
m=application 0 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=bundle-only
a=sendrecv
a=mid:1
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
"""

# Safari on a telephone that listens only, with a camera section that nobody asked for.
SAFARI = f"""v=0
o=- 6130223401211111111 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE audio video data
m=audio 9 UDP/TLS/RTP/SAVPF 96 8 0
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:s0Af
a=ice-pwd:aRiAriAriAriAriAriAriAr1
a=fingerprint:sha-256 {DIGEST.lower()}
a=setup:actpass
a=mid:audio
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 opus/48000/2
a=fmtp:96 minptime=10;useinbandfec=1
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
m=video 9 UDP/TLS/RTP/SAVPF 97 98
c=IN IP4 0.0.0.0
a=ice-ufrag:s0Af
a=ice-pwd:aRiAriAriAriAriAriAriAr1
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
a=mid:video
a=inactive
a=rtcp-mux
a=rtpmap:97 H264/90000
a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f
a=rtpmap:98 rtx/90000
a=fmtp:98 apt=97
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:s0Af
a=ice-pwd:aRiAriAriAriAriAriAriAr1
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
a=mid:data
a=sctp-port:5000
a=max-message-size:65536
"""

AIORTC = f"""v=0
o=- 3950000000 3950000000 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic:WMS *
m=audio 41002 UDP/TLS/RTP/SAVPF 96 9 0 8
c=IN IP4 192.0.2.1
a=sendrecv
a=mid:0
a=msid:8e4e0b5c-2a57-4d51-9b0c-4b43f1c3ff8e 9a0e6f3a-5fa8-4a1d-9a2e-54d55c3d4b1c
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc:1812317913 cname:1c9c0c2e-77d4-4c5c-a6ef-d3a6d2ee3d0a
a=rtpmap:96 opus/48000/2
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=candidate:0cbf2c4ea1f1 1 udp 2130706431 192.0.2.1 41002 typ host
a=candidate:5b1d2f6a9b10 1 udp 2130706431 2001:db8::1 41003 typ host
a=end-of-candidates
a=ice-ufrag:mBqy
a=ice-pwd:0123456789abcdefghijkl
a=fingerprint:sha-256 {DIGEST}
a=fingerprint:sha-512 {":".join(["CD"] * 64)}
a=setup:actpass
m=application 41004 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.1
a=mid:1
a=sctp-port:5000
a=max-message-size:65536
a=candidate:0cbf2c4ea1f1 1 udp 2130706431 192.0.2.1 41004 typ host
a=end-of-candidates
a=ice-ufrag:mBqy
a=ice-pwd:0123456789abcdefghijkl
a=fingerprint:sha-256 {DIGEST}
a=setup:actpass
"""

# Pion puts the certificate ahead of all, and the data channel first if that was made first.
PION = f"""v=0
o=- 5528495562331 1718000000 IN IP4 0.0.0.0
s=-
t=0 0
a=msid-semantic:WMS *
a=fingerprint:sha-256 {DIGEST}
a=extmap-allow-mixed
a=group:BUNDLE 0 1
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:1073741823
a=ice-ufrag:pIoNfRaG
a=ice-pwd:WqzGDXbpRUeoUVtFXblVsKmu
a=candidate:233762139 1 udp 2130706431 10.0.0.5 51000 typ host ufrag pIoNfRaG
a=candidate:233762139 2 udp 2130706430 10.0.0.5 51000 typ host ufrag pIoNfRaG
m=audio 9 UDP/TLS/RTP/SAVPF 8
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:1
a=ice-ufrag:pIoNfRaG
a=ice-pwd:WqzGDXbpRUeoUVtFXblVsKmu
a=rtcp-mux
a=rtcp-rsize
a=sendrecv
"""

# A device behind OpenAI's own software: no candidates of any kind, G.711 before Opus.
DEVICE = f"""v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-lite
a=ice-ufrag:lite
a=ice-pwd:liteliteliteliteliteli
a=fingerprint:SHA-256 {DIGEST}
a=setup:passive
m=audio 9 UDP/TLS/RTP/SAVPF 0 111
a=sendonly
a=rtcp-mux
a=rtpmap:111 OPUS/48000/2
"""

OFFERS = {
    "chromium": CHROMIUM,
    "firefox": FIREFOX,
    "safari": SAFARI,
    "aiortc": AIORTC,
    "pion": PION,
    "device": DEVICE,
}
OPUS_111 = AudioCodec("opus", 111, 48000)


def without(text: str, *starts: str) -> str:
    """*text* less the lines that begin so."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(starts))


def answered(offer: Offer) -> str:
    return write_answer(
        offer,
        RTCIceParameters("ours", "ourpasswordourpassword"),
        [RTCIceCandidate(1, "1", "198.51.100.7", 4000, 2130706431, "udp", "host")],
        Fingerprint("sha-256", DIGEST),
        77,
    )


def answer_to(text: str) -> str:
    return answered(read_offer(text))


def sections(answer: str) -> list[list[str]]:
    """The lines of each section."""
    found: list[list[str]] = []
    for line in answer.split("\r\n"):
        if line.startswith("m="):
            found.append([line])
        elif found:
            found[-1].append(line)
    return found


def trouble(text: str) -> str:
    with pytest.raises(BadOffer) as bad:
        read_offer(text)
    return str(bad.value)


@pytest.mark.parametrize(
    ("name", "codec", "direction"),
    [
        ("chromium", OPUS_111, "sendrecv"),
        ("firefox", AudioCodec("opus", 109, 48000), "sendrecv"),
        ("safari", AudioCodec("opus", 96, 48000), "sendonly"),
        ("aiortc", AudioCodec("opus", 96, 48000), "sendrecv"),
        ("pion", AudioCodec("PCMA", 8, 8000), "sendrecv"),
        ("device", AudioCodec("PCMU", 0, 8000), "recvonly"),
    ],
)
def test_the_first_codec_of_ours_is_taken_and_the_direction_mirrored(
    name: str, codec: AudioCodec, direction: str
) -> None:
    offer = read_offer(OFFERS[name])

    assert (offer.codec, offer.direction) == (codec, direction)
    assert offer.sends == (direction != "recvonly")
    assert offer.receives == (direction != "sendonly")


@pytest.mark.parametrize("name", OFFERS)
def test_the_credentials_of_every_kind_of_offer_are_found(name: str) -> None:
    text = OFFERS[name]
    offer = read_offer(text)

    assert f"a=ice-ufrag:{offer.ice.usernameFragment}\n" in text
    assert f"a=ice-pwd:{offer.ice.password}\n" in text
    assert offer.fingerprints[0] == Fingerprint("sha-256", DIGEST)


@pytest.mark.parametrize("name", OFFERS)
def test_lines_may_end_in_either_way(name: str) -> None:
    text = OFFERS[name]

    assert read_offer(text.replace("\n", "\r\n")) == read_offer(text)


@pytest.mark.parametrize("name", OFFERS)
def test_an_answer_has_the_offers_sections_in_its_order_and_with_its_names(name: str) -> None:
    def outline(text: str) -> list[str]:
        lines = text.splitlines()
        return [line.split()[0] for line in lines if line.startswith(("m=", "a=mid"))]

    assert outline(answer_to(OFFERS[name])) == outline(OFFERS[name])


@pytest.mark.parametrize("name", OFFERS)
def test_a_library_that_reads_strictly_can_read_our_answers(name: str) -> None:
    read = SessionDescription.parse(answer_to(OFFERS[name]))

    assert len(read.media) == len(read_offer(OFFERS[name]).sections)


def test_an_answer_to_chromium_says_what_the_hosted_service_says() -> None:
    head, *_ = answer_to(CHROMIUM).partition("m=")
    audio, data = sections(answer_to(CHROMIUM))

    assert "a=group:BUNDLE 0 1\r\n" in head
    assert audio[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 111"
    assert {
        "a=mid:0",
        "a=setup:active",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=msid:realtimeapi realtimeapi",
        "a=ssrc:77 cname:realtimeapi",
        "a=candidate:1 1 udp 2130706431 198.51.100.7 4000 typ host",
        "a=end-of-candidates",
        "a=ice-ufrag:ours",
        "a=ice-pwd:ourpasswordourpassword",
        f"a=fingerprint:sha-256 {DIGEST}",
    } <= set(audio)
    assert data[0] == "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
    assert {"a=mid:1", "a=setup:active", "a=sctp-port:5000", "a=max-message-size:4194304"} <= set(
        data
    )


def test_reduced_rtcp_is_answered_only_where_it_was_offered() -> None:
    assert "rtcp-rsize" not in answer_to(FIREFOX)


def test_a_section_we_do_not_know_is_rejected_in_its_place_and_leaves_the_bundle() -> None:
    answer = answer_to(SAFARI)

    assert sections(answer)[1][:5] == [
        "m=video 0 UDP/TLS/RTP/SAVPF 97",
        "c=IN IP4 0.0.0.0",
        "a=mid:video",
        "a=inactive",
    ]
    assert "a=group:BUNDLE audio data\r\n" in answer


def test_a_second_audio_section_is_rejected() -> None:
    second = CHROMIUM[CHROMIUM.index("m=audio") : CHROMIUM.index("m=application")]
    audio, _, other = sections(answer_to(CHROMIUM + second.replace("a=mid:0", "a=mid:2")))

    assert audio[0].startswith("m=audio 9")
    assert other[0] == "m=audio 0 UDP/TLS/RTP/SAVPF 111"


def test_an_audio_section_that_the_offer_has_switched_off_is_left_off() -> None:
    offer = read_offer(
        CHROMIUM.replace("m=audio 50874", "m=audio 0").replace("BUNDLE 0 1", "BUNDLE 1")
    )

    assert (offer.audio, offer.codec, offer.data) == (None, None, 1)
    assert not offer.sends
    assert not offer.receives


def test_audio_alone_is_answered_without_a_bundle() -> None:
    offer = read_offer(DEVICE)

    assert not offer.has_data
    assert "BUNDLE" not in answered(offer)
    assert "a=mid" not in answered(offer)


def test_a_data_channel_alone_is_answered() -> None:
    head, _, data = CHROMIUM.partition("m=audio")
    offer = read_offer(head.replace("BUNDLE 0 1", "BUNDLE 1") + data[data.index("m=application") :])

    assert (offer.has_data, offer.codec) == (True, None)
    assert "a=group:BUNDLE 1\r\n" in answered(offer)


def test_we_do_not_say_which_source_we_send_where_we_do_not_send() -> None:
    assert "a=ssrc" not in answer_to(DEVICE)
    assert "a=recvonly" in answer_to(DEVICE)


@pytest.mark.parametrize(("asked", "ours"), [("active", "passive"), ("passive", "active")])
def test_we_take_the_part_in_the_handshake_that_the_peer_leaves(asked: str, ours: str) -> None:
    offer = read_offer(CHROMIUM.replace("setup:actpass", f"setup:{asked}"))

    assert offer.starts_dtls == (ours == "active")
    assert read_offer(DEVICE.replace("passive", asked)).starts_dtls == (ours == "active")
    assert f"a=setup:{ours}\r\n" in answered(offer)


def test_only_candidates_that_can_be_reached_by_udp_are_kept() -> None:
    def ways(text: str) -> list[tuple[str, int]]:
        return [(each.ip, each.port) for each in read_offer(text).candidates]

    assert ways(CHROMIUM) == [("203.0.113.9", 50874)]
    assert ways(AIORTC) == [("192.0.2.1", 41002), ("2001:db8::1", 41003)]
    assert ways(PION) == [("10.0.0.5", 51000)]
    assert ways(DEVICE) == []


def test_an_offer_cannot_aim_more_than_a_few_checks() -> None:
    line = "a=candidate:1 1 udp 1 192.0.2.{} 5000 typ host\n"
    many = "".join(line.format(number) for number in range(1, 200))

    assert len(read_offer(AIORTC.replace("a=end-of", many + "a=end-of", 1)).candidates) == (
        MAX_CANDIDATES
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "fe80::1%eth0",
        "fe80::1",
    ],
)
def test_no_checks_are_aimed_where_no_caller_is(address: str) -> None:
    line = f"a=candidate:1 1 udp 1 {address} 5000 typ host\n"

    assert read_offer(DEVICE + line).candidates == ()


def test_few_checks_are_aimed_at_one_address() -> None:
    line = "a=candidate:1 1 udp 1 192.0.2.9 {} typ host\n"
    many = "".join(line.format(5000 + number) for number in range(9))

    assert len(read_offer(DEVICE + many).candidates) == 3


def test_candidates_that_cannot_be_read_are_passed_over() -> None:
    odd = "a=candidate:\na=candidate:1 x udp y z 0 typ host\na=candidate:1 1 udp 1 host.example 5 typ host\n"

    assert read_offer(DEVICE + odd).candidates == ()


def test_a_lite_peer_is_known_as_one() -> None:
    assert read_offer(DEVICE).ice.iceLite
    assert not read_offer(CHROMIUM).ice.iceLite


def test_what_serves_a_section_that_is_only_bundled_may_stand_in_one_that_is_rejected() -> None:
    head, audio, video, _ = SAFARI.split("\nm=")
    bundle = head.replace("BUNDLE audio video data", "BUNDLE video audio")
    bare = without(audio.replace("audio 9", "audio 0"), "a=ice", "a=fingerprint", "a=setup")
    offer = read_offer("\nm=".join([bundle, video, bare + "\na=bundle-only\n"]))

    assert offer.audio == 1
    assert offer.ice.usernameFragment == "s0Af"
    assert offer.bundle == ("audio",)


@pytest.mark.parametrize(
    ("line", "peer", "ours"),
    [
        ("a=max-message-size:65536", 65536, 262144),
        ("a=max-message-size:1000000", 1000000, 1000000),
        ("a=max-message-size:0", 0, 0),
        ("a=max-message-size:lots", 65536, 262144),
        ("", 65536, 262144),
    ],
)
def test_a_message_may_have_256_kib_whatever_the_peer_says_and_more_if_it_says_so(
    line: str, peer: int, ours: int
) -> None:
    offer = read_offer(CHROMIUM.replace("a=max-message-size:262144", line))

    assert (offer.max_message, offer.longest_message) == (peer, ours)


def test_a_payload_type_that_rtcp_would_be_mistaken_for_is_not_taken() -> None:
    offer = read_offer(
        CHROMIUM.replace("SAVPF 111", "SAVPF 72 111").replace(
            "a=rtpmap:111", "a=rtpmap:72 opus/48000/2\na=rtpmap:111"
        )
    )

    assert offer.codec == OPUS_111


def test_lines_that_do_not_concern_us_may_be_as_odd_as_they_like() -> None:
    odd = "a=ssrc:12 nothing\na=fmtp:0 x\na=extmap:x/y a b c\nb=AS:x\na=sctpmap\nz\n\n"

    assert read_offer(CHROMIUM + odd).codec == OPUS_111


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \r\n ", "empty"),
        ("hello", "not SDP"),
        ('{"type": "offer", "sdp": "v=0"}', "this is JSON: send the SDP text alone"),
        ('{"sdp": "v=0", "type": "answer"}', "of type answer, but it is the offer"),
        ('{"type":"pranswer","sdp":"v=0"}', "of type pranswer"),
        ("v=0\n" + "a" * MAX_CHARS, f"{MAX_CHARS} are the most"),
        ("v=0\ns=-\nt=0 0\n", "no section for audio or for data channels"),
        (CHROMIUM + "m=video 9 UDP/TLS/RTP/SAVPF 96\n" * 20, "22 sections, but 16"),
        (CHROMIUM.replace("m=audio 50874", "m=audio high"), "opens no section: it should read"),
        (without(CHROMIUM, "a=ice-ufrag"), "no ICE credentials"),
        (without(CHROMIUM, "a=ice-pwd"), "no ICE credentials"),
        (without(CHROMIUM, "a=fingerprint"), "no fingerprint"),
        (CHROMIUM.replace("sha-256", "sha-1"), "sha-256 (or sha-384, sha-512)"),
        (CHROMIUM.replace(DIGEST, "AB:CD"), "no fingerprint that can be checked"),
        (without(CHROMIUM, "a=group"), "not bundled"),
        (without(CHROMIUM, "a=mid:1"), "not bundled"),
        (CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0"), "a=group:BUNDLE that names them both"),
        (CHROMIUM.replace("a=mid:1", "a=mid:0"), "same a=mid"),
        (CHROMIUM.replace("a=mid:1", "a=mid:1 1"), "no name of a section"),
        (without(CHROMIUM, "a=rtcp-mux"), "lacks a=rtcp-mux"),
        (CHROMIUM.replace("setup:actpass", "setup:holdconn"), "a=setup:holdconn"),
        (CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "only taken encrypted"),
    ],
)
def test_what_is_wrong_with_an_offer_is_said(text: str, says: str) -> None:
    assert says in trouble(text)


def test_codecs_that_are_not_ours_are_listed_beside_those_that_are() -> None:
    text = CHROMIUM.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 9 13 35")

    assert trouble(text) == (
        "no codec of the audio section is supported: offered are G722/8000, CN/8000, "
        "payload type 35; supported are opus/48000, PCMU/8000, PCMA/8000"
    )


def test_our_own_answer_is_recognised_when_it_comes_back_as_an_offer() -> None:
    assert "an answer that a server wrote" in trouble(answer_to(CHROMIUM))


def settled(text: str) -> str:
    """What the caller is sent: the answer, or what is wrong."""
    try:
        return answer_to(text)
    except BadOffer as bad:
        return str(bad)


@given(st.text())
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    assert settled(text).isascii()
    assert settled("v=0\n" + text).isascii()


@given(st.sampled_from([*OFFERS.values()]), st.data())
def test_no_damage_to_an_offer_does_anything_but_have_it_read_or_refused(
    text: str, data: st.DataObject
) -> None:
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        cut = data.draw(st.integers(0, len(line)))
        lines[place] = line[:cut] + data.draw(st.text(max_size=12)) + line[cut + 1 :]

    assert settled("\n".join(lines)).isascii()
