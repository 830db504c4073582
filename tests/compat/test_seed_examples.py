"""Every example of the published documents, sent as it is printed to a server out of the box.

A client program may stop at the first `error`, so none may come: neither to the example nor at any
time until the server has answered one more event behind it.
"""

from pathlib import Path

import pytest
from compat_seeds import Json, as_json, guide, objects, sent_in_guide, sent_in_quickstarts
from compat_servers import Site
from compat_wire import DELTAS, GA, PREVIEW, Frame, Line, kinds, line, of_kind, words_of

from vivavoce.conformance.catalogue import DialectName, catalogue

pytest_plugins = ["compat_fixtures"]
pytestmark = [pytest.mark.anyio, pytest.mark.shared]

# What the guide to the preview prints, in its order: events, and once a piece of a session.
PIECE = "a piece of a session"
IN_GUIDE = [
    "session.update",
    "response.create",
    "response.create",
    PIECE,
    "session.created",
    "response.create",
    "response.created",
    "response.done",
]
# And what its one program sends.
BY_GUIDE = ["response.create"]
# What each of the three programs of the quickstarts sends: JavaScript, Python and TypeScript.
BY_QUICKSTART = ["session.update", "conversation.item.create", "response.create"]

SETTING_UP, CAPITALS, CAPITALS_AND_MORE, ONLY_LISTENING, ASSISTING, IN_PROGRAM = range(6)
JAVASCRIPT, PYTHON, TYPESCRIPT = range(3)

WITHOUT_END = frozenset({kind for both in DELTAS.values() for kind in both})
ANYWHERE = WITHOUT_END | {"rate_limits.updated"}  # as often as it likes
SPOKEN_IN_PREVIEW = [
    "response.created",
    "response.output_item.added",
    "conversation.item.created",
    "response.content_part.added",
    "response.audio.done",
    "response.audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]
WRITTEN_OUTSIDE_IN_PREVIEW = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]
SPOKEN_IN_GA = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
ITEM_IN_GA = ["conversation.item.added", "conversation.item.done"]


def kind_of(printed: str) -> str:
    return str(as_json(printed).get("type", PIECE))


def client_examples(shared: Path) -> list[str]:
    """Everything that the guide to the preview has a client send; a piece in a session of it."""
    sent = [each for each in objects(shared) if kind_of(each) in {*clients("preview"), PIECE}]
    return [
        f'{{"type": "session.update", "session": {each}}}' if kind_of(each) == PIECE else each
        for each in (*sent, *sent_in_guide(shared))
    ]


def clients(dialect: DialectName) -> set[str]:
    return set(catalogue(dialect).events("client"))


def references(value: object) -> list[str]:
    """The ids of the items that an example refers to, which have to be there first."""
    match value:
        case {"type": "item_reference", "id": str(item_id)}:
            return [item_id]
        case dict():
            return [found for each in value.values() for found in references(each)]
        case list():
            return [found for each in value for found in references(each)]
    return []


def unanswered(shown: object, sent: object, path: str = "") -> list[str]:
    """The keys that are *shown* and were not sent, each with its path."""
    match shown, sent:
        case dict(), dict():
            pairs = [(f"{path}.{key}".lstrip("."), key) for key in shown]
            absent = [at for at, key in pairs if key not in sent]
            below = [unanswered(shown[key], sent[key], at) for at, key in pairs if key in sent]
            return absent + [each for some in below for each in some]
        case list(), list() if len(shown) <= len(sent):
            pairs = [(f"{path}[{at}]", at) for at in range(len(shown))]
            return [
                each for at, index in pairs for each in unanswered(shown[index], sent[index], at)
            ]
        case ((dict() | list()), _):
            return [path]
    return []


def otherwise(asked: object, effective: object, path: str = "") -> list[str]:
    """Where what is effective is not what was *asked*; it may say more."""
    if isinstance(asked, dict) and isinstance(effective, dict):
        below = [
            otherwise(asked[key], effective.get(key, "nothing"), f"{path}.{key}".lstrip("."))
            for key in asked
        ]
        return [each for some in below for each in some]
    return [] if asked == effective else [f"{path}: {effective!r} instead of {asked!r}"]


