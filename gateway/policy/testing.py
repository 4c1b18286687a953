"""Runs the Rego tests and the samples of a library without any other binary, in a policy worker with a deadline.

A test is a rule `test_*` in a package `*_test`. It passes if and only if its value is exactly `true`; undefined or
another value fails, a failing evaluation is an error. `todo_test_*` is skipped, as `opa test` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import orjson

from gateway.domain.errors import ConfigError, PolicyError
from gateway.policy import answer, samples
from gateway.policy.bundle import Bundle
from gateway.policy.samples import Sample, SampleMistake
from gateway.policy.syntax import Module, dotted, parse
from gateway.policy.worker_process import WorkerDeath, WorkerLoad, WorkerProcess, value_of

TEST_DEADLINE_S = 10.0
TEST_MEMORY_BYTES = 1024 * 1024 * 1024


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a secret
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One test: `file` (relative, with `:line` for a Rego test), `name`, and why it did not pass."""

    file: str
    name: str
    outcome: Outcome
    detail: str = ""


@dataclass(slots=True)
class Report:
    """All results in the order of their files."""

    results: list[Result] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Something was tested, and nothing failed or erred."""
        return any(r.outcome is Outcome.PASS for r in self.results) and not any(
            r.outcome in {Outcome.FAIL, Outcome.ERROR} for r in self.results
        )

    def count(self, outcome: Outcome) -> int:
        return sum(r.outcome is outcome for r in self.results)


async def run(
    bundle: Bundle, rego_dir: Path, data_dir: Path, *, started: Callable[[str], None] = lambda _: None
) -> Report:
    """Run everything; `started` is told each file as its turn comes.

    Raises ConfigError where the modules do not load together.
    """
    report = Report()
    async with _Runner(bundle) as runner:
        for module in bundle.tests:
            started(module.path)
            report.results += await _module(runner, module)
        started("samples")
        report.results += await _samples(runner, bundle, rego_dir, data_dir)
    report.results.sort(key=lambda result: (result.file.split(":")[0], result.name))
    return report


class _Runner:
    """One worker with all modules; replaced where a test killed it."""

    def __init__(self, bundle: Bundle) -> None:
        modules = [(m.path, m.text) for m in (*bundle.modules, *bundle.tests)]
        self._load = WorkerLoad(modules, bundle.data, TEST_DEADLINE_S, TEST_MEMORY_BYTES)
        self._worker: WorkerProcess | None = None
        self._data: Mapping[str, Any] = bundle.data

    async def __aenter__(self) -> Self:
        self._worker = await WorkerProcess.start(self._load)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._worker is not None:
            await self._worker.kill()

    async def query(self, query: str) -> Any:
        """The value of a query. Raises PolicyError."""
        return await self._ask(lambda worker: worker.query(query, TEST_DEADLINE_S))

    async def decide(self, document: Mapping[str, Any]) -> Any:
        """The decision's document for an input. Raises PolicyError."""
        return await self._ask(lambda worker: worker.decide(orjson.dumps(document), TEST_DEADLINE_S))

    async def use_data(self, data: Mapping[str, Any]) -> None:
        """Other data from now on. Raises ConfigError, PolicyError."""
        self._data = data
        worker = await self._living()
        await worker.load_data(data, TEST_DEADLINE_S)

    async def _ask(self, ask: Any) -> Any:
        worker = await self._living()
        try:
            return value_of(await ask(worker))
        except TimeoutError:
            await self._drop(worker)
            raise PolicyError(f"did not end within {TEST_DEADLINE_S:g} s", code="pdp/timeout") from None
        except WorkerDeath:
            await self._drop(worker)
            raise PolicyError("the policy worker died", code="pdp/crashed") from None

    async def _living(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = await WorkerProcess.start(self._load)
            await self._worker.load_data(self._data, TEST_DEADLINE_S)
        return self._worker

    async def _drop(self, worker: WorkerProcess) -> None:
        await worker.kill()
        self._worker = None


async def _module(runner: _Runner, module: Module) -> list[Result]:
    tree = parse(module)
    results = []
    for rule in {r.name: r for r in reversed(tree.rules)}.values():
        name = str(rule.name[len(tree.package)])
        place = tree.place(rule.node).rsplit(":", 1)[0]
        if name.startswith("todo_test_"):
            results.append(Result(place, name, Outcome.SKIPPED))
        elif name.startswith("test_"):
            outcome, detail = await _test(runner, dotted(rule.name))
            results.append(Result(place, name, outcome, detail))
    return results


async def _test(runner: _Runner, query: str) -> tuple[Outcome, str]:
    try:
        value = await runner.query(query)
    except PolicyError as error:
        return (Outcome.FAIL, "undefined") if error.code == "pdp/undefined" else (Outcome.ERROR, str(error))
    return (Outcome.PASS, "") if value is True else (Outcome.FAIL, f"is {orjson.dumps(value).decode()[:200]}, not true")


async def _samples(runner: _Runner, bundle: Bundle, rego_dir: Path, data_dir: Path) -> list[Result]:
    """Samples by the data they need, so that each data is loaded once."""
    results: list[Result] = []
    groups: defaultdict[bytes, list[Sample]] = defaultdict(list)
    datas: dict[bytes, Mapping[str, Any]] = {}
    named = bundle.data.get("config", {}).get("rules", {})
    rows = {rule: named[rule] for rule in sorted(bundle.rules) if rule in named}
    for rule in sorted(bundle.rules):
        try:
            for sample in samples.read(rego_dir, rule):
                data = samples.data_of(sample, data_dir, rows)
                key = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
                groups[key].append(sample)
                datas[key] = data
        except (SampleMistake, ConfigError) as error:
            results.append(Result(f"rules/{rule}", "samples", Outcome.ERROR, str(error)))
    for key, group in groups.items():
        await runner.use_data(datas[key])
        results += await _group(runner, group)
    return results


async def _group(runner: _Runner, group: Sequence[Sample]) -> list[Result]:
    results = []
    for sample in group:
        try:
            decision = answer.parse(await runner.decide(sample.input), sample.input)
            wrong = samples.differences(sample, decision)
            outcome = Outcome.FAIL if wrong else Outcome.PASS
        except PolicyError as error:
            wrong, outcome = [str(error)], Outcome.ERROR
        results.append(Result(sample.path, "sample", outcome, "; ".join(wrong)))
    return results
