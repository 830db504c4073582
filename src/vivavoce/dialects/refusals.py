"""A decoding failure as a Refusal that names the field at fault, in the API's own words.

The message forms are those of the protocol reference, client-events section 4. What would have been
right is read off the shape that the value did not fit, so it is said in one place only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import Struct, inspect

from vivavoce.core.errors import Refusal

Shape = TypeVar("Shape", bound=Struct)
Step = str | int

PATH = re.compile(r"(?P<what>.*) - at `(?:key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
MISSING = re.compile(r"Object missing required field `(\w+)`")
RANGE = re.compile(r"Expected `(int|float)` (<=|>=) (\S+)")
LENGTH = re.compile(r"Expected `(str|array)` of length <= (\d+)")
PATTERN = re.compile(r"Expected `str` matching regex '(.*)'", re.DOTALL)
KIND = re.compile(r"Expected `([^`]*)`, got `\w+`")

KINDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "object": "an object",
    "array": "an array",
    "null": "null",
    "NoneType": "null",
    "dict": "an object",
    "list": "an array",
}
SHOWN_CHARACTERS = 64  # of a client's own value in a message
NAMED_CHARACTERS = 200  # of a path, in which there may be keys of the client's own


class Where(Struct, frozen=True):
    """Where a value lay in the client's event: below *prefix*, before some of it was *moved*."""

    prefix: str = ""
    moved: Mapping[str, str] = {}

    def name(self, path: str) -> str:
        """The dotted path by which the client knows what now lies at *path*."""
        for now, sent in self.moved.items():
            if path == now or path.startswith((f"{now}.", f"{now}[")):
                path = sent + path[len(now) :]
                break
        return ".".join(filter(None, (self.prefix, path)))[:NAMED_CHARACTERS]


def fitted(raw: object, shape: type[Shape], where: Where, *, strict: bool = True) -> Shape:
    """*raw* as a *shape*, or a Refusal that says which part of it does not fit, and why.

    Unless *strict*, a whole number may be written as 1500.0; it is then made one in *raw*.
    """
    while True:
        try:
            return msgspec.convert(raw, shape)
        except msgspec.ValidationError as error:
            fault = Fault.of(str(error))
            if strict or not fault.mended(raw):
                raise _refusal(fault, raw, shape, where) from None


def unknown_keys(raw: object, shape: type[Struct]) -> list[str]:
    """The paths of all keys in *raw* for which *shape* has no place."""
    return [path.removeprefix(".") for path in _unknown(raw, _info(shape), "")]


def missing(param: str) -> Refusal:
    """A field that has to be there."""
    return Refusal(
        f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
    )


