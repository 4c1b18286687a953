"""What a pickle may name: exact names that cannot act, framework classes, and names known to act.

A name that is in no table is unknown, and unknown is not allowed. Names match exactly; only the dangerous side
matches whole modules. The safe table follows what torch's own restricted loader accepts (weights_only=True), plus
plain value types of the standard library and numpy's array constructors.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # the table that the unpickler itself uses
from enum import StrEnum

from gateway.domain.evidence import FindingClass
from gateway.scanners.formats.pickle_names import DANGEROUS_MODULES, DANGEROUS_NAMES, FRAMEWORK, SAFE


class Tier(StrEnum):
    """What is known about a global, from harmless to acting."""

    SAFE = "safe"
    FRAMEWORK = "framework"
    UNKNOWN = "unknown"
    DANGEROUS = "dangerous"


def mapped(module: str, name: str) -> tuple[str, str]:
    """The Python 3 name of a Python 2 global, as `pickle` maps it for protocols below 3."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    elif module in IMPORT_MAPPING:
        module = IMPORT_MAPPING[module]
    return module, name


def tier(module: str, name: str, protocol: int) -> Tier:
    """The tier of a global in a stream of this protocol; below 3 the Python 2 names are mapped first."""
    return _exact_tier(*mapped(module, name)) if protocol < 3 else _exact_tier(module, name)


def _exact_tier(module: str, name: str) -> Tier:
    full = f"{module}.{name}"
    if full in SAFE:
        return Tier.SAFE
    if full in FRAMEWORK:
        return Tier.FRAMEWORK
    return Tier.DANGEROUS if is_dangerous(module, name) else Tier.UNKNOWN


def is_dangerous(module: str, name: str) -> bool:
    """Is this a name, or in a module, that is known to act?"""
    if f"{module}.{name}" in DANGEROUS_NAMES:
        return True
    return danger_class(module) is not None


def danger_class(module: str) -> FindingClass | None:
    """What a dangerous module does; None for a module that is not in the table. Submodules count as their package."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        found = DANGEROUS_MODULES.get(".".join(parts[:length]))
        if found is not None:
            return found
    return None


def class_of(module: str, name: str) -> FindingClass:
    """The finding class of a dangerous global."""
    return DANGEROUS_NAMES.get(f"{module}.{name}") or danger_class(module) or FindingClass.CODE_EXEC
