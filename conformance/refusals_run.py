"""Runs the refusal matrix: one driver for each client and scheme; work two at a time, waiting without limit."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import refusals_world as repos
from conformance.refusals_asking import Answer, Ask, Asking, begin
from conformance.refusals_clients import Asker
from conformance.refusals_judging import BAD, NOT_RUN, REASON, TOLD, WAITED, Verdict, is_pending, judge
from conformance.refusals_relay import Relay, Relays
from conformance.refusals_scenarios import (
    BY_NAME,
    LATE,
    OUTAGE,
    PUBLIC,
    SCENARIOS,
    WARM,
    WRONG,
    Operation,
    Scenario,
)
from conformance.refusals_states import BEFORE, ENGINE, NOW, SCHEMES, States
from gateway.simulator.faults import Fault, Gate

DRIVERS_AT_ONCE = 16
WORK_AT_ONCE = 2
STUCK_S = 25.0  # how long a file stands at its gate at most; the first 429 opens it


def key(asker: str, operation: str, scenario: str, scheme: str, cache: str) -> str:
    return f"{asker} {operation} {scenario} {scheme} {cache}"


@dataclass(slots=True)
class Matrix:
    """All that one run needs in common."""

    states: States
    relays: Relays
    slots: dict[tuple[str, str, str], int]
    work: threading.Semaphore
    gates: threading.Lock
    tell: Callable[[str, Verdict], None]
    scenarios: list[Scenario]


def slots_of(askers: list[Asker]) -> dict[tuple[str, str, str], int]:
    """Every client, operation and scheme that waits for a file has a repo of its own to wait for."""
    waiting = [(a.name, o.name, s) for a in askers for o in a.operations for s in SCHEMES if o.waits]
    return {who: slot for slot, who in enumerate(waiting)}


def run(
    askers: list[Asker],
    root: Path,
    only: list[str],
    tell: Callable[[str, Verdict], None],
    schemes: tuple[str, ...] = SCHEMES,
) -> dict[str, Verdict]:
    """Fill the matrix; `only` are names of scenarios (all without any). Client by client in the order of `askers`."""
    slots = slots_of(askers)
    scenarios = [scenario for scenario in SCENARIOS if not only or scenario.name in only]
    with Relays() as relays, States(root, len(slots)) as states:
        matrix = Matrix(states, relays, slots, threading.Semaphore(WORK_AT_ONCE), threading.Lock(), tell, scenarios)
        pairs = [(asker, scheme) for asker in askers for scheme in schemes]
        found: dict[str, Verdict] = {}
        with ThreadPoolExecutor(DRIVERS_AT_ONCE) as pool:
            for cells in pool.map(lambda pair: _client(matrix, *pair), pairs):
                found |= cells
        return found


def _client(matrix: Matrix, asker: Asker, scheme: str) -> dict[str, Verdict]:
    wanted = [
        (scenario, operation, cache)
        for operation in asker.operations
        for scenario in matrix.scenarios
        if operation.meets(scenario)
        for cache in operation.caches(scenario)
    ]
    if lost := asker.missing():
        return {key(asker.name, o.name, s.name, scheme, c): Verdict(NOT_RUN, lost) for s, o, c in wanted}
    relay = matrix.relays.open()
    home = matrix.states.root / f"{asker.name}-{scheme}"
    shutil.rmtree(home, ignore_errors=True)
    client = begin(asker, f"{scheme}://127.0.0.1:{relay.port}", home, matrix.states.authority)
    session = Session(matrix, asker, scheme, relay, home, client)
    try:
        session.rehearse()
        return {key(asker.name, o.name, s.name, scheme, c): session.cell(s, o, c) for s, o, c in wanted}
    finally:
        client.end()


@dataclass(slots=True)
class Session:
    """One client over one scheme."""

    matrix: Matrix
    asker: Asker
    scheme: str
    relay: Relay
    home: Path
    client: Asking

    def rehearse(self) -> None:
        """Each operation once, where all is allowed: what a client imports when it is first used is no part of a refusal."""
        self.relay.point(self.matrix.states.url(BEFORE, self.scheme))
        for operation in self.asker.operations:
            with self.matrix.work:
                self.client.ask(
                    self._ask(BY_NAME["public-token"], operation, self.home / f"rehearsal-{operation.name}")
                )

    def cell(self, scenario: Scenario, operation: Operation, cache: str) -> Verdict:
        if scenario.state == ENGINE and not self.matrix.states.has_engine_state:
            return Verdict(NOT_RUN, "opa is not installed (make tools)")
        folder = self.home / f"{scenario.name}-{operation.name}-{cache}"
        before: list[str] = []
        ask = self._ask(scenario, operation, folder)
        if cache == WARM:
            self.relay.point(self.matrix.states.url(BEFORE, self.scheme))
            with self.matrix.work:
                warmed = self.client.ask({**ask, "token": self._token(BEFORE, scenario.warm_token)})
            before = warmed["files"]
            is_filled = (
                operation.path_in(scenario).rpartition("/")[2] in before if operation.keeps_names else warmed["ok"]
            )
            if not is_filled:
                return self._told(
                    scenario, operation, cache, Verdict(BAD, f"the cache could not be filled: {warmed['top'][:300]}")
                )
        self.relay.point(self.matrix.states.url(scenario.state, self.scheme))
        ask = {
            **ask,
            "token": self._token(scenario.state, scenario.token),
            "resume": operation.resumes and cache == WARM,
        }
        # Who waits for a retry needs no processor.
        waits = scenario.kind in (LATE, OUTAGE) or scenario.name == "late-denied"
        with nullcontext() if waits else self.matrix.work:
            answer = self._answer(scenario, ask)
        verdict = judge(scenario, operation, cache, answer, before, self._names(ask))
        if scenario.name.startswith("late-") and is_pending(answer):
            again = judge(scenario, operation, cache, self._again(ask), before, self._names(ask))
            is_told = again.result in (WAITED, REASON)
            verdict = Verdict(
                TOLD if is_told else again.result, f"{verdict.text} — then: {again.text}", verdict.seconds
            )
        shutil.rmtree(folder, ignore_errors=True)
        return self._told(scenario, operation, cache, verdict)

    def _told(self, scenario: Scenario, operation: Operation, cache: str, verdict: Verdict) -> Verdict:
        self.matrix.tell(key(self.asker.name, operation.name, scenario.name, self.scheme, cache), verdict)
        return verdict

    def _again(self, ask: Ask) -> Answer:
        """What comes once the file has been judged; the gate is open, so that is soon."""
        answer, pause = self.client.ask(ask), threading.Event()
        for _ in range(10):
            if not is_pending(answer):
                break
            pause.wait(0.5)
            answer = self.client.ask(ask)
        return answer

    def _answer(self, scenario: Scenario, ask: Ask) -> Answer:
        if not scenario.name.startswith("late-"):
            answer = self.client.ask(ask)
            # Node asked on a connection that the relay had just closed: nobody answered that, so it says nothing.
            return self.client.ask(ask) if answer["top"] == "TypeError: fetch failed" else answer
        with self._gate(ask):
            return self.client.ask(ask)

    @contextmanager
    def _gate(self, ask: Ask) -> Any:
        """The bytes of the file stand still until somebody was told to come again, or for STUCK_S."""
        gate, over = Gate(), threading.Event()
        fault = Fault(path=f"{ask['repo']}/{ask['path']}", host="cdn", stall_at=0, stall_gate=gate)
        log = self.matrix.states.gateways[NOW, self.scheme].log
        start = len(log)

        def opener() -> None:
            waited = 0.0
            while waited < STUCK_S and not over.wait(0.1):
                waited += 0.1
                if any(f"{ask['repo']}/" in line and '"status":429' in line for line in log[start:]):
                    break
            gate.open()

        thread = threading.Thread(target=opener, daemon=True)
        with self.matrix.gates:
            self.matrix.states.hub.faults.add(fault)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with self.matrix.gates:
                self.matrix.states.hub.faults.remove(fault)

    def _ask(self, scenario: Scenario, operation: Operation, folder: Path) -> Ask:
        name = f"{repos.NAMESPACE}/{scenario.repo}"
        if scenario.name.startswith("late-"):
            slot = self.matrix.slots[self.asker.name, operation.name, self.scheme]
            name = repos.late_name(slot, is_bad=scenario.name == "late-denied")
        if operation.kind == "dataset":
            name = f"datasets/{name}"
        path = operation.path_in(scenario)
        file = self.matrix.states.world[name].main.files[path]
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.content.sha256}\nsize {file.size}\n"
        return {"op": operation.name, "repo": name, "path": path, "cache": str(folder), "pointer": pointer}

    def _token(self, state: str, who: str) -> str:
        fixed = {"": "", PUBLIC: repos.PUBLIC_TOKEN, WRONG: repos.WRONG_TOKEN}
        return fixed[who] if who in fixed else self.matrix.states.tokens[state, self.scheme][who]

    def _names(self, ask: Ask) -> dict[str, str]:
        names = {
            f"{self.scheme}://127.0.0.1:{self.relay.port}": "<gateway>",
            ask["cache"]: "<cache>",
            str(self.home): "<home>",
        }
        names |= {ask["repo"].removeprefix("datasets/"): "<repo>"}
        return names | {gateway.url: "<gateway>" for gateway in self.matrix.states.gateways.values()}
