"""License, lineage and custom-code facts from the hub's info answer: card data, tags and config.

What is there but malformed is kept as text, never dropped: a strange license is "unknown", not "none".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from license_expression import get_spdx_licensing

from gateway.domain.evidence import License, LineageParent

MAX_TEXT_CHARS: Final = 300

_RELATIONS: Final = frozenset({"finetune", "adapter", "merge", "quantized"})
_ID: Final = r"(?!(?:AND|OR|WITH)\b)[A-Za-z0-9][A-Za-z0-9.+-]{0,60}"
_EXPRESSION: Final = re.compile(rf"{_ID}(?: (?:AND|OR|WITH) {_ID}){{0,7}}", re.IGNORECASE)
_LICENSE_FILES: Final = frozenset({"license", "licence", "copying", "license.txt", "license.md", "licence.txt"})


def license_of(info: Mapping[str, Any], paths: Iterable[str]) -> License:
    """What the repo declares (hub-protocol §13.1): the card, else the hub's tag, else only a LICENSE file."""
    card = _mapping(info.get("cardData"))
    declared = _texts(card.get("license")) or tuple(t.removeprefix("license:") for t in _tags(info, "license:"))
    if not declared:
        has_file = any(path.lower() in _LICENSE_FILES for path in paths)
        return License(source="file" if has_file else "none")
    return License(
        declared=declared,
        spdx=_spdx(declared),
        source="card",
        name=_text(card.get("license_name")),
        link=_text(card.get("license_link")),
    )


def lineage_of(info: Mapping[str, Any]) -> tuple[LineageParent, ...]:
    """The declared base models. A relation named by the card or by a tag wins over none."""
    card = _mapping(info.get("cardData"))
    relation = _text(card.get("base_model_relation"))
    parents = dict.fromkeys(_texts(card.get("base_model")), relation if relation in _RELATIONS else "unknown")
    for tag in _tags(info, "base_model:"):
        kind, _, rest = tag.removeprefix("base_model:").partition(":")
        base, found = (rest, kind) if rest and kind in _RELATIONS else (tag.removeprefix("base_model:"), "unknown")
        if parents.get(base, "unknown") == "unknown":
            parents[base] = found
    return tuple(LineageParent(base, found) for base, found in parents.items() if base)


def auto_map_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Every target of `config.auto_map`, and the custom class the hub recognised: code that loading would import."""
    config, transformers = _mapping(info.get("config")), _mapping(info.get("transformersInfo"))
    auto_map = config.get("auto_map")
    values = auto_map.values() if isinstance(auto_map, Mapping) else [auto_map]
    targets = [text for value in values for text in _texts(value)]
    return tuple(sorted({*targets, *_texts(transformers.get("custom_class"))}))


@lru_cache(maxsize=1024)
def _spdx(declared: tuple[str, ...]) -> str | None:
    """One normalised SPDX expression (all must hold), or None where any id is no SPDX license.

    Only flat expressions are parsed: the library was seen to fail in unforeseen ways on hostile ones.
    """
    if not all(_EXPRESSION.fullmatch(text) for text in declared):
        return None
    expression = " AND ".join(f"({text})" if " " in text and len(declared) > 1 else text for text in declared)
    checked = _licensing().validate(expression)
    return None if checked.errors else str(checked.normalized_expression)


@lru_cache(maxsize=1)
def _licensing() -> Any:
    """The SPDX license list (half a second to build, so built once and when first needed)."""
    return get_spdx_licensing()


def _tags(info: Mapping[str, Any], prefix: str) -> list[str]:
    return [tag for tag in _texts(info.get("tags")) if tag.startswith(prefix)]


def _texts(value: Any) -> tuple[str, ...]:
    """A value, or each of a list, as text."""
    items = value if isinstance(value, list) else [value]
    return tuple(text for item in items if (text := _text(item)))


def _text(value: Any) -> str:
    return "" if value is None or value is False else str(value).strip()[:MAX_TEXT_CHARS]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
