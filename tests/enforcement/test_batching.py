from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.domain.artifact import FileEntry
from gateway.domain.decision import Decision, DecisionScope, Effect, FileEffect, Obligation, Reason
from gateway.domain.evidence import FileFacts
from gateway.enforcement.batching import BatchedEngine, merged
from gateway.policy.bundle import Bundle
from gateway.policy.canary import queries
from gateway.policy.embedded import EmbeddedEngine
from gateway.shipped import policy_data_dir, rego_dir

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def decision(effect=Effect.ALLOW, scope=DecisionScope.REVISION, **rest):
    return Decision(effect, scope, **rest)


def test_the_most_restrictive_effect_and_the_broadest_scope_count_in_any_order():
    parts = [
        decision(),
        decision(Effect.QUARANTINE),
        decision(Effect.DENY, DecisionScope.REPO, reasons=(Reason("license/denied", "high", "m", "r"),)),
    ]
    for order in (parts, parts[::-1], [parts[1], parts[2], parts[0]]):
        whole = merged(order)
        assert whole.effect is Effect.DENY
        assert whole.scope is DecisionScope.REPO
        assert [r.rule for r in whole.reasons] == ["license/denied"]


def test_files_reasons_and_obligations_are_united_and_the_earliest_end_counts():
    same = Reason("age/quarantine", "medium", "m", "r")
    whole = merged(
        [
            decision(files={"a": FileEffect.ALLOW}, warnings=(same,), obligations=(Obligation("max_age_s", 60),)),
            decision(
                files={"b": FileEffect.HIDE},
                warnings=(same,),
                obligations=(Obligation("max_age_s", 60),),
                valid_until=NOW + timedelta(hours=1),
            ),
        ]
    )
    assert whole.files == {"a": FileEffect.ALLOW, "b": FileEffect.HIDE}
    assert whole.warnings == (same,)
    assert whole.obligations == (Obligation("max_age_s", 60),)
    assert whole.valid_until == NOW + timedelta(hours=1)


async def test_batches_of_the_real_library_decide_like_one_question():
    bundle = Bundle.load(rego_dir(), policy_data_dir(), "balanced")
    engine = await EmbeddedEngine.start(bundle)
    try:
        query = queries()[0]
        files = tuple(
            FileFacts(FileEntry(path, 10, f"{n:040x}"), guess)
            for n in range(40)
            for path, guess in ((f"w{n}.safetensors", "safetensors"), (f"code{n}.py", "python"))
        )
        query = replace(query, revision=replace(query.revision, files=files))
        whole = await engine.decide(query)
        parts = await BatchedEngine(engine, batch_files=7).decide(query)
        assert parts.effect is whole.effect
        assert parts.files == whole.files
        assert set(parts.reasons) == set(whole.reasons)
        assert parts.input_digest != whole.input_digest
        assert parts.policy_digest == whole.policy_digest
    finally:
        await engine.close()
