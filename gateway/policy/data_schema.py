"""Merged policy data against the library's own JSON Schema: a key that no rule reads is a typo, and refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

SCHEMA = "schemas/data.schema.json"


def mistakes(rego_dir: Path, data: Mapping[str, Any]) -> list[str]:
    """One line per mistake, with the place in the data; a library without a schema has none to check."""
    path = rego_dir / SCHEMA
    if not path.is_file():
        return []
    try:
        schema = json.loads(path.read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
    except (ValueError, SchemaError) as error:
        return [f"{SCHEMA}: is no JSON Schema: {str(error).splitlines()[0]}"]
    found = set()
    for mistake in Draft202012Validator(schema).iter_errors(data):
        for nearest in _meant(mistake):
            where = ".".join(str(part) for part in nearest.absolute_path) or "the data"
            found.add(f"policy data, {where}: {nearest.message[:300]}")
    return sorted(found)


def _meant(mistake: ValidationError) -> list[ValidationError]:
    """The mistakes inside the branch that was meant: an entry is `false`, or an object whose shape is what matters."""
    inside = [e for e in mistake.context or () if e.validator not in {"const", "type"} or len(e.relative_path) > 0]
    if mistake.validator != "anyOf" or not inside:
        return [best_match([mistake]) or mistake]
    return [nearest for branch in inside for nearest in _meant(branch)]
