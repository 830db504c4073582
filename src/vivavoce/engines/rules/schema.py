"""A tool's JSON Schema as far as arguments are made from it. Malformed ones are read leniently."""

import math
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from vivavoce.core.settings import FunctionTool

Kind = Literal["string", "number", "integer", "boolean", "choice", "array", "object", "null"]
Node = Mapping[str, object]

_DEEPEST = 8
_PLAIN: tuple[Kind, ...] = ("string", "number", "integer", "boolean", "array", "object", "null")


class Field(Struct, frozen=True):
    """One argument. *choices* are the values of a `choice`, *item* what an array is made of."""

    name: str
    kind: Kind = "string"
    description: str = ""
    required: bool = False
    choices: tuple[object, ...] = ()
    item: "Field | None" = None
    fields: tuple["Field", ...] = ()
    least: float = -math.inf
    most: float = math.inf
    min_items: int = 0


def fields_of(tool: FunctionTool) -> tuple[Field, ...]:
    """The arguments of *tool*, in the order of its schema."""
    parameters = _node(tool.parameters)
    return _field("", parameters, parameters, _DEEPEST).fields


def _field(name: str, node: Node, root: Node, depth: int, required: bool = False) -> Field:
    node = _resolved(node, root)
    kind = _kind(node)
    below = depth - 1
    bounds = (_number(node, "minimum", -math.inf), _number(node, "maximum", math.inf))
    return Field(
        name,
        kind,
        str(node.get("description") or ""),
        required,
        _choices(node),
        _field(name, _node(node.get("items")), root, below) if kind == "array" and depth else None,
        _fields(node, root, below) if depth else (),
        *bounds,
        int(min(_number(node, "minItems", 0), 16)),
    )


def _fields(node: Node, root: Node, depth: int) -> tuple[Field, ...]:
    listed = node.get("required")
    required = (
        [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    )
    properties = _node(node.get("properties"))
    names = [*properties, *(name for name in required if name not in properties)]
    return tuple(
        _field(name, _node(properties.get(name)), root, depth, name in required) for name in names
    )


def _resolved(node: Node, root: Node) -> Node:
    """Follow a local reference, and take the first that is not null of several."""
    for _ in range(_DEEPEST):
        reference = node.get("$ref")
        if isinstance(reference, str):
            target = root
            for step in reference.removeprefix("#").strip("/").split("/"):
                target = _node(target.get(step))
            node = target
            continue
        several = next((node[key] for key in ("anyOf", "oneOf", "allOf") if key in node), None)
        options = [_node(each) for each in several] if isinstance(several, list) else []
        options = [each for each in options if each.get("type") != "null"]
        if not options:
            return node
        node = {**node, "anyOf": [], "oneOf": [], "allOf": [], **options[0]}
    return node


def _kind(node: Node) -> Kind:
    if _choices(node):
        return "choice"
    stated = node.get("type")
    types = stated if isinstance(stated, list) else [stated]
    known = [kind for kind in _PLAIN if kind in types]
    if known:
        return known[0]
    if "properties" in node:
        return "object"
    return "array" if "items" in node else "string"


def _choices(node: Node) -> tuple[object, ...]:
    if "const" in node:
        return (node["const"],)
    values = node.get("enum")
    return tuple(values) if isinstance(values, list) else ()


def _number(node: Node, key: str, otherwise: float) -> float:
    value = node.get(key)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return max(-1e15, min(1e15, float(value))) if usable else otherwise  # type: ignore[arg-type]


def _node(value: object) -> Node:
    return value if isinstance(value, Mapping) else {}


def filler(field: Field) -> object:
    """A value that its schema accepts, for when nobody said one."""
    match field.kind:
        case "string":
            return ""
        case "boolean":
            return False
        case "null":
            return None
        case "choice":
            return field.choices[0]
        case "integer":
            return int(bounded(0, field))
        case "number":
            return bounded(0, field)
        case "array":
            item = field.item or Field(field.name)
            return [filler(item)] * field.min_items
        case "object":
            return {each.name: filler(each) for each in field.fields if each.required}


def bounded(value: float, field: Field) -> float:
    """*value*, moved into the field's bounds and made whole where it has to be."""
    least = (
        math.ceil(field.least)
        if field.kind == "integer" and math.isfinite(field.least)
        else field.least
    )
    most = (
        math.floor(field.most)
        if field.kind == "integer" and math.isfinite(field.most)
        else field.most
    )
    return max(least, min(most, value))
