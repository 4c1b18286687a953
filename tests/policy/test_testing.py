from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from gateway.cli import policy as command
from gateway.domain.errors import ConfigError
from gateway.policy import testing
from gateway.policy.bundle import Bundle
from tests.policy import tiny

HEAD = "package gateway.lib.extra_test\n\nimport rego.v1\n\n"


async def report_of(root: Path, files: dict[str, str | None]) -> testing.Report:
    rego, data = tiny.write(root, {**tiny.SAMPLES, **files})
    return await testing.run(Bundle.load(rego, data, "balanced", with_tests=True), rego, data)


async def only(root: Path, body: str) -> testing.Result:
    report = await report_of(root, {"lib/extra_test.rego": HEAD + body})
    return next(r for r in report.results if r.file.startswith("lib/extra_test.rego"))


async def test_the_tiny_library_passes(tmp_path: Path) -> None:
    report = await report_of(tmp_path, {})
    assert report.passed
    assert [(r.file, r.name, r.outcome.value) for r in report.results] == [
        ("rules/denylist/repo/allowed.json", "sample", "pass"),
        ("rules/denylist/repo/denied.json", "sample", "pass"),
        ("rules/denylist/repo/repo_test.rego:11", "test_allowed", "pass"),
        ("rules/denylist/repo/repo_test.rego:7", "test_denied", "pass"),
    ]


@pytest.mark.parametrize(
    ("body", "outcome", "detail"),
    [
        ("test_x if 1 == 1", "pass", ""),
        ("test_x if 1 == 2", "fail", "undefined"),
        ("test_x := 1", "fail", "is 1, not true"),
        ("test_x := false", "fail", "is false, not true"),
        ('test_x if to_number("x")', "error", "lib/extra_test.rego:5:"),
        ("todo_test_x if 1 == 2", "skipped", ""),
        ("test_x if {\n\t1 == 1\n}\n\ntest_x if 1 == 2", "pass", ""),
    ],
)
async def test_what_a_test_is(tmp_path: Path, body: str, outcome: str, detail: str) -> None:
    result = await only(tmp_path, body + "\n")
    assert result.outcome.value == outcome
    assert detail in result.detail


async def test_a_test_that_kills_its_worker_is_an_error_and_the_rest_runs(tmp_path: Path) -> None:
    explode = "count(numbers.range(1, 500000000)) > 0"
    report = await report_of(tmp_path, {"lib/extra_test.rego": f"{HEAD}test_a if {explode}\n\ntest_b if true\n"})
    outcomes = {r.name: r.outcome.value for r in report.results if r.file.startswith("lib/")}
    assert outcomes == {"test_a": "error", "test_b": "pass"}
    assert not report.passed


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"rules/denylist/repo/denied.json": None}, "rules/denylist/repo/denied.json is missing"),
        ({"rules/denylist/repo/denied.json": "{"}, "cannot be read as JSON"),
        ({"rules/denylist/repo/denied.json": '{"input": {}}'}, "is no object of the keys"),
        ({"rules/denylist/repo/denied.json": '{"input": {}, "expected": {"x": 1}}'}, "expected knows the keys"),
        (
            {"rules/denylist/repo/denied.json": tiny.sample("bad/repo", effect="allow")},
            'effect is "deny", expected "allow"',
        ),
        ({"rules/denylist/repo/denied.json": tiny.sample("good/repo", effect="allow")}, "denylist/repo does not fire"),
        ({"rules/denylist/repo/allowed.json": tiny.sample("bad/repo", effect="deny")}, "denylist/repo fires"),
        ({"rules/denylist/repo/more.json": tiny.sample("bad/repo", reasons=[])}, 'reasons is ["denylist/repo"]'),
        ({"rules/denylist/repo/more.json": tiny.sample("hostile/x")}, "data.gateway.decision is undefined"),
    ],
)
async def test_samples_that_do_not_hold(tmp_path: Path, files: dict[str, str | None], words: str) -> None:
    rego, data = tiny.write(tmp_path, {k: v for k, v in {**tiny.SAMPLES, **files}.items() if v is not None})
    report = await testing.run(Bundle.load(rego, data, "balanced", with_tests=True), rego, data)
    assert not report.passed
    assert any(words in r.detail for r in report.results), report.results


async def test_a_sample_may_bring_its_profile_and_data(tmp_path: Path) -> None:
    sample = json.loads(tiny.sample("other/repo", effect="deny"))
    sample.update(profile="own", data_overlay={"config": {"denylist": {"other/repo": True}}})
    rego, data = tiny.write(tmp_path, {**tiny.SAMPLES, "rules/denylist/repo/more.json": json.dumps(sample)})
    (data / "profiles" / "own.yaml").write_text("config: {denylist: {bad/repo: false}}")
    report = await testing.run(Bundle.load(rego, data, "balanced", with_tests=True), rego, data)
    assert report.passed, report.results


def test_nothing_that_passed_is_no_pass() -> None:
    assert not testing.Report().passed
    assert not testing.Report([testing.Result("a", "todo_test_x", testing.Outcome.SKIPPED)]).passed


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", *arguments])
    return int(args.run(args))


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rego, data = tiny.write(tmp_path, tiny.SAMPLES)
    monkeypatch.setattr("gateway.shipped.policy_data_dir", lambda: data)
    return rego


def test_the_command_tests(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test", "--rego", str(shipped)) == 0
    assert capsys.readouterr().out == "4 pass\n"


def test_the_command_fails_with_the_place(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shipped / "lib" / "extra_test.rego").write_text(HEAD + "test_x if 1 == 2\n")
    assert run("test", "--rego", str(shipped)) == 1
    assert "FAIL    lib/extra_test.rego:5 test_x: undefined" in capsys.readouterr().out


def test_the_command_speaks_json(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test", "--rego", str(shipped), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["passed"], facts["failed"], facts["errors"], facts["skipped"]) == (4, 0, 0, 0)
    assert run("check", "--rego", str(shipped), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rules"] == ["denylist/repo"]
    assert facts["policy_digest"].startswith("sha256:")


def test_the_command_checks(shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--rego", str(shipped)) == 0
    assert "denylist/repo" in capsys.readouterr().out
    overlay = tmp_path / "site.yaml"
    overlay.write_text("config: {rules: {no/rule: {mode: warn}}}")
    with pytest.raises(ConfigError, match="no/rule"):
        run("check", "--rego", str(shipped), "--policy-data", str(overlay))
    with pytest.raises(ConfigError, match="choose one of: balanced"):
        run("check", "--rego", str(shipped), "--profile", "lax")
