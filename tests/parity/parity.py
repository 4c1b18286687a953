"""What both parity modules do: every sample and every other question through the embedded engine and one OPA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.domain.decision import Decision
from gateway.policy import samples
from gateway.policy.bundle import Bundle
from gateway.policy.samples import Sample
from gateway.shipped import policy_data_dir, rego_dir
from tests.parity.engines import Embedded, Judge, with_data

PROFILES = ("permissive", "balanced", "strict")


def library(profile: str = "balanced") -> Bundle:
    return Bundle.load(rego_dir(), policy_data_dir(), profile)


def sample_groups(bundle: Bundle) -> list[tuple[dict[str, Any], list[Sample]]]:
    """All samples by the data that they need."""
    groups: dict[bytes, tuple[dict[str, Any], list[Sample]]] = {}
    for rule in sorted(bundle.rules):
        for sample in samples.read(rego_dir(), rule):
            data = dict(samples.data_of(sample, policy_data_dir()))
            groups.setdefault(orjson.dumps(data, option=orjson.OPT_SORT_KEYS), (data, []))[1].append(sample)
    return list(groups.values())


async def samples_agree(judge: Judge) -> int:
    """Every sample: both engines say what it expects, and the same. The number of samples."""
    bundle, embedded = library(), Embedded()
    count, wrong = 0, []
    try:
        for data, group in sample_groups(bundle):
            await embedded.use(with_data(bundle, data))
            await judge.use(with_data(bundle, data))
            for sample in group:
                ours, theirs = await embedded.judge(sample.input), await judge.judge(sample.input)
                count += 1
                if ours != theirs:
                    wrong.append(f"{sample.path}: {ours} | {theirs}")
                elif isinstance(ours, str):
                    wrong.append(f"{sample.path}: no decision ({ours})")
                else:
                    wrong += [f"{sample.path}: {d}" for d in samples.differences(sample, ours)]
    finally:
        await embedded.close()
        await judge.close()
    assert wrong == []
    return count


async def questions_agree(
    judge: Judge, profile: str, questions: Iterable[tuple[str, dict[str, Any]]]
) -> tuple[int, set[str]]:
    """Each question; their number and the different outcomes seen."""
    bundle, embedded = library(profile), Embedded()
    count, seen, wrong = 0, set(), []
    try:
        await embedded.use(bundle)
        await judge.use(bundle)
        for name, question in questions:
            ours, theirs = await embedded.judge(question), await judge.judge(question)
            count += 1
            seen.add(ours.effect.value if isinstance(ours, Decision) else ours)
            if ours != theirs:
                wrong.append(f"{name}: {ours} | {theirs}")
    finally:
        await embedded.close()
        await judge.close()
    assert wrong == [], f"{len(wrong)} of {count} differ"
    return count, seen
