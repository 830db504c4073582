"""What a client secret locks never reaches its holder: two canaries, and every byte searched.

One canary survives every way to write text down, the other is changed by each of them. They are in
all that the secret locks, in what the tool is asked and answers, in a system message and in the
words with which an engine fails. A server of the operator's joins by sideband and sees them all.
"""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import msgspec
import pytest
from compat_calls import CALLS, Caller, calling, idle_offer, post_offer
from compat_servers import KEY, PATIENCE_S, Site, served
from compat_wire import Frame, Line, Witness, line, of_kind, sideband, words_of, written

from vivavoce.config import Config
from vivavoce.conformance.catalogue import DialectName, Transport

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

PLAIN, CHANGING = "zanzibar7canary", 'zř"\\/\N{BIRD}\x7fcanary'
# Often enough that either half of it holds both of them whole: some events bring halves.
CANARIES = " ".join([PLAIN, CHANGING] * 4)
TOOL_NAME = f"{PLAIN}_lookup"
TOOL: Frame = {
    "type": "function",
    "name": TOOL_NAME,
    "description": f"Says {CANARIES}.",
    "parameters": {
        "type": "object",
        "properties": {PLAIN: {"type": "string", "description": CANARIES, "enum": [CANARIES]}},
        "required": [PLAIN],
    },
}
NAMED: dict[DialectName, Frame] = {
    "ga": {"type": "function", "name": TOOL_NAME},
    "preview": {"type": "function", "name": TOOL_NAME},
}
LOCKED = ("instructions", "tools", "tool_choice", "voice")
VOICE = "cedar"


def toml(text: str) -> str:
    """As a string of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


SCENARIO = f"""
[[turn]]
hears = "look it up"
[[turn.call]]
name = "{TOOL_NAME}"
arguments = {{ {PLAIN} = {toml(CANARIES)} }}

[[turn]]
after_call = "."
say = "I have looked."

[[turn]]
hears = "break down"
say = "Oh dear."
fail = {toml(CANARIES)}
fail_after_words = 1

[[turn]]
hears = "."
say = "Good day."

[speech]
ms_per_character = 10
"""


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose model has a secret tool."""
    folder = tmp_path_factory.mktemp("knowing")
    file = folder / "scenario.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    with served(Config(api_keys=(KEY,), data_dir=folder, scenario=file)) as site:
        yield site


# The search.


def written_down(canary: str) -> set[bytes]:
    """All ways in which it could stand in a frame, in lower case."""
    escaped = json_forms(canary)
    # JSON in a string of JSON's, as a function's arguments are.
    escaped = escaped.union(*map(json_forms, escaped))
    texts = {canary, quote(canary), quote(canary, safe=""), *escaped}
    found = {text.encode() for text in texts}
    for encoding in ("utf-8", "utf-16-le"):
        raw = canary.encode(encoding)
        found |= {raw, raw.hex().encode()}
        # Base64 of what has it at each place modulo three, without the ends, which depend on more.
        found |= {base64.b64encode(bytes(at) + raw)[4:-4] for at in range(3)}
    return {each.lower() for each in found}


def json_forms(text: str) -> set[str]:
    """What may stand between the quotes of a string of JSON's."""
    written = {json.dumps(text), json.dumps(text, ensure_ascii=False), as_json(text)}
    return {form[1:-1] for each in written for form in (each, each.replace("/", "\\/"))}


def as_json(value: object) -> str:
    """As the server writes it."""
    return msgspec.json.encode(value).decode()


SPELLINGS = {canary: written_down(canary) for canary in (PLAIN, CHANGING)}


def sung(raw: bytes) -> set[str]:
    """The canaries that can be found in there."""
    lowered = raw.lower()
    return {
        canary
        for canary, spellings in SPELLINGS.items()
        if any(each in lowered for each in spellings)
    }


def heard_in(witness: Witness) -> set[str]:
    """The canaries in any frame of a connection, or in what the deltas of one kind make together."""
    deltas: dict[str, str] = {}
    for frame in witness.frames:
        if isinstance(delta := frame.get("delta"), str):
            deltas[frame["type"]] = deltas.get(frame["type"], "") + delta
    pieces = [*witness.raw, *(each.encode() for each in deltas.values())]
    return set().union(*map(sung, pieces))