def unknown(param: str) -> Refusal:
    """A field that nobody knows."""
    return Refusal(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def unsupported(value: object, supported: Sequence[str], param: str) -> Refusal:
    """A value outside of the closed set that the field allows."""
    return Refusal(
        f"Invalid value: {shown(value)}. Supported values are: {', '.join(supported)}.", param=param
    )


def wrong_type(param: str, expected: str, value: object) -> Refusal:
    """A value of another JSON type; *expected* as in `KINDS`, several joined by ` | `."""
    got = KINDS[type(value).__name__]
    wanted = " or ".join(KINDS[kind] for kind in expected.split(" | "))
    return Refusal(
        f"Invalid type for '{param}': expected {wanted}, but got {got} instead.",
        code="invalid_type",
        param=param,
    )


def too_long(param: str, what: str, most: int, length: int) -> Refusal:
    """A string or an array (*what*) beyond its limit."""
    return Refusal(
        f"Invalid '{param}': {what} too long. Expected at most {most} "
        f"{'characters' if what == 'string' else 'entries'}, but got {length} instead.",
        code=f"{what}_above_max_length",
        param=param,
    )


def too_large(param: str, what: str, most: int, length: int) -> Refusal:
    """An array or an object (*what*) that is beyond its limit when it is written down as JSON."""
    return Refusal(
        f"Invalid '{param}': {what} too long. Expected at most {most} bytes of JSON, "
        f"but got {length} instead.",
        code=f"{what}_above_max_length",
        param=param,
    )


def shown(value: object) -> str:
    """A client's own value as a message may repeat it: quoted, and not at any length."""
    text = str(value)
    return f"'{text[:SHOWN_CHARACTERS]}{'...' if len(text) > SHOWN_CHARACTERS else ''}'"


def quoted(values: Sequence[object]) -> list[str]:
    """Values of a closed set, as `unsupported` lists them."""
    return [f"'{value}'" for value in values]


class Fault(Struct, frozen=True):
    """What msgspec found wrong, and where."""

    what: str
    path: str = ""

    @staticmethod
    def of(problem: str) -> "Fault":
        """The fault that its message tells of."""
        at = PATH.fullmatch(problem)
        return Fault(at["what"], at["path"]) if at else Fault(problem)

    @property
    def steps(self) -> list[Step]:
        """The way to the value at fault."""
        return [name or int(index) for name, index in STEP.findall(self.path)]

    def mended(self, raw: object) -> bool:
        """Whether it was an integer written with a fraction of nought, which *raw* now has whole."""
        kinds = KIND.fullmatch(self.what)
        if not self.steps or kinds is None or "int" not in kinds[1].split(" | "):
            return False
        *way, last = self.steps
        place = _value_at(raw, way)
        value = place[last]  # type: ignore[index]  # as in _value_at
        if not isinstance(value, float) or not value.is_integer():
            return False
        place[last] = int(value)  # type: ignore[index]
        return True


def _refusal(fault: Fault, raw: object, shape: type[Struct], where: Where) -> Refusal:
    """What msgspec has to say about *raw*, said as the API would."""
    what, path, steps = fault.what, fault.path, fault.steps
    value = _value_at(raw, steps)
    param = where.name(path.removeprefix("."))

    if absent := MISSING.fullmatch(what):
        return missing(where.name(f"{path}.{absent[1]}".removeprefix(".")))
    if what.startswith("Invalid"):
        return unsupported(value, list(_supported(_info(shape), steps)), param)
    if bound := RANGE.fullmatch(what):
        return _out_of_range(param, bound, value)
    if (limit := LENGTH.fullmatch(what)) and isinstance(value, str | Sequence):
        kind = "string" if limit[1] == "str" else "array"
        return too_long(param, kind, int(limit[2]), len(value))
    if pattern := PATTERN.fullmatch(what):
        return Refusal(
            f"Invalid value: {shown(value)}. Expected a string that matches '{pattern[1]}'.",
            param=param,
        )
    if kinds := KIND.fullmatch(what):
        return wrong_type(param, kinds[1], value)
    return Refusal(f"Invalid value for '{param}': {shown(value)}.", param=param)


def _out_of_range(param: str, bound: re.Match[str], value: object) -> Refusal:
    kind = "integer" if bound[1] == "int" else "decimal"
    side = "below_min" if bound[2] == ">=" else "above_max"
    words = "below minimum" if bound[2] == ">=" else "above maximum"
    return Refusal(
        f"Invalid '{param}': {kind} {words} value. "
        f"Expected a value {bound[2]} {bound[3]}, but got {str(value)[:SHOWN_CHARACTERS]} instead.",
        code=f"{kind}_{side}_value",
        param=param,
    )


@cache
def _info(shape: type[Struct]) -> inspect.Type:
    return inspect.type_info(shape)


def _value_at(raw: object, steps: Sequence[Step]) -> object:
    for step in steps:
        raw = raw[step]  # type: ignore[index]  # msgspec has just walked the same way
    return raw


def _structs(info: inspect.Type) -> Iterator[inspect.StructType]:
    """The objects that may stand here."""
    if isinstance(info, inspect.StructType):
        yield info
    elif isinstance(info, inspect.UnionType):
        for member in info.types:
            yield from _structs(member)


def _elements(info: inspect.Type) -> inspect.Type | None:
    """What an array that may stand here is made of."""
    if isinstance(info, inspect.UnionType):
        return next(filter(None, map(_elements, info.types)), None)
    return info.item_type if isinstance(info, inspect.VarTupleType) else None


def _supported(info: inspect.Type, steps: Sequence[Step]) -> Iterator[str]:
    """The values that the field at *steps* may have, where it has a closed set of them."""
    if not steps:
        for member in info.types if isinstance(info, inspect.UnionType) else (info,):
            if isinstance(member, inspect.LiteralType):
                yield from quoted(member.values)
            elif isinstance(member, inspect.IntType):
                yield f"integers from {member.ge} to {member.le}"
        return
    step, *rest = steps
    if isinstance(step, int) and (element := _elements(info)):
        yield from _supported(element, rest)
    for struct in _structs(info):
        if step == struct.tag_field:
            yield from quoted((struct.tag,))
        for field in struct.fields:
            if step == field.encode_name:
                yield from _supported(field.type, rest)


def _unknown(raw: object, info: inspect.Type, path: str) -> Iterator[str]:
    if isinstance(raw, list) and (element := _elements(info)):
        for index, value in enumerate(raw):
            yield from _unknown(value, element, f"{path}[{index}]")
    if not isinstance(raw, dict):
        return
    structs = list(_structs(info))
    struct = next((struct for struct in structs if _is_meant(struct, raw)), None)
    if struct is None:  # an object of the client's own, or one that will be refused as such
        return
    fields = {field.encode_name: field.type for field in struct.fields}
    for key, value in raw.items():
        if key in fields:
            yield from _unknown(value, fields[key], f"{path}.{key}")
        elif key != struct.tag_field:
            yield f"{path}.{key}"


def _is_meant(struct: inspect.StructType, raw: Mapping[str, object]) -> bool:
    """Whether *raw* is that object by its type, in so far as either has one."""
    if struct.tag is not None:
        return raw.get(struct.tag_field or "") == struct.tag
    types = next((field.type for field in struct.fields if field.encode_name == "type"), None)
    if "type" not in raw or not isinstance(types, inspect.LiteralType):
        return True
    return raw["type"] in types.values
