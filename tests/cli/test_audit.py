"""`gateway audit` as a person and a script meet it: words, tables, NDJSON and exit codes."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import audit
from gateway.clock import SystemClock
from gateway.domain.errors import LedgerError
from gateway.domain.record import Durability, Record, RecordKind
from gateway.ledger.segments import SegmentReader, list_segments
from gateway.ledger.writer import SegmentLedger

COMMON: dict[str, Any] = {
    "subject": "alice",
    "subject_kind": "user",
    "groups": ("research",),
    "client": "huggingface_hub/1.3",
    "address": "10.0.0.7",
    "action": "fetch",
    "route": "resolve",
    "repo": "acme/evil",
    "ref": "main",
    "commit": "c" * 40,
}
REASON = {
    "rule": "format/pickle-code",
    "severity": "critical",
    "message": "runs \x1b[2J code [bold]x[/bold]",
    "remedy": "use the safetensors twin",
    "path": "m\u202e.bin",
    "evidence": "/evidence/reports/0",
}
RECORDS = (
    Record(
        RecordKind.DECISION,
        "req-1",
        decision_id="dec-1",
        effect="deny",
        path="m\u202e.bin",
        digest="sha256:" + "d" * 64,
        size_bytes=7,
        reasons=(REASON,),
        warnings=({**REASON, "rule": "license/none"},),
        waived=({"reason": {**REASON, "rule": "age/young"}, "waiver": "W-7"},),
        engine="engine-1",
        policy_digest="sha256:policy",
        data_digest="sha256:data",
        scanner_set="scanners-1",
        input_digest="sha256:input",
        **COMMON,
    ),
    Record(RecordKind.DECISION, "req-2", decision_id="dec-2", effect="allow", path="ok.bin", **COMMON),
    Record(
        RecordKind.DELIVERY,
        "req-3",
        decision_id="dec-2",
        effect="allow",
        path="ok.bin",
        bytes_delivered=123,
        span=(0, 123),
        **COMMON,
    ),
)


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    ledger = SegmentLedger(tmp_path / "ledger", "gw", SystemClock(), segment_bytes=8192)
    await ledger.start()
    for record in RECORDS:
        await ledger.record(record, Durability.DURABLE)
    await ledger.close()
    return tmp_path


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    audit.add_parser(parser.add_subparsers())
    args = parser.parse_args(["audit", *argv])
    return int(args.run(args))


def tamper(state: Path) -> tuple[str, int]:
    [name] = list_segments(state / "ledger")
    path = state / "ledger" / str(name)
    frame = list(SegmentReader(path))[1]
    content = bytearray(path.read_bytes())
    content[frame.offset + 50] ^= 1
    path.write_bytes(content)
    return str(name), frame.offset


def test_list_prints_a_table(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--state", str(state), "--effect", "deny") == 0
    out = capsys.readouterr().out
    assert "format/pickle-code" in out
    assert "dec-1" in out
    assert "dec-2" not in out


def test_list_json_is_one_record_per_line(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--state", str(state), "--json", "--kind", "delivery", "--since", "1h") == 0
    [record] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["request_id"] == "req-3"
    assert record["span"] == [0, 123]


async def test_list_names_what_an_allow_was_warned_of_and_which_waiver_opened_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ledger = SegmentLedger(tmp_path / "ledger", "gw", SystemClock(), segment_bytes=65536)
    await ledger.start()
    await ledger.record(replace(RECORDS[0], effect="allow", reasons=()), Durability.DURABLE)
    await ledger.close()
    assert run("list", "--state", str(tmp_path), "--kind", "decision") == 0
    assert "waived age/young (W-7), warned license/none" in capsys.readouterr().out


def test_list_says_that_nothing_matches(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--state", str(state), "--subject", "nobody") == 0
    assert "No record matches" in capsys.readouterr().out


def test_show_explains_a_denial(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "dec-1", "--state", str(state)) == 0
    out = capsys.readouterr().out
    for expected in (
        "denied acme/evil @ " + "c" * 40,
        "error[format/pickle-code]",
        "[bold]x[/bold]",
        "use the safetensors twin",
        "/evidence/reports/0",
        "warning[license/none]",
        "waived by W-7[age/young]",
        "alice (user), groups research",
        "10.0.0.7 huggingface_hub/1.3",
        "sha256:" + "d" * 64,
        "engine-1",
        "sha256:policy",
        "sha256:data",
        "scanners-1",
        "sha256:input",
        "nothing under this decision",
    ):
        assert expected in out


async def test_show_explains_a_decision_once_and_lists_its_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = SegmentLedger(tmp_path / "ledger", "gw", SystemClock(), segment_bytes=65536)
    await ledger.start()
    first = RECORDS[0]
    finding = {"rule": "pickle.global", "cls": "code-exec", "severity": "critical", "message": "acts",
               "location": "data.pkl@2", "symbol": "posix.system"}  # fmt: skip
    report = {"scanner": "own", "version": "7", "format": "torch-zip", "findings": [finding], "findings_total": 1,
              "coverage": {"surface": "partial", "whole_file": False, "cause": "timeout"}, "judged_ranges": []}  # fmt: skip
    for record in (
        replace(first, extra={"reports": [report], "other": 1}),
        replace(first, request_id="req-8", remembered=True),
        replace(first, request_id="req-9", count=5),
    ):
        await ledger.record(record, Durability.DURABLE)
    await ledger.close()
    assert run("show", "dec-1", "--state", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert out.count("error[format/pickle-code]") == 1
    assert "torch-zip, surface partial (timeout), by ranges, 1 finding (by own 7)" in out
    assert "critical pickle.global [code-exec] posix.system data.pkl@2: acts" in out
    assert '{"other":1}' in out
    [one, many] = [line for line in out.splitlines() if "req-8" in line or "req-9" in line]
    assert "10.0.0.7" in one
    assert many.endswith("x5")


async def test_an_id_in_the_table_is_in_one_piece_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ledger = SegmentLedger(tmp_path / "ledger", "gw", SystemClock(), segment_bytes=65536)
    await ledger.start()
    identifier = "d-b9314a4c1f2e4d5a8c7b"
    long = replace(RECORDS[0], decision_id=identifier, subject="anonymous", repo="organization/a-model-of-some-length")
    await ledger.record(long, Durability.DURABLE)
    await ledger.close()
    assert run("list", "--state", str(tmp_path), "--kind", "decision") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(identifier in line for line in lines)
    assert any("organization/a-model-of-some-length" in line for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("identifier", ["dec-2", "req-3"])
def test_show_tells_what_was_delivered(state: Path, capsys: pytest.CaptureFixture[str], identifier: str) -> None:
    assert run("show", identifier, "--state", str(state)) == 0
    out = capsys.readouterr().out
    assert "allowed acme/evil" in out
    assert "123 bytes of [0, 123)" in out


@pytest.mark.parametrize("argv", [("list",), ("show", "dec-1")])
def test_recorded_text_cannot_steer_a_terminal(
    state: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    run(*argv, "--state", str(state))
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "\u202e" not in out


def test_verify_is_0_and_prints_heads(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--state", str(state)) == 0
    out = capsys.readouterr().out
    assert "verifies" in out
    assert "gw/w0 5 sha256:" in out


def test_verify_is_1_and_names_the_place(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment, offset = tamper(state)
    assert run("verify", "--state", str(state)) == 1
    out = capsys.readouterr().out
    assert "TAMPERED" in out
    assert f"{segment} at offset {offset}" in out


def test_heads_kept_as_json_or_as_lines_find_a_cut_tail(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("verify", "--state", str(state), "--json")
    as_json = capsys.readouterr().out
    assert json.loads(as_json)["ok"] is True
    run("verify", "--state", str(state))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gw/w0 5 ")]
    (tmp_path / "heads.json").write_text(as_json)
    (tmp_path / "heads.txt").write_text("\n".join(lines))
    heads = ("heads.json", "heads.txt")
    assert [run("verify", "--state", str(state), "--head", str(tmp_path / name)) for name in heads] == [0, 0]
    [name] = list_segments(state / "ledger")
    path = state / "ledger" / str(name)
    path.write_bytes(path.read_bytes()[: list(SegmentReader(path))[-1].offset])
    assert run("verify", "--state", str(state)) == 0
    assert [run("verify", "--state", str(state), "--head", str(tmp_path / name)) for name in heads] == [1, 1]


def test_list_warns_where_segments_cannot_be_read(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment, _ = tamper(state)
    run("list", "--state", str(state))
    assert segment in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("list",), "no state directory"),
        (("verify",), "no state directory"),
        (("show", "x"), "no state directory"),
    ],
)
def test_a_missing_state_is_one_clear_sentence(tmp_path: Path, argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(LedgerError, match=words):
        run(*argv, "--state", str(tmp_path / "nowhere"))


def test_a_state_without_ledger_or_segments_is_no_clean_bill(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="holds no ledger"):
        run("verify", "--state", str(tmp_path))
    (tmp_path / "ledger").mkdir()
    with pytest.raises(LedgerError, match="nothing to verify"):
        run("verify", "--state", str(tmp_path))


def test_an_unknown_id_and_a_bad_time_are_refused(state: Path) -> None:
    with pytest.raises(LedgerError, match="knows no decision or request"):
        run("show", "dec-404", "--state", str(state))
    with pytest.raises(LedgerError, match="is no time"):
        run("list", "--since", "yesterday", "--state", str(state))


def test_the_json_of_verify_is_what_the_manual_says(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tamper(state)
    assert run("verify", "--state", str(state), "--json") == 1
    body = json.loads(capsys.readouterr().out)
    manual = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
    [chain] = body["chains"]
    [problem] = chain["problems"]
    assert body["ok"] is False
    for name in {*body, *chain, *problem} - {"chains", "problems", "gaps"}:
        assert f"`{name}`" in manual