@pytest.mark.parametrize("canary", [PLAIN, CHANGING])
@pytest.mark.parametrize(
    "write",
    [
        lambda text: json.dumps({"instructions": f"Sing {text}!"}),
        lambda text: json.dumps({"instructions": f"Sing {text}!"}, ensure_ascii=False),
        lambda text: json.dumps({"arguments": json.dumps({"city": text})}),
        lambda text: as_json({"arguments": as_json({"city": text})}),
        lambda text: quote(f"Sing {text}!"),
        lambda text: base64.b64encode(f"Sing {text}!".encode()).decode(),
        lambda text: base64.b64encode(f"Sings {text}!".encode("utf-16-le")).decode(),
        lambda text: f"Sing {text}!".encode().hex().upper(),
    ],
)
def test_the_search_finds_a_canary_however_it_is_written(canary: str, write: Any) -> None:
    assert sung(write(canary).encode()) == {canary}


def test_either_half_of_what_is_hidden_holds_both_canaries() -> None:
    arguments = msgspec.json.encode({PLAIN: CANARIES})
    assert sung(arguments[: len(arguments) // 2]) == {PLAIN, CHANGING}
    assert sung(arguments[len(arguments) // 2 :]) == {PLAIN, CHANGING}


# The browser.


class Browser(Protocol):
    """What a page does over either transport."""

    witness: Witness
    call_id: str | None

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""

    async def until(self, kind: str) -> list[Frame]:
        """The events up to the next of that type."""
        ...


class OnLine:
    """A page with a WebSocket."""

    def __init__(self, held: Line) -> None:
        self.witness = held.witness
        self.call_id: str | None = None
        self.say = held.say
        self.until = held.until


class OnCall:
    """A page with a peer connection."""

    def __init__(self, caller: Caller) -> None:
        self.witness = caller.witness
        self.call_id: str | None = caller.call_id
        self.until = caller.until
        self._caller = caller

    async def say(self, kind: str, **fields: Any) -> None:  # whatever the event takes
        """Send an event."""
        self._caller.say(kind, **fields)


async def made(site: Site, dialect: DialectName, **more: Any) -> tuple[str, bytes]:
    """A secret that locks what sings, and the answer in which it came."""
    session: Frame = {
        "instructions": CANARIES,
        "tools": [TOOL],
        "tool_choice": NAMED[dialect],
    }
    if dialect == "ga":
        path = "/v1/realtime/client_secrets"
        session |= {"type": "realtime", "audio": {"output": {"voice": VOICE}}}
        body = {"session": session}
    else:
        path = "/v1/realtime/sessions"
        body = session | {"voice": VOICE}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.post(
            site.url + path,
            headers={"Authorization": f"Bearer {site.key}"},
            json={**body, "locked": LOCKED, **more},
        )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    token: str = (found.get("client_secret") or found)["value"]
    return token, answer.content


@asynccontextmanager
async def browsing(
    site: Site, dialect: DialectName, transport: Transport, token: str
) -> AsyncIterator[Browser]:
    """A page that holds the secret and has begun a session."""
    if transport == "websocket":
        path = "/v1/realtime" if dialect == "ga" else "/openai/realtime?api-version=2024-12-17"
        protocols = ["realtime", f"openai-insecure-api-key.{token}"]
        async with line(
            site, path, dialect=dialect, headers={}, subprotocols=protocols, finished=False
        ) as held:
            yield OnLine(held)
    else:
        path = CALLS if dialect == "ga" else "/v1/realtime"
        async with calling(site, path, key=token, dialect=dialect, finished=False) as caller:
            yield OnCall(caller)


ATTEMPTS: dict[DialectName, list[tuple[str, str, Frame]]] = {
    "ga": [
        ("session.instructions", "session.update", {"session": {"instructions": "Hm."}}),
        ("session.tools", "session.update", {"session": {"tools": []}}),
        ("session.tool_choice", "session.update", {"session": {"tool_choice": "none"}}),
        (
            "session.audio.output.voice",
            "session.update",
            {"session": {"audio": {"output": {"voice": "ash"}}}},
        ),
        (
            "response.audio.output.voice",
            "response.create",
            {"response": {"audio": {"output": {"voice": "ash"}}}},
        ),
    ],
    "preview": [
        ("session.instructions", "session.update", {"session": {"instructions": "Hm."}}),
        ("session.tools", "session.update", {"session": {"tools": []}}),
        ("session.tool_choice", "session.update", {"session": {"tool_choice": "none"}}),
        ("session.voice", "session.update", {"session": {"voice": "ash"}}),
        ("response.voice", "response.create", {"response": {"voice": "ash"}}),
    ],
}
SYSTEM: Frame = {
    "type": "message",
    "role": "system",
    "content": [{"type": "input_text", "text": CANARIES}],
}
OUTPUT: Frame = {"type": "function_call_output", "call_id": "call_nowhere", "output": "It rains."}
BOTH: list[tuple[str, str, Frame]] = [
    ("response.instructions", "response.create", {"response": {"instructions": "Hm."}}),
    ("response.tools", "response.create", {"response": {"tools": [TOOL]}}),
    ("response.tool_choice", "response.create", {"response": {"tool_choice": NAMED["ga"]}}),
    ("item.role", "conversation.item.create", {"item": {**SYSTEM, "content": []}}),
    ("item.type", "conversation.item.create", {"item": OUTPUT}),
    ("response.input[0].type", "response.create", {"response": {"input": [OUTPUT]}}),
]


async def refused(page: Browser, kind: str, **fields: Any) -> Frame:
    """The error that answers that event, after which the session goes on."""
    await page.say(kind, event_id="attempt", **fields)
    error: Frame = (await page.until("error"))[-1]["error"]
    await page.say("input_audio_buffer.clear")
    await page.until("input_audio_buffer.cleared")
    return error


async def overrides(page: Browser, dialect: DialectName) -> None:
    """Nothing that is locked can be set, and the error says which field it was."""
    wrapped = {"type": "realtime"} if dialect == "ga" else {}
    for param, kind, fields in ATTEMPTS[dialect] + BOTH:
        if "session" in fields:
            fields = {"session": {**wrapped, **fields["session"]}}
        # Of what it sends itself it may hear again; nothing here repeats it.
        error = await refused(page, kind, **fields)
        assert (error["code"], error["param"]) == ("forbidden_field", param), error
        assert error["event_id"] == "attempt"
        assert "client secret" in error["message"]
    # Wrong as well as forbidden.
    for wrong in ({"tools": 5}, {"tools": [{"type": "function"}]}, {"instructions": 5}):
        error = await refused(page, "session.update", session={**wrapped, **wrong})
        assert error["param"].startswith("session.")


async def settings(page: Browser, server: Line, dialect: DialectName) -> None:
    """Whoever changes settings, the page sees blanks in place of what is locked."""
    wrapped: Frame = {"type": "realtime"}
    unlocked: Frame = (
        {**wrapped, "output_modalities": ["audio"]}
        if dialect == "ga"
        else {"modalities": ["audio", "text"]}
    )
    await page.say("session.update", session=unlocked)
    mine = (await page.until("session.updated"))[-1]["session"]
    known = (await server.until("session.updated"))[-1]["session"]
    assert (known["instructions"], known["tools"]) == (CANARIES, [TOOL])
    assert known["tool_choice"] == NAMED["ga"]
    assert known["audio"]["output"]["voice"] == VOICE
    again = {**TOOL, "description": f"And now {CANARIES}."}
    await server.say(
        "session.update",
        session={**wrapped, "instructions": f"Now {CANARIES}", "tools": [again]},
    )
    known = (await server.until("session.updated"))[-1]["session"]
    assert known["tools"] == [again]
    theirs = (await page.until("session.updated"))[-1]["session"]
    for seen in (page.witness.frames[0]["session"], mine, theirs):
        assert (seen["instructions"], seen["tools"], seen["tool_choice"]) == ("", [], "auto")


async def tool_runs(page: Browser, server: Line) -> list[str]:
    """The sideband answers the function call. The ids of the items that are hidden from the page."""
    await page.say("conversation.item.create", item=written("Please look it up."))
    await page.say("response.create")
    done = (await server.until("response.done"))[-1]["response"]
    (call,) = done["output"]
    assert (call["name"], call["arguments"]) == (
        TOOL_NAME,
        as_json({PLAIN: CANARIES}),
    )
    assert (await page.until("response.done"))[-1]["response"]["output"] == []
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": CANARIES}
    hidden = [call["id"]]
    for item in (result, SYSTEM):
        await server.say("conversation.item.create", item=item)
        hidden.append((await server.until("conversation.item.done"))[-1]["item"]["id"])
    await server.say("session.update", session={"type": "realtime", "tool_choice": "auto"})
    await server.say("response.create")
    told = await page.until("response.done")
    assert words_of(told) == "I have looked."
    assert words_of(await server.until("response.done")) == "I have looked."
    assert told[-1]["response"]["output"][0]["content"]
    # Until somebody names them, not even their ids are known to the page.
    for name in (*hidden, call["call_id"]):
        assert not [raw for raw in page.witness.raw if name.encode() in raw]
    return hidden


async def pries(page: Browser, hidden: list[str]) -> None:
    """By an id that it got from elsewhere, the page learns no more than by one that is made up."""
    for kind, fields in (
        ("conversation.item.retrieve", {"item_id": "{}"}),
        ("conversation.item.delete", {"item_id": "{}"}),
        (
            "conversation.item.truncate",
            {"item_id": "{}", "content_index": 0, "audio_end_ms": 0},
        ),
        (
            "conversation.item.create",
            {"item": written("After you."), "previous_item_id": "{}"},
        ),
        (
            "response.create",
            {"response": {"input": [{"type": "item_reference", "id": "{}"}]}},
        ),
    ):
        template = as_json(fields)
        errors = [
            await refused(page, kind, **msgspec.json.decode(template.replace("{}", name)))
            for name in ("item_madeUp", *hidden)
        ]
        told = {
            as_json(error).replace(name, "{}")
            for error, name in zip(errors, ("item_madeUp", *hidden), strict=True)
        }
        assert len(told) == 1, told


async def engine_fails(page: Browser, server: Line) -> None:
    """Why it failed is told to the server alone."""
    await page.say("conversation.item.create", item=written("Now break down."))
    await page.say("response.create")
    told = (await page.until("response.done"))[-1]["response"]
    assert told["status"] == "failed"
    known = (await server.until("response.done"))[-1]["response"]
    assert CANARIES in known["status_details"]["error"]["message"]


async def sees(server: Line, hidden: list[str]) -> None:
    """The sideband can have every item."""
    for item_id in hidden:
        await server.say("conversation.item.retrieve", item_id=item_id)
        item = (await server.until("conversation.item.retrieved"))[-1]["item"]
        assert sung(msgspec.json.encode(item)) == {PLAIN, CHANGING}


@pytest.mark.parametrize("dialect", ["ga", "preview"])
@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_no_byte_to_the_browser_holds_what_its_secret_locks(
    knowing: Site, transport: Transport, dialect: DialectName
) -> None:
    token, answer = await made(knowing, dialect)
    assert sung(answer) == set()
    async with browsing(knowing, dialect, transport, token) as page:
        name = page.call_id or page.witness.frames[0]["session"]["id"]
        path = f"/v1/realtime?call_id={name}"
        async with sideband(knowing, path, transport=transport) as server:
            await overrides(page, dialect)
            await settings(page, server, dialect)
            hidden = await tool_runs(page, server)
            await pries(page, hidden)
            await engine_fails(page, server)
            await sees(server, hidden)
            await page.say("conversation.item.create", item=written("Good day."))
            await page.say("response.create")
            told = await page.until("response.done")
            assert words_of(told) == "Good day."
            assert not [name for name in hidden if name in as_json(told)]
    assert heard_in(page.witness) == set()
    assert not [raw for raw in page.witness.raw if VOICE.encode() in raw]
    assert heard_in(server.witness) == {PLAIN, CHANGING}


async def test_a_page_without_locks_reads_what_would_have_been_locked(knowing: Site) -> None:
    """So that the search is known to find it where it is."""
    token, answer = await made(knowing, "ga", locked=[])
    assert sung(answer) == {PLAIN, CHANGING}
    async with browsing(knowing, "ga", "websocket", token) as page:
        await page.say("conversation.item.create", item=written("Please look it up."))
        await page.say("response.create")
        told = await page.until("response.done")
    deltas = of_kind(told, "response.function_call_arguments.delta")
    assert [sung(msgspec.json.encode(each)) for each in deltas] == [{PLAIN, CHANGING}] * 2
    assert heard_in(page.witness) == {PLAIN, CHANGING}


@pytest.mark.parametrize(
    ("dialect", "path", "param", "session"),
    [
        ("ga", CALLS, "session.instructions", {"type": "realtime", "instructions": "Hm."}),
        ("ga", CALLS, "session.tools", {"type": "realtime", "tools": []}),
        ("preview", "/v1/realtime", "session.voice", {"voice": "ash"}),
    ],
)
async def test_a_call_cannot_be_begun_with_what_the_secret_locks(
    knowing: Site, dialect: DialectName, path: str, param: str, session: Frame
) -> None:
    token, _ = await made(knowing, dialect)
    answer = await post_offer(
        knowing, path, await idle_offer(), key=token, session=msgspec.json.encode(session)
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "forbidden_field", param)
    assert sung(answer.content) == set()