async def send(client: Line, example: str) -> list[Frame]:
    """Send an example as it is printed, behind the items it refers to; what the server says to it.

    No error may come, up to and with the answer to one event more.
    """
    for item_id in references(as_json(example)):
        content = [{"type": "input_text", "text": "What is the capital of France?"}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await client.say("conversation.item.create", item=item)
        await client.until("conversation.item.created")
    asks = kind_of(example) == "response.create"
    await client.connection.send(example)
    answer = await client.until("response.done") if asks else []
    await client.say("session.update", session={})
    answer += await client.until("session.updated")
    if not asks and kind_of(example) == "session.update":
        answer += await client.until("session.updated")  # the first was for the example
    return answer[:-1]


def told(frames: list[Frame]) -> list[str]:
    """The types of what has its place."""
    return [kind for kind in kinds(frames) if kind not in ANYWHERE]


def judge_session(example: str, answer: list[Frame], *, ignored: str = "") -> None:
    """Fail unless the session is as it was asked to be, but for a key that there is not."""
    assert told(answer) == ["session.updated"]
    differing = otherwise(as_json(example)["session"], answer[0]["session"])
    assert [each for each in differing if not ignored or ignored not in each] == []
    assert not ignored or ignored in example


def judge_speech(answer: list[Frame], order: list[str]) -> None:
    """Fail unless that is a spoken answer, whose words the response repeats."""
    assert told(answer) == order
    response = of_kind(answer, "response.done")[0]["response"]
    assert (response["status"], len(response["output"])) == ("completed", 1)
    assert response["output"][0]["content"][0]["transcript"] == words_of(answer) != ""
    assert {kind for kind in kinds(answer) if kind in DELTAS["audio"]}


def test_no_example_of_the_guide_is_lost(shared: Path) -> None:
    printed = objects(shared)

    assert [kind_of(each) for each in printed] == IN_GUIDE
    assert [kind_of(each) for each in sent_in_guide(shared)] == BY_GUIDE
    assert len(client_examples(shared)) == 6
    # However it is set, nothing that names the type of an event stands anywhere else.
    events = {*clients("preview"), *catalogue("preview").events("server")}
    mentions = [guide(shared).count(f'type": "{kind}"') for kind in events]
    assert sum(mentions) == len(IN_GUIDE) - IN_GUIDE.count(PIECE)
    assert guide(shared).count('type: "') == len(BY_GUIDE)
    # They are sent as they are printed.
    assert [each for each in printed if each not in guide(shared)] == []
    assert sum(printed[at].count(",\n}") + printed[at].count(",\n]") for at in range(8)) == 4


def test_no_example_of_the_quickstarts_is_lost(shared: Path) -> None:
    programs = sent_in_quickstarts(shared)

    assert [[kind_of(each) for each in program] for program in programs] == [BY_QUICKSTART] * 3
    assert ["type" in as_json(program[0])["session"] for program in programs] == [True, False, True]
    # With the commas and the slip of the pen that are printed there.
    assert [program[0].count(", }") for program in programs] == [2, 4, 2]
    assert ["create_responese" in program[0] for program in programs] == [False, True, False]


@pytest.mark.parametrize("example", [SETTING_UP, ONLY_LISTENING])
async def test_a_session_takes_the_settings_of_the_guide(
    embedded: Site, shared: Path, example: int
) -> None:
    printed = client_examples(shared)[example]

    async with line(embedded, PREVIEW, dialect="preview") as client:
        answer = await send(client, printed)

    judge_session(printed, answer)


@pytest.mark.parametrize("example", [CAPITALS, CAPITALS_AND_MORE])
async def test_an_answer_outside_the_conversation_is_written_as_the_guide_asks(
    embedded: Site, shared: Path, example: int
) -> None:
    printed = client_examples(shared)[example]
    asked = as_json(printed)["response"]

    async with line(embedded, PREVIEW, dialect="preview") as client:
        answer = await send(client, printed)

    assert told(answer) == WRITTEN_OUTSIDE_IN_PREVIEW
    created, done = answer[0]["response"], of_kind(answer, "response.done")[0]["response"]
    assert (created["conversation_id"], done["status"]) == (None, "completed")
    assert created["metadata"] == done["metadata"] == asked.get("metadata")
    assert (done["modalities"], len(done["output"])) == (["text"], 1)
    assert done["output"][0]["content"][0]["text"] == words_of(answer) != ""


@pytest.mark.parametrize("example", [ASSISTING, IN_PROGRAM])
async def test_an_answer_is_spoken_as_the_guide_asks(
    embedded: Site, shared: Path, example: int
) -> None:
    async with line(embedded, PREVIEW, dialect="preview") as client:
        answer = await send(client, client_examples(shared)[example])

    judge_speech(answer, SPOKEN_IN_PREVIEW)


async def test_the_guide_can_be_followed_from_its_beginning_to_its_end_in_one_session(
    embedded: Site, shared: Path
) -> None:
    examples = client_examples(shared)

    async with line(embedded, PREVIEW, dialect="preview") as client:
        answers = [told(await send(client, example)) for example in examples]

    assert answers == [
        ["session.updated"],
        WRITTEN_OUTSIDE_IN_PREVIEW,
        WRITTEN_OUTSIDE_IN_PREVIEW,
        ["session.updated"],
        SPOKEN_IN_PREVIEW,
        SPOKEN_IN_PREVIEW,
    ]


async def test_what_the_guide_refers_to_has_to_be_there(embedded: Site, shared: Path) -> None:
    printed = client_examples(shared)[CAPITALS_AND_MORE]

    async with line(embedded, PREVIEW, dialect="preview") as client:
        await client.connection.send(printed)
        refused = await client.next()

    assert references(as_json(printed)) == ["existing_conversation_item_id"]
    assert refused["error"]["param"] == "response.input[0].id"


async def test_every_key_of_the_events_in_the_guide_is_sent(embedded: Site, shared: Path) -> None:
    printed = [as_json(each) for each in objects(shared)]
    shown: list[Json] = [each for each in printed if each.get("event_id")]
    assert [each["type"] for each in shown] == [
        "session.created",
        "response.created",
        "response.done",
    ]

    async with line(embedded, PREVIEW, dialect="preview") as client:
        await send(client, client_examples(shared)[ASSISTING])

    for event in shown:
        (sent,) = of_kind(client.witness.frames, event["type"])
        assert unanswered(event, sent) == []


@pytest.mark.parametrize("program", [JAVASCRIPT, PYTHON, TYPESCRIPT])
async def test_a_quickstart_gets_the_answers_it_waits_for(
    embedded: Site, shared: Path, program: int
) -> None:
    set_up, item, respond = sent_in_quickstarts(shared)[program]
    text = as_json(item)["item"]["content"][0]["text"]

    async with line(embedded, GA) as client:
        updated = await send(client, set_up)
        created = await send(client, item)
        answer = await send(client, respond)

    judge_session(set_up, updated, ignored="create_responese" if program == PYTHON else "")
    assert told(created) == ITEM_IN_GA
    assert [each["item"]["content"][0]["text"] for each in created] == [text, text]
    judge_speech(answer, SPOKEN_IN_GA)


@pytest.mark.parametrize("program", [JAVASCRIPT, PYTHON, TYPESCRIPT])
async def test_a_quickstart_may_send_everything_at_once(
    embedded: Site, shared: Path, program: int
) -> None:
    async with line(embedded, GA) as client:
        for example in sent_in_quickstarts(shared)[program]:
            await client.connection.send(example)
        heard = await client.until("response.done")
        await client.say("session.update", session={})
        heard += await client.until("session.updated")

    assert told(heard) == ["session.updated", *ITEM_IN_GA, *SPOKEN_IN_GA, "session.updated"]
