"""Two plain questions that every bundle must be able to answer before it goes live, one of each scope."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.domain.artifact import Artifact, FileEntry, RefKind, Repo, RepoType
from gateway.domain.decision import Query
from gateway.domain.errors import PolicyError
from gateway.domain.evidence import (
    Coverage,
    FileFacts,
    License,
    Reachable,
    RepoFacts,
    RevisionFacts,
    ScanReport,
    Surface,
)
from gateway.domain.request import Action
from gateway.domain.subject import ANONYMOUS, Client
from gateway.ports import PolicyEngine

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_COMMIT = "c" * 40
_REPO = Repo("huggingface", RepoType.MODEL, "canary/canary")
_WEIGHTS = FileEntry("model.safetensors", 1024, "a" * 40, "b" * 64)


async def ask(engine: PolicyEngine) -> None:
    """Put the questions to a started engine.

    Raises PolicyError where it cannot answer, or where the answer says that the policy or its data is broken (reasons
    `system/...`): then every request would wait, for ever.
    """
    for query in queries():
        decision = await engine.decide(query)
        if faults := [reason for reason in decision.reasons if reason.rule.startswith("system/")]:
            raise PolicyError("; ".join(f"{fault.message} [{fault.rule}]" for fault in faults), code=faults[0].rule)


def queries() -> tuple[Query, Query]:
    """A question of scope "revision" and one of scope "file" about the same invented repo."""
    facts = RepoFacts(
        repo=_REPO,
        stable_key="canary",
        publisher="canary",
        license=License(declared=("apache-2.0",), spdx="Apache-2.0", source="card"),
        created_at="2025-01-01T00:00:00Z",
        first_seen_at="2025-01-01T00:00:00Z",
        last_modified="2025-01-01T00:00:00Z",
    )
    weights = FileFacts(_WEIGHTS, "safetensors")
    whole = Query(
        scope="revision",
        action=Action.FETCH,
        subject=ANONYMOUS,
        client=Client("canary", "1"),
        address="127.0.0.1",
        repo=facts,
        revision=_revision((weights,)),
        now=_NOW,
    )
    single = Query(
        scope="file",
        action=Action.FETCH,
        subject=ANONYMOUS,
        client=Client("canary", "1"),
        address="127.0.0.1",
        repo=facts,
        revision=_revision(()),
        now=_NOW,
        artifact=Artifact(_REPO, _COMMIT, _WEIGHTS),
        file=weights,
        reports=(ScanReport("canary", "1", "safetensors", Coverage(Surface.COMPLETE, whole_file=True)),),
        parent="sha256:" + "0" * 64,
    )
    return whole, single


def _revision(files: tuple[FileFacts, ...]) -> RevisionFacts:
    return RevisionFacts(
        commit=_COMMIT,
        ref="main",
        ref_kind=RefKind.BRANCH,
        reachable=Reachable.YES,
        committed_at="2025-01-01T00:00:00Z",
        files=files,
    )
