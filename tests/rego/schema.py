"""A validator for the part of JSON Schema that rego/schemas uses; any other keyword is an error."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None),
}  # fmt: skip
KNOWN = {
    "$schema", "$ref", "title", "description", "type", "properties", "required", "additionalProperties",
    "propertyNames", "minProperties", "items", "uniqueItems", "enum", "const", "pattern", "minLength", "maxLength",
    "minimum", "anyOf", "allOf", "if", "then",
}  # fmt: skip


def mistakes(schema: Any, value: Any, folder: Path, at: str = "$") -> list[str]:
    """Every way in which the value breaks the schema, one sentence each."""
    if isinstance(schema, bool):
        return [] if schema else [f"{at}: not expected"]
    unknown = schema.keys() - KNOWN
    assert not unknown, f"keywords that this validator does not know: {unknown}"
    if "$ref" in schema:
        return mistakes(json.loads((folder / schema["$ref"]).read_text("utf-8")), value, folder, at)
    found = _plain(schema, value, at)
    if isinstance(value, dict):
        found += _object(schema, value, folder, at)
    if isinstance(value, list) and "items" in schema:
        found += [m for i, inner in enumerate(value) for m in mistakes(schema["items"], inner, folder, f"{at}[{i}]")]
    for part in schema.get("allOf", []):
        found += mistakes(part, value, folder, at)
    if "if" in schema and not mistakes(schema["if"], value, folder, at):
        found += mistakes(schema["then"], value, folder, at)
    if "anyOf" in schema and all(mistakes(part, value, folder, at) for part in schema["anyOf"]):
        found.append(f"{at}: fits no alternative")
    return found


def _plain(schema: dict[str, Any], value: Any, at: str) -> list[str]:
    found = []
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(_is(value, name) for name in names):
        found.append(f"{at}: {value!r} is no {names}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is not one of {schema['enum']}")
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{at}: {value!r} does not match {schema['pattern']}")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{at}: {len(value)} characters")
    if _is(value, "integer") and value < schema.get("minimum", value):
        found.append(f"{at}: {value} is too small")
    if isinstance(value, list) and schema.get("uniqueItems") and len({json.dumps(v) for v in value}) != len(value):
        found.append(f"{at}: entries repeat")
    return found


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def _object(schema: dict[str, Any], value: dict[str, Any], folder: Path, at: str) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
    if len(value) < schema.get("minProperties", 0):
        found.append(f"{at}: is empty")
    for name, inner in value.items():
        found += mistakes(known.get(name, schema.get("additionalProperties", True)), inner, folder, f"{at}.{name}")
        found += mistakes(schema.get("propertyNames", True), name, folder, f"{at} (key)")
    return found
