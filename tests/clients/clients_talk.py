"""A program of this folder, run against a server, and what it tells."""

from typing import Any

import msgspec
from clients_node import HERE, run
from clients_server import Site, clean
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.laws import Laws
from vivavoce.testing.frames import check_frames, official

Json = dict[str, Any]  # what JSON decodes to


class Report(Struct, frozen=True):
    """What the client made of the conversation, the errors it reported, and what came in.

    *failure* is what kept the conversation from its end, if something did.
    """

    made: Json
    failure: str | None = None
    errors: list[Json] = []
    frames: list[Json] = []

    def judge(self, dialect: DialectName) -> None:
        """Fail over every fault of a frame and every broken law."""
        assert self.frames
        check_frames(self.frames, dialect, transport="websocket")
        laws = Laws(dialect)
        broken = [sentence for frame in self.frames for sentence in laws.see(frame)]
        broken += laws.end()
        assert not broken, "\n".join(broken)
        if dialect == "ga":
            for frame in self.frames:
                official(frame)

    def of_kind(self, kind: str) -> list[Json]:
        """The server events of that type."""
        return [frame for frame in self.frames if frame["type"] == kind]


def play(program: str, site: Site, *options: str, **settings: str) -> Report:
    """Run a program against a server; AssertionError unless its conversation gets to its end."""
    report = attempt(program, site, *options, **settings)
    story = [frame["type"] for frame in report.frames]
    assert report.failure is None, f"{report.failure}\n{report.errors}\n{story}"
    return report


def attempt(program: str, site: Site, *options: str, **settings: str) -> Report:
    """Run a program against a server, with those options of Node's, however it ends."""
    told = {"url": site.url, "key": site.key} | settings
    ran = run(
        HERE / program,
        environ=clean({"NODE_EXTRA_CA_CERTS": str(site.authority)}),
        options=options,
        told=msgspec.json.encode(told).decode(),
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return msgspec.json.decode(ran.stdout, type=Report)
