"""Policy data: base -> profile -> overlays, deep-merged (config/policy-data/README.md defines it for operators).

Objects merge key by key, unless they say `$replace: true`; of everything else (strings, numbers, lists) the later
layer wins whole. Within one layer no order exists, so two files that set one leaf differently are an error that names
both.
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

REPLACE = "$replace"

MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class Layer:
    """A named layer and its files; the files of one layer have no order among themselves."""

    name: str
    files: tuple[Path, ...]


def profiles(data_dir: Path) -> tuple[str, ...]:
    """The names of the profiles in `data_dir/profiles`, a file each."""
    folder = data_dir / "profiles"
    if not folder.is_dir():
        return ()
    return tuple(sorted({p.stem for p in folder.iterdir() if p.suffix in SUFFIXES and p.name[0] != "."}))


def layers(data_dir: Path, profile: str, overlays: Sequence[Path]) -> tuple[Layer, ...]:
    """The layers in their order. Raises ConfigError for an unknown profile or a missing overlay."""
    for overlay in overlays:
        if not overlay.exists():
            raise ConfigError(f"the policy data {overlay} does not exist", code="config/policy-data")
        if not overlay.is_file() and not overlay.is_dir():
            raise ConfigError(f"the policy data {overlay} is neither a file nor a folder", code="config/policy-data")
    folders = [data_dir, *(o for o in overlays if o.is_dir())]
    known = sorted({name for folder in folders for name in profiles(folder)})
    if profile not in known:
        listed = ", ".join(known) or f"none in {data_dir / 'profiles'}"
        raise ConfigError(f"no profile is named {profile!r}; choose one of: {listed}", code="config/profile")
    found: list[Layer] = []
    for where in (data_dir, *overlays):
        found.append(Layer(str(where), (where,) if where.is_file() else _files(where)))
        found.append(Layer(f"profile {profile} of {where}", _profile(where, profile)))
    return tuple(found)


def _profile(folder: Path, profile: str) -> tuple[Path, ...]:
    return tuple(p for suffix in SUFFIXES if (p := folder / "profiles" / f"{profile}{suffix}").is_file())


def _files(folder: Path) -> tuple[Path, ...]:
    """The data files of a folder and below, except its profiles. What cannot be read is among them, to be told.

    A link to a folder is not followed, and so is told as well: a denylist must not be missing in silence.
    """
    shown = (p for p in folder.rglob("*") if p.name[0] != ".")
    found = (p for p in shown if (p.is_symlink() if p.is_dir() else p.suffix in SUFFIXES))
    return tuple(sorted(p for p in found if p.relative_to(folder).parts[0] != "profiles"))


def merge(found: Sequence[Layer]) -> tuple[dict[str, Any], list[str]]:
    """The merged data and every mistake in it, one sentence each with its file."""
    mistakes: list[str] = []
    result: dict[str, Any] = {root: {} for root in sorted(DATA_ROOTS)}
    total = count = 0
    for layer in found:
        merged: dict[str, Any] = {}
        origin: dict[tuple[str, ...], Path] = {}
        for path in layer.files:
            if not path.is_file():
                mistakes.append(f"{path}: is no file that can be read; put the file itself there")
                continue
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
    _plain(content, str(path))
    return content


def _plain(content: dict[str, Any], path: str) -> None:
    """No null (it could mean "keep" or "remove"); `$replace` only as `true`; a root is an object."""
    for root, value in content.items():
        if not isinstance(value, dict):
            raise Mistake(f"{path}: {root} is not an object")
    todo: list[tuple[str, Any]] = [("", content)]
    while todo:
        at, value = todo.pop()
        if value is None:
            raise Mistake(f"{path}: {at} is null; write false to take an entry away, or leave it out")
        if isinstance(value, dict):
            if value.get(REPLACE, True) is not True:
                raise Mistake(f"{path}: {at}.{REPLACE} is not true")
            todo.extend((f"{at}.{key}".lstrip("."), inner) for key, inner in value.items())
        elif isinstance(value, list):
            todo.extend((f"{at}[{i}]", inner) for i, inner in enumerate(value))


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


def overlaid(data: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """The data with one more layer on top."""
    result: dict[str, Any] = _copy(data)
    _override(result, layer)
    return result


def _override(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    todo: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(into, layer)]
    while todo:
        target, source = todo.pop()
        for key, value in source.items():
            old = target.get(key)
            if isinstance(old, dict) and isinstance(value, dict) and REPLACE not in value:
                todo.append((old, value))
            else:
                target[key] = _copy(value)


def _copy(value: Any) -> Any:
    """Own objects all the way down, so that a later layer never writes into an earlier one; `$replace` is dropped."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items() if key != REPLACE}
    return value
