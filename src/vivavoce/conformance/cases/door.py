"""The door: who is let in, to what, in which dialect; how others are turned away; how it closes.

Every case has a session of its own, and knocks again beside it.
"""

from typing import cast

import msgspec

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import (
    Breach,
    Caller,
    Case,
    HangUp,
    NotShown,
    case,
)
from vivavoce.conformance.idiom import Json
from vivavoce.conformance.knock import Knock, Place, TurnedAway
from vivavoce.conformance.visit import Met, another, meet
from vivavoce.runtime.clock import Clock

OPENAI, AZURE, AZURE_PREVIEW = "/v1/realtime", "/openai/v1/realtime", "/openai/realtime"
BETA = "openai-beta.realtime-v1"
# Where each family of paths documents the key; everywhere else is advice.
PLACES: tuple[Place, ...] = ("api-key", "query", "bearer", "subprotocol")
DOCUMENTED: dict[bool, tuple[Place, ...]] = {
    True: ("api-key", "query"),
    False: ("bearer", "subprotocol"),
}
NOT_A_MODEL, NOT_A_PATH = "a-model-nobody-has", "/openai/v1/nowhere"
NOT_A_SUBPROTOCOL = "unheard-of.v7"
VERSIONS = ("2024-10-01-preview", "2024-12-17", "2025-04-01-preview")


def expect_away(met: Met, who: str) -> None:
    """It was not let in, and was told why."""
    if met.session is not None:
        raise Breach(f"{who} was let in", *met.told)
    if met.status is None and not met.error:
        raise Breach(f"{who} was neither let in nor told why not", *met.told)


def expect_status(met: Met, code: str | None, caller: Caller, *statuses: int) -> None:
    """The upgrade was refused so; how the body names it is advice."""
    if met.status not in statuses:
        wanted = " or ".join(map(str, statuses))
        raise Breach(f"the upgrade was refused with {met.status}, not {wanted}", *met.told)
    if not isinstance(met.error.get("message"), str):
        caller.advise("the refusal's body has no error.message", *met.told)
    elif code is not None and met.error.get("code") != code:
        caller.advise(f"error.code is {met.error.get('code')!r}, not {code!r}", *met.told)


def expect_closed(met: Met, code: str | None, closed: int) -> None:
    """There was an error event, and a close with that code."""
    if met.error.get("code") != code:
        raise Breach(f"error.code is {met.error.get('code')!r}, not {code!r}", *met.told)
    if met.closed_with != closed:
        raise Breach(f"the close is {met.farewell or 'missing'}, not {closed}", *met.told)


async def away_for_its_key(caller: Caller, key: str, code: str | None) -> None:
    """Without the right key nobody comes in, in the way of the path's family."""
    knock = Knock(key="wrong" if key == "wrong" else "none")
    met = await meet(caller, knock)
    if met.session is not None:
        other = Knock(key="none" if key == "wrong" else "wrong")
        if (await meet(caller, other)).session is not None:
            raise NotShown("the server asks for no key")
    expect_away(met, f"a client with {'a wrong' if key == 'wrong' else 'no'} key")
    if met.status is not None:
        azure_code = "401" if caller.setup.azure else code
        expect_status(met, azure_code, caller, 401)
        return
    if caller.setup.azure:
        caller.advise("Azure's paths answer the upgrade with 401", *met.told)
    expect_closed(met, code, 3000)


@case("a wrong key is refused: with 401, or on OpenAI's path an error and 3000", needs=("key",))
async def wrong_key(caller: Caller) -> None:
    await away_for_its_key(caller, "wrong", "invalid_api_key")


@case("no key at all is refused likewise", needs=("key",))
async def missing_key(caller: Caller) -> None:
    await away_for_its_key(caller, "no", None)


@case("the key is taken wherever clients of the path's family put it", needs=("key",))
async def key_places(caller: Caller) -> None:
    for place in PLACES:
        met = await meet(caller, Knock(place=place))
        if met.session is not None:
            continue
        sentence = f"the key is not taken as {place}"
        if place in DOCUMENTED[caller.setup.azure]:
            raise Breach(sentence, *met.told)
        caller.advise(sentence, *met.told)


@case("of the subprotocols that are offered realtime is chosen, and never the key")
async def subprotocols(caller: Caller) -> None:
    for offered in (("realtime",), (NOT_A_SUBPROTOCOL, "realtime")):
        await expect_subprotocol(caller, Knock(subprotocols=offered), "realtime")
    if caller.setup.keyed:
        knock = Knock(place="subprotocol", subprotocols=("realtime",))
        try:
            await expect_subprotocol(caller, knock, "realtime")
        except TurnedAway:
            caller.advise("a key among the subprotocols is refused")
    async with another(caller, Knock(subprotocols=(NOT_A_SUBPROTOCOL,))) as other:
        await other.opened()
        if other.subprotocol is not None:
            caller.advise(f"{other.subprotocol} was chosen, which the protocol does not know")


async def expect_subprotocol(caller: Caller, knock: Knock, wanted: str) -> None:
    """That one is chosen."""
    async with another(caller, knock) as other:
        await other.opened()
        # The key is among what was offered, and is not to be shown.
        if other.subprotocol != wanted:
            raise Breach(f"the subprotocol chosen is not {wanted!r}, which was offered")


