"""Policy data: base -> profile -> overlays, deep-merged (config/policy-data/README.md defines it for operators).

Objects merge key by key; of everything else (strings, numbers, lists) the later layer wins whole. Within one layer no
order exists, so two files that set one leaf differently are an error that names both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.errors import ConfigError
from gateway.policy.plain_data import Mistake, read_data_file

DATA_ROOTS = frozenset({"config", "entitlements", "waivers"})
SUFFIXES = (".yaml", ".yml", ".json")

MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class Layer:
    """A named layer and its files; the files of one layer have no order among themselves."""

    name: str
    files: tuple[Path, ...]


def profiles(data_dir: Path) -> tuple[str, ...]:
    """The names of the profiles in `data_dir/profiles`: a file or a folder each."""
    folder = data_dir / "profiles"
    if not folder.is_dir():
        return ()
    entries = (p for p in folder.iterdir() if not p.name.startswith("."))
    return tuple(sorted({p.stem if p.is_file() else p.name for p in entries if p.is_dir() or p.suffix in SUFFIXES}))


def layers(data_dir: Path, profile: str, overlays: Sequence[Path]) -> tuple[Layer, ...]:
    """The layers in their order. Raises ConfigError for an unknown profile or a missing overlay."""
    known = profiles(data_dir)
    if profile not in known:
        listed = ", ".join(known) or f"none in {data_dir / 'profiles'}"
        raise ConfigError(f"no profile is named {profile!r}; choose one of: {listed}", code="config/profile")
    found = [Layer("base", _base(data_dir)), Layer(f"profile {profile}", _profile(data_dir, profile))]
    for overlay in overlays:
        if not overlay.exists():
            raise ConfigError(f"the policy data {overlay} does not exist", code="config/policy-data")
        found.append(Layer(str(overlay), _files(overlay)))
    return tuple(found)


def _base(data_dir: Path) -> tuple[Path, ...]:
    return tuple(p for p in _files(data_dir) if p.relative_to(data_dir).parts[0] != "profiles")


def _profile(data_dir: Path, profile: str) -> tuple[Path, ...]:
    folder = data_dir / "profiles"
    single = tuple(p for suffix in SUFFIXES if (p := folder / f"{profile}{suffix}").is_file())
    return single + (_files(folder / profile) if (folder / profile).is_dir() else ())


def _files(where: Path) -> tuple[Path, ...]:
    if where.is_file():
        return (where,)
    return tuple(sorted(p for p in where.rglob("*") if p.is_file() and p.suffix in SUFFIXES and p.name[0] != "."))


def merge(found: Sequence[Layer]) -> tuple[dict[str, Any], list[str]]:
    """The merged data and every mistake in it, one sentence each with its file."""
    mistakes: list[str] = []
    result: dict[str, Any] = {}
    total = count = 0
    for layer in found:
        merged: dict[str, Any] = {}
        origin: dict[tuple[str, ...], Path] = {}
        for path in layer.files:
            total, count = total + path.stat().st_size, count + 1
            if total > MAX_TOTAL_BYTES or count > MAX_FILES:
                return result, [*mistakes, f"policy data exceeds {MAX_TOTAL_BYTES} bytes or {MAX_FILES} files"]
            try:
                content = _roots(read_data_file(path), path)
            except Mistake as mistake:
                mistakes.append(str(mistake))
                continue
            mistakes += _join(merged, content, origin, path)
        _override(result, merged)
    return result, mistakes


def _roots(content: Any, path: Path) -> dict[str, Any]:
    """A data file is an object whose keys are data roots."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Mistake(f"{path}: policy data is an object with the keys {', '.join(sorted(DATA_ROOTS))}")
    unknown = sorted(content.keys() - DATA_ROOTS)
    if unknown:
        raise Mistake(f"{path}: unknown data root {unknown[0]!r}; the roots are {', '.join(sorted(DATA_ROOTS))}")
    return content


def _join(into: dict[str, Any], content: Any, origin: dict[tuple[str, ...], Path], path: Path) -> Iterator[str]:
    """Merge one file into its own layer, naming both files where they set one leaf differently."""
    todo: list[tuple[dict[str, Any], Mapping[str, Any], tuple[str, ...]]] = [(into, content, ())]
    while todo:
        target, source, at = todo.pop()
        for key, value in source.items():
            here = (*at, key)
            if key not in target:
                target[key] = {} if isinstance(value, dict) else value
                origin[here] = path
            old = target[key]
            if isinstance(old, dict) and isinstance(value, dict):
                todo.append((old, value, here))
            elif type(old) is not type(value) or old != value:
                yield f"{origin[here]} and {path} set {'.'.join(here)} differently; within one layer no file wins"


def _override(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    todo: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(into, layer)]
    while todo:
        target, source = todo.pop()
        for key, value in source.items():
            old = target.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                todo.append((old, value))
            else:
                target[key] = _copy(value)


def _copy(value: Any) -> Any:
    """Own objects all the way down, so that a later layer never writes into an earlier one."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return value
