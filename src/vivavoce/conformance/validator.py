"""Every fault of one wire event, each with its path.

The catalogue is compiled once into closures, one for each object and key, so that every frame of
every test can be checked. A fault names keys, types and numbers, and quotes a value only where
one of a closed set was expected.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from vivavoce.conformance.catalogue import (
    Dialect,
    DialectName,
    Direction,
    Event,
    Field,
    Fields,
    Transport,
    catalogue,
)

# Where a value stands: where the object or array around it does, and its key or index. It is put
# into words only when there is a fault, because nearly all values have none.
Path = tuple["Path", str | int] | None
# A check appends the faults of a value, which stands at the path, to the list.
Check = Callable[[object, Path, list[str]], None]

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
NAMES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
# The keys whose constants tell the alternatives for one place apart.
MARKS = ("type", "role")


def faults(
    frame: Mapping[str, object],
    dialect: DialectName,
    direction: Direction = "server",
    *,
    strict_emit: bool = True,
    transport: Transport | None = None,
) -> list[str]:
    """Every fault of *frame*, an event decoded from JSON; an empty list when it has none.

    With *strict_emit* off a server may leave out what the published types call optional, as other
    servers do. With *transport* given, an event bound to another transport is a fault too.
    """
    found: list[str] = []
    kind = frame.get("type")
    checks = _checks(dialect, direction, strict_emit)
    if not isinstance(kind, str):
        found.append("type: absent or not a string")
    elif (known := checks.get(kind)) is None:
        found.append(f"type: {dialect} has no {direction} event {kind!r}")
    else:
        event, check = known
        if event.emit == "never":
            found.append(f"type: {dialect} never sends {kind!r}")
        if transport and event.transports and transport not in event.transports:
            found.append(f"type: {kind!r} is not for {transport}")
        check(frame, None, found)
    return found


@cache
def _checks(
    dialect: DialectName, direction: Direction, strict_emit: bool
) -> dict[str, tuple[Event, Check]]:
    schema = catalogue(dialect)
    compiler = _Compiler(schema, direction, strict_emit)
    events = schema.events(direction)
    return {kind: (event, compiler.keys(event.fields)) for kind, event in events.items()}


def _told(path: Path, key: str | int | None = None) -> str:
    """The path in words, or that of its member *key*."""
    if key is not None:
        path = (path, key)
    told = ""
    while path is not None:
        path, key = path
        told = f"[{key}]{told}" if isinstance(key, int) else f".{key}{told}"
    return told.removeprefix(".")


class _Checked(NamedTuple):
    """The check of one key, and the types of which any value is right: most need no check."""

    check: Check
    right: frozenset[type]


class _Compiler:
    """Makes the checks of one dialect and direction; each object of the catalogue is made once."""

    def __init__(self, schema: Dialect, direction: Direction, strict_emit: bool) -> None:
        self._schema = schema
        self._server = direction == "server"
        self._strict_emit = strict_emit and self._server
        self._made: dict[str, Check] = {}

    def keys(self, fields: Fields) -> Check:
        """The check of an object that has just these keys."""
        checks = {key: self._field(field) for key, field in fields.items()}
        demanded = {
            key: "absent" if field.required else "absent, but always sent"
            for key, field in fields.items()
            if field.required or (self._strict_emit and field.emit == "always")
        }
        expected = frozenset(demanded)

        def check(value: object, path: Path, found: list[str]) -> None:
            assert isinstance(value, dict)
            present = value.keys()
            if not expected <= present:
                found += [
                    f"{_told(path, key)}: {demanded[key]}" for key in demanded if key not in present
                ]
            for key, member in value.items():
                known = checks.get(key)
                if known is None:
                    found.append(f"{_told(path, key)}: unknown")
                elif type(member) not in known.right:
                    known.check(member, (path, key), found)

        return check

    def _object(self, name: str) -> Check:
        if name not in self._made:
            # Stands in while the object's own keys are made, should one of them lead back to it.
            self._made[name] = lambda value, path, found: self._made[name](value, path, found)
            self._made[name] = self.keys(self._schema.objects[name])
        return self._made[name]

    def _field(self, field: Field) -> "_Checked":
        inner = {kind: self._value(kind, field) for kind in field.types}
        by_type = {cls: check for kind, check in inner.items() for cls in TYPES[kind]}
        expected = " or ".join(NAMES[TYPES[kind][-1]] for kind in field.types)
        nullable = field.nullable
        never = self._server and field.emit == "never"

        def check(value: object, path: Path, found: list[str]) -> None:
            if never:
                found.append(f"{_told(path)}: never sent")
            if value is None and nullable:
                return
            given = type(value)
            if given not in by_type:
                found.append(f"{_told(path)}: {expected} expected, not {NAMES.get(given, given)}")
            elif (inside := by_type[given]) is not None:
                inside(value, path, found)

        right = {given for given, inside in by_type.items() if inside is None}
        if nullable:
            right.add(type(None))
        return _Checked(check, frozenset() if never else frozenset(right))

    def _value(self, kind: str, field: Field) -> Check | None:
        """What is to be checked of a value of the JSON type *kind*, beyond that type."""
        match kind:
            case "string":
                return self._string(field)
            case "integer" | "number":
                return _number(field)
            case "array":
                return self._array(field)
            case "object":
                return self._alternatives(field.of) if field.of else _map(field)
            case _:
                return None

    def _string(self, field: Field) -> Check | None:
        allowed = (field.const,) if field.const is not None else _texts(field)
        if not self._server:
            allowed += field.aliases
        pattern = re.compile(field.pattern) if field.pattern else None
        # Three bytes of audio are four characters of base64.
        longest = field.max_length or (field.max_bytes and (field.max_bytes + 2) // 3 * 4)
        if not allowed and pattern is None and longest is None:
            return None

        def check(value: object, path: Path, found: list[str]) -> None:
            assert isinstance(value, str)
            if allowed and value not in allowed:
                found.append(f"{_told(path)}: {value[:40]!r} is not {_either(allowed)}")
            if pattern and not pattern.fullmatch(value):
                found.append(f"{_told(path)}: does not match {pattern.pattern}")
            if longest and len(value) > longest:
                found.append(f"{_told(path)}: {len(value)} characters, at most {longest} allowed")

        return check

    def _array(self, field: Field) -> Check | None:
        if field.items_of:
            member = self._field(Field(type="object", of=field.items_of))
        elif field.items:
            member = self._field(
                Field(type=field.items, enum=field.enum, enum_open=field.enum_open)
            )
        else:
            return None

        def check(value: object, path: Path, found: list[str]) -> None:
            assert isinstance(value, list)
            for index, one in enumerate(value):
                if type(one) not in member.right:
                    member.check(one, (path, index), found)

        return check

    def _alternatives(self, names: tuple[str, ...]) -> Check:
        if len(names) == 1:
            return self._object(names[0])
        marked = [_Marked(self._schema.objects[name], self._object(name)) for name in names]
        keys = tuple(key for key in MARKS if any(key in one.marks for one in marked))
        if not keys:
            return _fewest_faults([one.check for one in marked])
        kinds: dict[tuple[object, ...], Check | None] = {}

        def check(value: object, path: Path, found: list[str]) -> None:
            assert isinstance(value, dict)
            marking = map(value.get, keys)
            given = tuple([mark if isinstance(mark, str) else None for mark in marking])
            chosen = kinds.get(given)
            if chosen is None:
                fitting = [one for one in marked if one.fits(value)]
                if not fitting:
                    found.append(f"{_told(path)}: no kind has {_pairs(keys, value)}")
                    return
                chosen = kinds[given] = fitting[0].check
            chosen(value, path, found)

        return check


class _Marked:
    """One alternative and the constants that mark it."""

    def __init__(self, fields: Fields, check: Check) -> None:
        self.check = check
        constants = {key: fields[key].const for key in MARKS if key in fields}
        self.marks = {key: mark for key, mark in constants.items() if mark is not None}

    def fits(self, value: Mapping[str, object]) -> bool:
        """Whether *value* bears no other mark; that one is absent is for the check to tell."""
        return all(value.get(key, mark) == mark for key, mark in self.marks.items())


def _fewest_faults(checks: list[Check]) -> Check:
    def check(value: object, path: Path, found: list[str]) -> None:
        fewest: list[str] | None = None
        for one in checks:
            tried: list[str] = []
            one(value, path, tried)
            if fewest is None or len(tried) < len(fewest):
                fewest = tried
        found += fewest or []

    return check


def _number(field: Field) -> Check | None:
    low, high = field.min, field.max
    allowed = tuple(one for one in field.enum if isinstance(one, int))
    if low is None and high is None and not allowed:
        return None

    def check(value: object, path: Path, found: list[str]) -> None:
        assert isinstance(value, int | float)
        if allowed and value not in allowed:
            found.append(f"{_told(path)}: {value} is not {_either(allowed)}")
        if low is not None and value < low:
            found.append(f"{_told(path)}: {value} is below {low:g}")
        if high is not None and value > high:
            found.append(f"{_told(path)}: {value} is above {high:g}")

    return check


def _map(field: Field) -> Check | None:
    """A map with keys of the client's choosing; where lengths are given, of strings to strings."""
    pairs, key_length, length = field.max_properties, field.max_key_length, field.max_value_length
    if pairs is None or key_length is None or length is None:
        return None

    def check(value: object, path: Path, found: list[str]) -> None:
        assert isinstance(value, dict)
        if len(value) > pairs:
            found.append(f"{_told(path)}: {len(value)} pairs, at most {pairs} allowed")
        for index, (key, one) in enumerate(value.items()):
            if len(key) > key_length:
                found.append(f"{_told(path)}: key {index} is longer than {key_length} characters")
            if not isinstance(one, str):
                found.append(f"{_told(path)}: value {index} is not a string")
            elif len(one) > length:
                found.append(f"{_told(path)}: value {index} is longer than {length} characters")

    return check


def _texts(field: Field) -> tuple[str, ...]:
    """The strings a closed set allows; none where the set is open or there is no set."""
    return () if field.enum_open else tuple(one for one in field.enum if isinstance(one, str))


def _either(allowed: tuple[object, ...]) -> str:
    return " or ".join(repr(one) for one in allowed)


def _pairs(keys: tuple[str, ...], value: Mapping[str, object]) -> str:
    return " and ".join(
        f"{key} {value[key]!r:.40}" if key in value else f"no {key}" for key in keys
    )