@case("each path speaks its dialect; OpenAI's is asked for the preview by header or subprotocol")
async def paths(caller: Caller) -> None:
    ways: tuple[tuple[Knock, DialectName], ...] = (
        (Knock(path=AZURE, beta=False), "ga"),
        (Knock(path=AZURE_PREVIEW, beta=False), "preview"),
        (Knock(path=OPENAI, beta=False), "ga"),
        (Knock(path=OPENAI, beta=True), "preview"),
        (Knock(path=OPENAI, beta=False, subprotocols=("realtime", BETA)), "preview"),
    )
    served = set()
    for knock, dialect in ways:
        met = await meet(caller, knock, dialect)
        if met.session is None:
            continue
        served.add(knock.path)
        if ("type" in met.session) != (dialect == "ga"):
            raise Breach(f"{knock.path} should speak {dialect}", *met.told)
    if len(served) < 2:
        raise NotShown(f"of the paths there are only {caller.setup.path} is served")


@case("a slash at the end of the path makes no difference", advised=True)
async def trailing_slash(caller: Caller) -> None:
    met = await meet(caller, Knock(path=f"{caller.setup.path}/"))
    if met.session is None:
        raise Breach("the path with a slash at its end is not served", *met.told)


@case(
    "every documented api-version is served; another is served or not found",
    dialects=("preview",),
    advised=True,
)
async def api_versions(caller: Caller) -> None:
    if caller.setup.path != AZURE_PREVIEW:
        raise NotShown(f"only {AZURE_PREVIEW} has versions")
    for version in VERSIONS:
        met = await meet(caller, Knock(version=version))
        if met.session is None:
            raise Breach(f"api-version {version} is not served", *met.told)
    met = await meet(caller, Knock(version="2023-01-01-preview"))
    if met.session is None and met.status != 404:
        raise Breach("an api-version nobody knows is neither served nor not found", *met.told)


@case("an unknown intent is refused after the upgrade: invalid_intent, and a close with 4000")
async def invalid_intent(caller: Caller) -> None:
    met = await meet(caller, Knock(intent="clairvoyance"))
    expect_away(met, "an intent that does not exist")
    if met.status is not None:
        caller.advise(f"the upgrade itself was refused, with {met.status}", *met.told)
        return
    expect_closed(met, "invalid_intent", 4000)


@case("a model or deployment that is not there is not found")
async def unknown_model(caller: Caller) -> None:
    met = await meet(caller, Knock(model=NOT_A_MODEL))
    if met.session is not None:
        caller.advise("a model that nobody has is served", *met.told)
        return
    expect_away(met, "a model that nobody has")
    if met.status is None:
        if met.closed_with != 4000:
            raise Breach(f"the close is {met.farewell or 'missing'}, not 4000", *met.told)
        return
    code = "DeploymentNotFound" if caller.setup.azure else "model_not_found"
    expect_status(met, code, caller, 404, 400)


@case("a connection that names no model is served, or told that one is missing")
async def no_model(caller: Caller) -> None:
    met = await meet(caller, Knock(model=""))
    if met.session is None:
        expect_away(met, "a connection that names no model")


@case("a path that is not there is not found")
async def unknown_path(caller: Caller) -> None:
    met = await meet(caller, Knock(path=NOT_A_PATH))
    if met.session is not None or met.status is None:
        raise Breach(f"an upgrade at {NOT_A_PATH} was accepted", *met.told)
    if met.status != 404:
        caller.advise(f"the upgrade was refused with {met.status}, not 404", *met.told)


@case("what a client says before it has heard anything is not lost")
async def early_words(caller: Caller) -> None:
    async with another(caller, Knock()) as other:
        session = await other.configure(instructions="Speak of gardens only.")
        if caller.setting(session, "instructions") != "Speak of gardens only.":
            raise Breach("an early session.update had no effect", {"session": session})
        if other.events[0]["type"] != "session.created":
            raise Breach("the first event is not session.created", other.events[0])


@case("a binary frame is read as text, or refused; text is taken after it", advised=True)
async def binary_frame(caller: Caller) -> None:
    frame = msgspec.json.encode({"type": "input_audio_buffer.clear", "event_id": "binary"})
    async with another(caller, Knock()) as other:
        await other.opened()
        try:
            event = await other.attempt_raw(frame, "binary", "input_audio_buffer.cleared")
            await other.sign_of_life()
        except HangUp as hung_up:
            raise Breach(f"a binary frame ends the session: {hung_up}") from None
    if event["type"] == "error" and event["error"]["code"] != "invalid_event":
        raise Breach("a binary frame is not refused as invalid_event", event)


@case("a client that closes is answered with 1000")
async def goodbye(caller: Caller) -> None:
    async with another(caller, Knock()) as other:
        await other.opened()
    if other.farewell.partition(" ")[0] != "1000":
        raise Breach(f"the close is {other.farewell or 'missing'}, not 1000")


@case("a session ends at its expires_at: session_expired, and a close with 1001")
async def session_expiry(caller: Caller) -> None:
    expires_at = cast(float, (await caller.opened())["expires_at"])
    caller.will_take(expires_at - Clock().wall() + 1)
    await caller.hung_up()
    last: Json = caller.events[-1]
    if last["type"] != "error" or last["error"]["code"] != "session_expired":
        raise Breach("the last event is not the error session_expired", last)
    if caller.farewell.partition(" ")[0] != "1001":
        raise Breach(f"the close is {caller.farewell or 'missing'}, not 1001", last)


CASES: tuple[Case, ...] = (
    wrong_key,
    missing_key,
    key_places,
    subprotocols,
    paths,
    trailing_slash,
    api_versions,
    invalid_intent,
    unknown_model,
    no_model,
    unknown_path,
    early_words,
    binary_frame,
    goodbye,
    session_expiry,
)
