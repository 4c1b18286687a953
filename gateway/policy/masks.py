"""The masks of the ledger: `data.system.log.mask`, evaluated once when the bundle is loaded (design §8)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy.bundle import Bundle
from gateway.policy.worker_process import WorkerDeath, WorkerLoad, WorkerProcess, value_of

_PACKAGE = "system/log.rego"
_QUERY = "data.system.log.mask"
_INPUT = "/input"
_DEADLINE_S = 5.0
_MEMORY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Masks:
    """JSON pointers (RFC 6901): into a record, and into a policy input (written `/input/...` in Rego)."""

    record: tuple[str, ...] = ()
    input: tuple[str, ...] = ()


async def masks_of(bundle: Bundle) -> Masks:
    """The masks that the bundle names; none where it has no `system/log.rego`.

    Raises ConfigError where they are not a list of JSON pointers, or cannot be evaluated.
    """
    if not any(module.path == _PACKAGE for module in bundle.modules):
        return Masks()
    load = WorkerLoad([(m.path, m.text) for m in bundle.modules], bundle.data, _DEADLINE_S, _MEMORY_BYTES)
    worker = await WorkerProcess.start(load)
    try:
        pointers = value_of(await asyncio.wait_for(worker.query(_QUERY, _DEADLINE_S), _DEADLINE_S))
    except (PolicyError, WorkerDeath, TimeoutError) as error:
        raise ConfigError(f"{_PACKAGE}: the masks cannot be evaluated: {error}", code="config/policy") from None
    finally:
        await worker.kill()
    return _sorted(pointers)


def _sorted(pointers: Any) -> Masks:
    if not isinstance(pointers, list) or not all(isinstance(p, str) and p.startswith("/") for p in pointers):
        raise ConfigError(f"{_PACKAGE}: mask must be a set of JSON pointers such as /address", code="config/policy")
    return Masks(
        record=tuple(sorted(p for p in pointers if not p.startswith(f"{_INPUT}/"))),
        input=tuple(sorted(p.removeprefix(_INPUT) for p in pointers if p.startswith(f"{_INPUT}/"))),
    )


def masked(document: dict[str, Any], pointers: tuple[str, ...]) -> dict[str, Any]:
    """The document without the values at `pointers`, and with a list `masked` of those that were removed."""
    removed = [pointer for pointer in pointers if _remove(document, pointer.split("/")[1:])]
    return {**document, "masked": removed} if removed else document


def _remove(value: Any, steps: list[str]) -> bool:
    """Replace the containers on the way by copies, so that the caller's document stays whole."""
    names = [step.replace("~1", "/").replace("~0", "~") for step in steps]
    for name in names[:-1]:
        if not isinstance(value, dict) or name not in value:
            return False
        value[name] = dict(value[name]) if isinstance(value[name], dict) else value[name]
        value = value[name]
    return isinstance(value, dict) and value.pop(names[-1], None) is not None
