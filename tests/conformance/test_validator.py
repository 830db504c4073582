"""The validator: what it lets pass, and that it catches every fault it can be given."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vivavoce.conformance.catalogue import (
    Dialect,
    DialectName,
    Direction,
    Field,
    Fields,
    catalogue,
)
from vivavoce.conformance.validator import faults
from vivavoce.testing.frames import check_frames, official

ROOT = Path(__file__).resolve().parents[2]
DIALECTS: tuple[DialectName, ...] = ("ga", "preview")
DIRECTIONS: tuple[Direction, ...] = ("server", "client")
KINDS = [
    (dialect, direction, kind)
    for dialect in DIALECTS
    for direction in DIRECTIONS
    for kind in catalogue(dialect).events(direction)
]
EACH_KIND = pytest.mark.parametrize(("dialect", "direction", "kind"), KINDS)
GA_KINDS = sorted(catalogue("ga").server)

Frame = dict[str, Any]  # a wire event as JSON decodes it
# An object of a specimen: where it stands, the object itself, and the keys it may have.
Place = tuple[str, Frame, Fields]

MOST_ALTERNATIVES = 10


class Specimen:
    """A frame built from the catalogue alone, which remembers every object it is made of.

    It has all keys if *whole*, else those that may not be missing. Where several kinds of a value
    are allowed it takes the one numbered *choice*, so that the choices together show them all.
    """

    def __init__(
        self, schema: Dialect, direction: Direction, kind: str, *, choice: int, whole: bool
    ) -> None:
        self._schema = schema
        self._server = direction == "server"
        self._choice = choice
        self._whole = whole
        self.places: list[Place] = []
        self.frame = self._object("", schema.events(direction)[kind].fields)

    def _object(self, path: str, fields: Fields) -> Frame:
        made: Frame = {}
        self.places.append((path, made, fields))
        for key, field in fields.items():
            if self._whole or field.required or self.always(field):
                made[key] = self._value(f"{path}.{key}" if path else key, field)
        return made

    def always(self, field: Field) -> bool:
        return self._server and field.emit == "always"

    def _value(self, path: str, field: Field) -> object:
        options: list[object] = []
        for kind in field.types:
            if kind == "object" and field.of:
                options += self._allowed(field.of)
            else:
                options.append(kind)
        chosen = options[self._choice % len(options)]
        match chosen:
            case "string":
                return field.const or next((e for e in field.enum if isinstance(e, str)), "AAAA")
            case "integer" | "number":
                return next((e for e in field.enum if isinstance(e, int)), int(field.min or 0) + 1)
            case "boolean":
                return True
            case "array":
                return self._array(path, field)
            case "object":
                return {"topic": "bread"}
        assert isinstance(chosen, dict)
        return self._object(path, chosen)

    def _array(self, path: str, field: Field) -> list[object]:
        if field.items_of:
            kinds = self._allowed(field.items_of)
            return [self._object(f"{path}[{at}]", kind) for at, kind in enumerate(kinds)]
        item = field.items or "string"
        return [self._value(f"{path}[0]", Field(type=item, enum=field.enum))]

    def _allowed(self, names: tuple[str, ...]) -> list[Fields]:
        kinds = [self._schema.objects[name] for name in names]
        return [
            kind
            for kind in kinds
            if not (self._server and any(field.emit == "never" for field in kind.values()))
        ]


def specimens(dialect: DialectName, direction: Direction, kind: str) -> Iterator[Specimen]:
    """Every different specimen of an event."""
    seen = set()
    for whole in (False, True):
        for choice in range(MOST_ALTERNATIVES):
            made = Specimen(catalogue(dialect), direction, kind, choice=choice, whole=whole)
            text = json.dumps(made.frame)
            if text not in seen:
                seen.add(text)
                yield made


def sent(dialect: DialectName, direction: Direction, kind: str) -> bool:
    return catalogue(dialect).events(direction)[kind].emit != "never"


FITTING: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def wrong(field: Field) -> Iterator[object]:
    """Values that *field* may not have."""
    allowed = {cls for kind in field.types for cls in FITTING[kind]}
    values: tuple[object, ...] = (7, 1.5, "x", True, [], {})
    yield from (value for value in values if type(value) not in allowed)
    if not field.nullable:
        yield None
    closed = field.const is not None or (field.enum and not field.enum_open)
    if closed and "string" in field.types:
        yield "no such word"
    if closed and field.type == "array":
        yield ["no such word"]
    if field.min is not None:
        yield field.min - 1
    if field.max is not None:
        yield field.max + 1
    if field.max_length is not None:
        yield "x" * (field.max_length + 1)
    if field.pattern is not None:
        yield "?!"
    if field.max_properties is not None:
        yield {str(number): "x" for number in range(field.max_properties + 1)}
        yield {"topic": 7}
    if field.items_of or field.items:
        yield [None]


def is_caught(found: list[str], parent: str, key: str) -> bool:
    """Whether a fault is told of the key itself, or within the object whose kind it decided."""
    path = f"{parent}.{key}" if parent else key
    return any(re.match(rf"{re.escape(parent or path)}[:.\[]", fault) for fault in found)


@EACH_KIND
def test_a_frame_built_from_the_catalogue_has_no_fault(
    dialect: DialectName, direction: Direction, kind: str
) -> None:
    expected = [] if sent(dialect, direction, kind) else [f"type: {dialect} never sends {kind!r}"]

    for specimen in specimens(dialect, direction, kind):
        assert faults(specimen.frame, dialect, direction) == expected, specimen.frame


@EACH_KIND
def test_a_key_that_may_not_be_missing_is_missed(
    dialect: DialectName, direction: Direction, kind: str
) -> None:
    for specimen in specimens(dialect, direction, kind):
        for path, place, fields in specimen.places:
            for key in [k for k in place if fields[k].required or specimen.always(fields[k])]:
                if (path, key) == ("", "type"):
                    continue
                value = place.pop(key)
                assert is_caught(faults(specimen.frame, dialect, direction), path, key), (path, key)
                place[key] = value


@EACH_KIND
def test_an_unknown_key_is_caught_at_every_depth(
    dialect: DialectName, direction: Direction, kind: str
) -> None:
    for specimen in specimens(dialect, direction, kind):
        for path, place, _ in specimen.places:
            place["surprise"] = 1
            found = faults(specimen.frame, dialect, direction)
            assert is_caught(found, path, "surprise"), path
            del place["surprise"]


@EACH_KIND
def test_a_wrong_value_is_caught_in_every_key(
    dialect: DialectName, direction: Direction, kind: str
) -> None:
    for specimen in specimens(dialect, direction, kind):
        for path, place, fields in specimen.places:
            for key, right in list(place.items()):
                for value in wrong(fields[key]):
                    place[key] = value
                    found = faults(specimen.frame, dialect, direction)
                    assert is_caught(found, path, key), (path, key, value)
                place[key] = right


@pytest.mark.parametrize("kind", GA_KINDS)
def test_a_ga_frame_built_from_the_catalogue_is_one_to_the_official_types(kind: str) -> None:
    for specimen in specimens("ga", "server", kind):
        for path, place, _ in specimen.places:
            if path == "response.audio.output" and "voice" in place:
                place["voice"] = "cedar"  # these types know no voice of a client's own here
        assert official(specimen.frame).type == kind


@pytest.mark.parametrize("kind", [k for k in GA_KINDS if k != "input_audio_buffer.cleared"])
def test_the_official_types_are_asked_strictly(kind: str) -> None:
    specimen = next(specimens("ga", "server", kind))
    key = next(key for key in specimen.frame if key not in ("type", "event_id"))
    specimen.frame[key] = 1.5 if not isinstance(specimen.frame[key], float) else "x"

    with pytest.raises(ValueError, match=key):
        official(specimen.frame)


GA_ITEM = {
    "id": "item_1",
    "object": "realtime.item",
    "type": "message",
    "status": "in_progress",
    "role": "assistant",
    "content": [],
}
GA_ADDED = {
    "type": "conversation.item.added",
    "event_id": "event_1",
    "previous_item_id": None,
    "item": GA_ITEM,
}
PREVIEW_ADDED = GA_ADDED | {"type": "conversation.item.created"}


def ga_added(**item: object) -> Frame:
    return GA_ADDED | {"item": GA_ITEM | item}


def preview_added(**item: object) -> Frame:
    return PREVIEW_ADDED | {"item": GA_ITEM | item}


def in_part(kind: str, **more: object) -> Frame:
    return {
        "type": kind,
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
    } | more


def in_call(kind: str, **more: object) -> Frame:
    return {
        "type": kind,
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "call_id": "call_1",
    } | more


AUDIO_PART = {"type": "audio", "transcript": ""}
OUTPUT_OF_CALL = {
    "id": "item_2",
    "object": "realtime.item",
    "type": "function_call_output",
    "status": "completed",
    "call_id": "call_1",
    "output": "sunny",
}
RETRIEVED = {
    "type": "conversation.item.retrieved",
    "event_id": "event_1",
    "item": GA_ITEM
    | {
        "status": "completed",
        "content": [
            {"type": "output_audio", "transcript": "hello", "audio": "AAAA", "format": "pcm16"}
        ],
    },
}
CALLED = in_call("response.function_call_arguments.done", name="weather", arguments="{}")

DECISIONS: list[tuple[DialectName, Frame]] = [
    ("ga", GA_ADDED),
    ("ga", ga_added(phase="final_answer")),
    ("ga", RETRIEVED),
    ("preview", PREVIEW_ADDED),
    ("ga", GA_ADDED | {"item": OUTPUT_OF_CALL}),
    ("preview", PREVIEW_ADDED | {"item": OUTPUT_OF_CALL}),
    ("ga", in_part("response.content_part.added", part=AUDIO_PART)),
    ("ga", in_part("response.content_part.added", part=AUDIO_PART, content=AUDIO_PART)),
    ("preview", in_part("response.content_part.done", part=AUDIO_PART, content=AUDIO_PART)),
    ("ga", in_part("response.output_text.delta", delta="He")),
    ("ga", in_part("response.output_text.delta", delta="He", obfuscation="x9Rt4")),
    ("ga", CALLED),
    ("preview", CALLED),
]


@pytest.mark.parametrize(("dialect", "frame"), DECISIONS)
def test_what_this_server_chose_to_send_has_no_fault(dialect: DialectName, frame: Frame) -> None:
    assert faults(frame, dialect) == []


def without(frame: Frame, key: str) -> Frame:
    return {k: v for k, v in frame.items() if k != key}


SPOKEN = {"type": "input_audio", "transcript": None}
TYPED = {"type": "input_text", "text": "hello"}

FAULTY: list[tuple[DialectName, Frame, str]] = [
    ("ga", {"event_id": "event_1"}, "type: absent or not a string"),
    ("ga", PREVIEW_ADDED, "type: ga never sends 'conversation.item.created'"),
    ("preview", GA_ADDED, "type: preview has no server event 'conversation.item.added'"),
    ("ga", without(GA_ADDED, "item"), "item: absent"),
    ("ga", without(GA_ADDED, "previous_item_id"), "previous_item_id: absent, but always sent"),
    ("preview", without(PREVIEW_ADDED, "previous_item_id"), "previous_item_id: absent"),
    ("ga", GA_ADDED | {"item": None}, "item: an object expected, not null"),
    ("ga", ga_added(role="tool"), "item: no kind has type 'message' and role 'tool'"),
    ("ga", ga_added(type="call"), "item: no kind has type 'call' and role 'assistant'"),
    ("ga", GA_ADDED | {"item": without(GA_ITEM, "type")}, "item.type: absent"),
    ("ga", ga_added(object="item"), "item.object: 'item' is not 'realtime.item'"),
    ("ga", ga_added(content=[SPOKEN]), "item.content[0]: no kind has type 'input_audio'"),
    ("ga", ga_added(role="user", content=[SPOKEN, TYPED | {"text": 3}]),
     "item.content[1].text: a string expected, not an integer"),
    ("ga", ga_added(content=[{"type": "output_audio"}]),
     "item.content[0].transcript: absent, but always sent"),
    ("preview", preview_added(content=[{"type": "output_audio", "transcript": ""}]),
     "item.content[0]: no kind has type 'output_audio'"),
    ("preview", preview_added(type="function_call"), "item.role: unknown"),
    ("ga", in_part("response.content_part.added", part=AUDIO_PART | {"text": None}),
     "part.text: unknown"),
    ("ga", in_part("response.output_text.delta", delta="", output_index=True),
     "output_index: an integer expected, not a boolean"),
    ("ga", in_part("response.output_text.delta", delta="", output_index=-1),
     "output_index: -1 is below 0"),
    ("preview", in_part("response.text.delta", delta="He", obfuscation="x9Rt4"),
     "obfuscation: unknown"),
    ("preview", without(CALLED, "name"), "name: absent, but always sent"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "frame", "fault"), FAULTY)
def test_a_fault_is_told_with_its_path(dialect: DialectName, frame: Frame, fault: str) -> None:
    assert fault in faults(frame, dialect)


def with_format(**audio_format: object) -> Frame:
    session = {"type": "realtime", "audio": {"input": {"format": audio_format}}}
    return {"type": "session.update", "session": session}


def test_a_rate_that_no_one_speaks_is_told() -> None:
    assert faults(with_format(type="audio/pcm", rate=24000), "ga", "client") == []
    assert faults(with_format(type="audio/pcm", rate=16000), "ga", "client") == [
        "session.audio.input.format.rate: 16000 is not 24000"
    ]


def test_a_name_from_an_open_set_may_be_any() -> None:
    update = {"type": "session.update", "session": {"voice": "someone", "model": "mine"}}

    assert faults(update, "preview", "client") == []


def test_metadata_is_measured_in_pairs_keys_and_values() -> None:
    create: Frame = {"type": "response.create", "response": {}}
    metadata = {"k" * 64: "v" * 512, "k" * 65: "", "short": "v" * 513}
    create["response"]["metadata"] = metadata

    assert faults(create, "ga", "client") == [
        "response.metadata: key 1 is longer than 64 characters",
        "response.metadata: value 2 is longer than 512 characters",
    ]


def test_every_fault_of_a_frame_is_told() -> None:
    frame = in_part("response.output_text.delta", delta=3, extra=1) | {"response_id": None}

    assert faults(frame, "ga") == [
        "response_id: a string expected, not null",
        "delta: a string expected, not an integer",
        "extra: unknown",
    ]


def test_another_server_may_leave_out_what_the_types_call_optional() -> None:
    frame = without(CALLED, "name")

    assert faults(frame, "preview", strict_emit=False) == []


def test_a_key_the_types_require_is_missed_of_any_server() -> None:
    frame = without(CALLED, "arguments")

    assert faults(frame, "preview", strict_emit=False) == ["arguments: absent"]


def test_an_event_of_another_transport_is_a_fault_where_the_transport_is_known() -> None:
    frame = {
        "type": "output_audio_buffer.started",
        "event_id": "event_1",
        "response_id": "resp_1",
    }

    assert faults(frame, "ga") == []
    assert faults(frame, "ga", transport="webrtc") == []
    assert faults(frame, "ga", transport="websocket") == [
        "type: 'output_audio_buffer.started' is not for websocket"
    ]


def test_an_event_of_the_other_direction_is_unknown() -> None:
    frame = {"type": "response.cancel"}

    assert faults(frame, "ga", "client") == []
    assert faults(frame, "ga") == ["type: ga has no server event 'response.cancel'"]


def test_a_client_may_turn_detection_off_by_a_word_but_the_server_never_echoes_it() -> None:
    update = {"type": "session.update", "session": {"turn_detection": {"type": "none"}}}
    echo = update | {"type": "session.updated", "event_id": "event_1"}

    assert faults(update, "preview", "client") == []
    assert faults(echo, "preview", strict_emit=False) == ["session.turn_detection.type: never sent"]


def test_a_spelling_taken_from_clients_is_not_the_servers_own() -> None:
    update = {"type": "session.update", "session": {"input_audio_format": "g711-ulaw"}}
    echo = update | {"type": "session.updated", "event_id": "event_1"}

    assert faults(update, "preview", "client") == []
    assert len(faults(echo, "preview", strict_emit=False)) == 1


def test_frames_are_checked_as_they_come_off_the_wire() -> None:
    wire: list[str | bytes | Frame] = [json.dumps(GA_ADDED), json.dumps(GA_ADDED).encode()]

    assert check_frames([*wire, GA_ADDED], "ga") == [GA_ADDED, GA_ADDED, GA_ADDED]


def test_checking_frames_tells_all_faults_of_all_of_them() -> None:
    with pytest.raises(AssertionError) as raised:
        check_frames([GA_ADDED, ga_added(id=3, object="over"), {"type": "hello"}], "ga")

    assert str(raised.value).splitlines() == [
        "frame 1, conversation.item.added: item.id: a string expected, not an integer",
        "frame 1, conversation.item.added: item.object: 'over' is not 'realtime.item'",
        "frame 2, hello: type: ga has no server event 'hello'",
    ]


def test_the_official_types_have_no_preview_event() -> None:
    with pytest.raises(AssertionError, match=r"response\.audio\.done"):
        official(in_part("response.audio.done"))


@pytest.mark.shared
def test_the_committed_catalogue_is_what_the_generator_makes_of_the_reference(
    shared: Path,
) -> None:
    generate = runpy.run_path(str(ROOT / "scripts/generate_catalogue.py"))["catalogue"]
    committed = ROOT / "src/vivavoce/conformance/catalogue.json"

    made = generate((shared / "protocol/events.json").read_text("utf-8"))

    assert made == committed.read_text("utf-8")


def printed_events(text: str) -> Iterator[Frame]:
    """The JSON objects printed in a page, whose lists sometimes end in a comma."""
    tidy = re.sub(r",(\s*[\]}])", r"\1", text)
    decoder, end = json.JSONDecoder(), 0
    for start in re.finditer(r"^\{$", tidy, re.MULTILINE):
        if start.start() >= end:
            value, end = decoder.raw_decode(tidy, start.start())
            if "type" in value:
                yield value


@pytest.mark.shared
def test_the_events_printed_in_the_published_example_have_no_fault(shared: Path) -> None:
    (page,) = (shared / "seeds").glob("002*.txt")
    schema = catalogue("preview")

    told: dict[str, list[str]] = {}
    for frame in printed_events(page.read_text("utf-8")):
        direction: Direction = "server" if frame["type"] in schema.server else "client"
        told[frame["type"]] = faults(frame, "preview", direction, strict_emit=False)

    assert told == {
        "session.update": [],
        "response.create": [],
        "session.created": [],
        "response.created": [],
        "response.done": [],
    }


@pytest.mark.shared
def test_the_early_short_form_lacks_only_what_this_server_adds(shared: Path) -> None:
    (page,) = (shared / "seeds").glob("002*.txt")
    spoken = [f for f in printed_events(page.read_text("utf-8")) if f["type"].endswith("ed")]

    found = [fault for frame in spoken for fault in faults(frame, "preview")]

    assert found
    assert all(fault.endswith(": absent, but always sent") for fault in found)
