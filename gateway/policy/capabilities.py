"""The built-ins a policy may call: `rego/capabilities.json`, never more than what is safe and replayable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.policy.plain_data import Mistake, read_data_file
from gateway.policy.worker import SHUT

# Absent or different in one of the engines (rego.md §5); a Rego folder of your own cannot allow them either.
UNEQUAL = (
    "crypto.", "io.jwt.", "graphql.", "rego.", "providers.", "net.cidr_intersects", "net.cidr_merge",
    "net.cidr_contains_matches", "uri.", "array.flatten", "json.match_schema", "json.verify_schema",
    "strings.render_template", "rand.", "uuid.",
)  # fmt: skip

# Numbers of arguments, the output argument not counted. A built-in that is not named here is called unchecked.
ARITIES: Mapping[str, int] = {
    "abs": 1, "array.concat": 2, "array.reverse": 1, "array.slice": 3, "base64.decode": 1, "base64.encode": 1,
    "base64.is_valid": 1, "base64url.decode": 1, "base64url.encode": 1, "base64url.encode_no_pad": 1, "bits.and": 2,
    "ceil": 1, "concat": 2, "contains": 2, "count": 1, "endswith": 2, "floor": 1, "format_int": 2, "glob.match": 3,
    "glob.quote_meta": 1, "graph.reachable": 2, "hex.decode": 1, "hex.encode": 1, "indexof": 2, "indexof_n": 2,
    "intersection": 1, "is_array": 1, "is_boolean": 1, "is_null": 1, "is_number": 1, "is_object": 1, "is_set": 1,
    "is_string": 1, "json.filter": 2, "json.is_valid": 1, "json.marshal": 1, "json.patch": 2, "json.remove": 2,
    "json.unmarshal": 1, "lower": 1, "max": 1, "min": 1, "net.cidr_contains": 2, "numbers.range": 2, "object.filter": 2,
    "object.get": 3, "object.keys": 1, "object.remove": 2, "object.subset": 2, "object.union": 2, "object.union_n": 1,
    "product": 1, "regex.find_n": 3, "regex.is_valid": 1, "regex.match": 2, "regex.replace": 3, "regex.split": 2,
    "replace": 3, "round": 1, "semver.compare": 2, "semver.is_valid": 1, "sort": 1, "split": 2, "sprintf": 2,
    "startswith": 2, "strings.any_prefix_match": 2, "strings.any_suffix_match": 2, "strings.count": 2,
    "strings.replace_n": 2, "strings.reverse": 1, "substring": 3, "sum": 1, "time.add_date": 4, "time.clock": 1,
    "time.date": 1, "time.diff": 2, "time.parse_duration_ns": 1, "time.parse_rfc3339_ns": 1, "time.weekday": 1,
    "to_number": 1, "trim": 2, "trim_left": 2, "trim_prefix": 2, "trim_right": 2, "trim_space": 1, "trim_suffix": 2,
    "type_name": 1, "union": 1, "units.parse_bytes": 1, "upper": 1, "walk": 1,
}  # fmt: skip


def load(path: Path) -> frozenset[str]:
    """The names in `{"builtins": [name or {"name": …}, …]}`. Raises Mistake."""
    if not path.is_file():
        raise Mistake(f"{path}: is missing; it lists the built-ins that policies may call")
    content: Any = read_data_file(path)
    items = content.get("builtins") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise Mistake(f'{path}: is not {{"builtins": [...]}}')
    names: set[str] = set()
    for item in items:
        name = item.get("name") if isinstance(item, dict) else item
        if not isinstance(name, str):
            raise Mistake(f"{path}: a built-in has no name")
        names.add(name)
        if name in SHUT or name.startswith(UNEQUAL):
            raise Mistake(f"{path}: {name} cannot be allowed: it has side effects, or the engines differ on it")
    return frozenset(names)
