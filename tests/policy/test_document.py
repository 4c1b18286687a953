from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.artifact import FileEntry
from gateway.domain.errors import PolicyError
from gateway.domain.evidence import (
    Coverage,
    FileFacts,
    Finding,
    FindingClass,
    HubVerdict,
    ScanReport,
    Severity,
    Surface,
)
from gateway.domain.request import Action
from gateway.domain.subject import Client, Subject, SubjectKind
from gateway.policy import canary
from gateway.policy.document import build, digest, document_of, relevant

REVISION, FILE = canary.queries()


def test_the_document_of_a_revision_is_the_contract_to_the_letter() -> None:
    document = build(REVISION)
    assert json.loads(document.json) == document.value
    assert document.value == {
        "contract": "v1",
        "scope": "revision",
        "action": "fetch",
        "subject": {
            "id": "anonymous", "kind": "anonymous", "groups": [], "claims": {},
            "client": {"name": "canary", "version": "1"}, "address": "127.0.0.1",
        },
        "repo": {
            "hub": "huggingface", "type": "model", "id": "canary/canary", "stable_key": "canary",
            "publisher": {"name": "canary"},
            "license": {"declared": ["apache-2.0"], "spdx": "Apache-2.0", "source": "card", "name": "", "link": ""},
            "lineage": [], "created_at": "2025-01-01T00:00:00Z", "first_seen_at": "2025-01-01T00:00:00Z",
            "last_modified": "2025-01-01T00:00:00Z", "gated": "no", "private": False, "disabled": False,
            "access": "anonymous", "tags": [], "library": "", "pipeline": "", "downloads": 0, "likes": 0,
            "custom_code": {"paths": [], "auto_map": []},
        },
        "revision": {
            "commit": "c" * 40, "ref": "main", "ref_kind": "branch", "reachable": "yes",
            "committed_at": "2025-01-01T00:00:00Z", "files_complete": True, "unroutable": [],
            "files": [
                {
                    "path": "model.safetensors", "size_bytes": 1024, "format": "safetensors",
                    "digest": "sha256:" + "b" * 64, "twin": "",
                }
            ],
        },
        "evidence": {"reports": [], "hub": []},
        "environment": {"now": "2026-01-01T00:00:00Z", "instance": "gateway", "mode": "serve"},
    }  # fmt: skip


def test_the_document_of_a_file_has_artifact_reports_and_parent_and_no_file_list() -> None:
    finding = Finding(
        "pickle.global", FindingClass.CODE_EXEC, Severity.CRITICAL, "calls os.system", "data.pkl@12", "os.system"
    )
    report = ScanReport(
        "own", "3", "torch-zip", Coverage(Surface.PARTIAL, whole_file=False, cause="timeout"), (finding,)
    )
    value = build(replace(FILE, reports=(report,))).value
    assert value["revision"]["files"] == []
    assert value["parent"] == FILE.parent
    assert value["artifact"]["format"] == "torch-zip"
    assert value["evidence"]["reports"] == [
        {
            "scanner": "own", "version": "3", "format": "torch-zip",
            "coverage": {"surface": "partial", "whole_file": False, "cause": "timeout"},
            "findings": [
                {
                    "rule": "pickle.global", "class": "code-exec", "severity": "critical", "message": "calls os.system",
                    "location": "data.pkl@12", "symbol": "os.system",
                }
            ],
        }
    ]  # fmt: skip


def _format(*formats: str) -> str:
    reports = tuple(ScanReport("s", "1", f, Coverage(Surface.COMPLETE, whole_file=True)) for f in formats)
    return str(build(replace(FILE, reports=reports)).value["artifact"]["format"])


def test_the_format_by_content_beats_the_name_and_unrecognised_content_is_unknown() -> None:
    assert _format("pickle") == "pickle"
    assert _format("unknown", "zip") == "zip"
    assert _format("unknown") == "unknown"
    assert _format() == "safetensors"


def test_the_code_of_the_whole_revision_is_told_in_either_scope() -> None:
    for query in (REVISION, FILE):
        value = build(replace(query, code_paths=("a.py", "b/C.PY"))).value
        assert value["repo"]["custom_code"]["paths"] == ["a.py", "b/C.PY"]


def test_a_file_that_the_hub_names_by_git_id_keeps_that_name() -> None:
    files = (FileFacts(FileEntry("a.txt", 1, "a" * 40), "text"),)
    value = build(replace(REVISION, revision=replace(REVISION.revision, files=files))).value
    assert value["revision"]["files"][0]["digest"] == "git-sha1:" + "a" * 40


def test_a_file_question_holds_the_hub_verdicts_of_that_file_only() -> None:
    verdicts = (HubVerdict("model.safetensors", "clamav", "unsafe"), HubVerdict("other", "clamav", "safe"))
    with_verdicts = replace(FILE, revision=replace(FILE.revision, hub_verdicts=verdicts))
    assert [v["path"] for v in build(with_verdicts).value["evidence"]["hub"]] == ["model.safetensors"]
    whole = replace(REVISION, revision=replace(REVISION.revision, hub_verdicts=verdicts))
    assert len(build(whole).value["evidence"]["hub"]) == 2


def test_groups_are_sorted_so_that_equal_questions_are_equal() -> None:
    def asked(groups: list[str]) -> Any:
        return build(replace(REVISION, subject=Subject("a", SubjectKind.USER, frozenset(groups))))

    assert asked(["b", "a", "c"]).value["subject"]["groups"] == ["a", "b", "c"]
    assert asked(["b", "a"]).json == asked(["a", "b"]).json


def test_the_digest_leaves_out_time_client_and_address_and_nothing_else() -> None:
    first = build(REVISION).digest
    same = replace(REVISION, now=datetime(2030, 1, 1, tzinfo=UTC), client=Client("x", "2"), address="::1")
    assert build(same).digest == first
    assert build(same).json != build(REVISION).json
    for changed in (
        replace(REVISION, action=Action.LIST),
        replace(REVISION, subject=Subject("a", SubjectKind.USER)),
        replace(REVISION, repo=replace(REVISION.repo, likes=1)),
        replace(REVISION, revision=replace(REVISION.revision, files_complete=False)),
    ):
        assert build(changed).digest != first
    assert build(REVISION, mode="replay").digest != first


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    value = build(REVISION).value
    assert digest(dict(reversed(value.items()))) == digest(value)
    assert document_of(relevant(value)).digest == digest(value)


@pytest.mark.parametrize(
    "query",
    [
        replace(REVISION, repo=replace(REVISION.repo, tags=("\ud800",))),
        replace(
            REVISION, revision=replace(REVISION.revision, files=(FileFacts(FileEntry("a\udfff", 1, "a" * 40), "x"),))
        ),
        replace(REVISION, repo=replace(REVISION.repo, downloads=2**70)),
        replace(FILE, artifact=None),
        replace(REVISION, repo=replace(REVISION.repo, tags=("x" * (33 * 1024 * 1024),))),
    ],
    ids=["surrogate-in-tag", "surrogate-in-path", "huge-integer", "file-without-artifact", "huge-input"],
)
def test_what_cannot_be_asked_is_refused(query: Any) -> None:
    with pytest.raises(PolicyError) as caught:
        build(query)
    assert caught.value.code == "pdp/malformed"
