from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway.domain.errors import ConfigError
from gateway.policy.bundle import Bundle
from tests.policy import tiny


def mistakes(root: Path, files: dict[str, str | None]) -> str:
    with pytest.raises(ConfigError) as caught:
        tiny.load(root, files)
    return str(caught.value)


def data_mistakes(root: Path, **files: str) -> str:
    rego, data = tiny.write(root)
    for name, text in files.items():
        (data / name.replace("__", ".")).write_text(text)
    with pytest.raises(ConfigError) as caught:
        Bundle.load(rego, data, "balanced")
    return str(caught.value)


def rule(body: str, imports: str = "") -> dict[str, str | None]:
    """The tiny library with one more module under lib/."""
    return {"lib/extra.rego": f"package gateway.lib.extra\n\nimport rego.v1\n{imports}\n{body}\n"}


def test_the_tiny_library_passes(tmp_path: Path) -> None:
    bundle = tiny.load(tmp_path)
    assert [m.path for m in bundle.modules] == ["lib/words.rego", "main.rego", "rules/denylist/repo/repo.rego"]
    assert [m.path for m in bundle.tests] == ["rules/denylist/repo/repo_test.rego"]
    assert bundle.rules["denylist/repo"].title == "Denied repo"
    assert bundle.data == {**tiny.DATA, "entitlements": {}, "waivers": {}}


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ('a if input.subject.client.name == "curl"', True),
        ('a if startswith(input.subject.address, "10.")', True),
        ('a if input.subject["address"] == "10.0.0.1"', True),
        ('a if object.get(input.subject, "client", {}) == {}', True),
        ('a := "your client remembers it" if input.subject.id == "x"', False),
    ],
)
def test_tells_whether_decisions_depend_on_client_or_address(tmp_path: Path, body: str, reads: bool) -> None:
    assert tiny.load(tmp_path, rule(body)).reads_origin is reads


def test_equal_content_has_equal_digests_and_a_change_changes_one(tmp_path: Path) -> None:
    first, second = tiny.load(tmp_path / "a"), tiny.load(tmp_path / "b")
    assert (first.policy_digest, first.data_digest) == (second.policy_digest, second.data_digest)
    changed = tiny.load(tmp_path / "c", {"main.rego": tiny.MAIN + "\n# more\n"})
    assert changed.policy_digest != first.policy_digest
    assert changed.data_digest == first.data_digest


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('p := http.send({"url": "x"})', "lib/extra.rego:5:6: http.send is neither"),
        ("p := time.now_ns()", "time.now_ns is neither"),
        ("p := opa.runtime()", "opa.runtime is neither"),
        ('p := rand.intn("a", 3)', "rand.intn is neither"),
        ("p := nothing(1)", "nothing is neither a function of this library nor in capabilities.json"),
        ("p := count(1, 2, 3)", "count takes 1 argument(s), not 3"),
        ("f(a) := a\n\np := f(1, 2, 3)", "lib/extra.rego:7:6: f takes 1 argument(s), not 3"),
        ("f(n) := f(n - 1) if n > 0", "recursion: gateway.lib.extra.f -> gateway.lib.extra.f"),
        (
            "f(n) := g(n)\n\ng(n) := f(n)",
            "recursion: gateway.lib.extra.f -> gateway.lib.extra.g -> gateway.lib.extra.f",
        ),
        ("f(n) := [m | f := n; m := f(n)]", "recursion"),
        ("p if q\n\nq if not p", "recursion"),
        ("p if data.gateway.lib.extra.p", "recursion"),
        ("p if {\n\tsome k\n\tdata.gateway.lib[k].p\n}", "recursion"),
        ("p if missing", "lib/extra.rego:5:6: missing is no variable, rule or import here"),
        ("p if data.gateway.lib.words.nothing", "data.gateway.lib.words.nothing names no rule"),
        ("p if data.secrets.x", "data.secrets.x names no rule, package or data root"),
        ("p if data[input.x]", "all of data is asked for"),
        ("p if -input.x == 1", "unary minus"),
        ("p if input.x == 1.5", "1.5: only integers of 64 bit"),
        ("p if input.x == 9223372036854775808", "only integers of 64 bit"),
        ("p if [_, x] = walk(input)", "walk must be written"),
        ("p if walk(input)", "walk must be written"),
        ("p if walk(input, x)", "walk must be written"),
        ('p if glob.match("a**", ["/"], input.x)', "sticks `**` to text"),
        ('p if glob.match("a*", [], input.x)', "needs its delimiters"),
        ('p if glob.match("a*", null, input.x)', "needs its delimiters"),
        ('p := sprintf("%q", ["a"])', "sprintf `%q`"),
        ('p := sprintf("%5s", ["a"])', "sprintf `%5`"),
        ('p := sprintf("%s %s", ["a"])', "sprintf has 2 verb(s) and 1 value(s)"),
        ("p := sprintf(input.x, [])", "sprintf needs its format as a literal"),
        ("p if every i, f in input.x { f > 1 }", "lib/extra.rego:5:12: i is declared and never used"),
        ("p if {\n\tsome x\n\tinput.y\n}", "x is declared and never used"),
        ("a.b contains x if some x in input.y", "no partial set at a dotted name"),
        ("p := $`{input.x}`", "lib/extra.rego:5:6"),
        ("p if not is_string(input.x)", "lib/extra.rego:5:6: `not is_string(…)` of a reference"),
        ("f(row) if {\n\tcount(row) > 0\n\tnot is_object(row[0])\n}", "lib/extra.rego:7:2: `not is_object(…)`"),
        ("p := {", "lib/extra.rego:6:1"),
    ],
)
def test_refuses_what_the_engines_do_not_agree_on(tmp_path: Path, body: str, words: str) -> None:
    assert words in mistakes(tmp_path, rule(body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "f(x) if {\n\tx == 1\n\twords.special\n}",
            "lib/extra.rego:8:2: a function reads the rule words.special by an alias",
        ),
        ("f(x) := 1 if {\n\tnot words.special\n\tx == 1\n}", "write data.gateway.lib.words.special"),
        ("f(x) := words[x]", "a function reads the rule"),
        ("f(x) := {y | some y in x; words.special}", "a function reads the rule words.special"),
    ],
)
def test_refuses_a_rule_read_by_an_alias_in_a_function(tmp_path: Path, body: str, words: str) -> None:
    assert words in mistakes(tmp_path, rule(body, "import data.gateway.lib.words\n"))


@pytest.mark.parametrize(
    "body",
    [
        "f(x) if {\n\tx == 1\n\tdata.gateway.lib.words.special\n}",
        "f(words) := words.special",
        'f(x) := words.reason(x, "b")',
        "p if words.special",
    ],
)
def test_takes_a_rule_by_its_full_path_and_functions_by_alias(tmp_path: Path, body: str) -> None:
    tiny.load(tmp_path, rule(body, "import data.gateway.lib.words\n" if "words." in body else ""))


@pytest.mark.parametrize(
    "body",
    [
        'p if not is_string(object.get(input.x, "y", null))',
        "p contains x if {\n\tsome x in input.y\n\tnot is_string(x)\n}",
        "p contains x if some x in input.y",
        "p if {\n\twalk(input, [path, value])\n\tcount(path) > 1\n\tvalue == 1\n}",
        "p[k] := v if some k, v in input.y",
        "p if every f in input.x { f > 1 }",
        "p := {x | some x in input.y} | {1}",
        "p := [x | x := input.y[_]]",
        "p if input.y[i] == input.z[i]",
        'p if {\n\t[a, {"k": b}] = input.y\n\ta == b\n}',
        'f(path) := path if path != ""\n\npath := 1',
        "default p := 1\n\np := 2 if input.x\n\nelse := 3 if input.y",
        "p if words.special",
        'p := x if x := words.reason("a", "b")',
        'p if {\n\tcontains(input.x, "y", found)\n\tfound\n}',
        'f(_, "a") := 1\n\nf(_, "b") := 2\n\np := f(1, "a")',
        "p if { q with input as {} with data.config as {} }\n\nq if input.x",
        'p if glob.match("*/b", ["/"], input.x)',
        'p := sprintf("100%% %s", ["a"])',
    ],
)
def test_takes_the_forms_that_both_read_alike(tmp_path: Path, body: str) -> None:
    assert tiny.load(tmp_path, rule(body, "import data.gateway.lib.words\n" if "words" in body else ""))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"lib/extra.rego": "package gateway.other\n\np := 1\n"},
            "at this path it must be gateway.lib or gateway.lib.extra",
        ),
        ({"lib/extra.rego": "package system.log\n\np := 1\n"}, "at this path it must be"),
        ({"system/log.rego": "package gateway.log\n\np := 1\n"}, "at this path it must be system or system.log"),
        ({"lib/extra.rego": "package data.gateway\n\np := 1\n"}, "at this path it must be"),
        (
            {"lib/words/words.rego": "package gateway.lib.words\n\np := 1\n"},
            "has the package gateway.lib.words already",
        ),
        ({"lib/lib.rego": "package gateway.lib\n\nwords.p := 1\n"}, "lies on the package of lib/words.rego"),
        ({"lib/if.rego": "package gateway.lib.if\n\np := 1\n"}, "lib/if.rego"),
        ({"main.rego": "package gateway\n\np := 1\n"}, "no module defines data.gateway.decision"),
        ({"capabilities.json": None}, "capabilities.json: is missing"),
        ({"capabilities.json": "[]"}, "capabilities.json: is not"),
        ({"capabilities.json": '{"builtins": ["http.send"]}'}, "http.send cannot be allowed"),
        ({"capabilities.json": '{"builtins": ["crypto.sha256"]}'}, "crypto.sha256 cannot be allowed"),
        ({"rules/denylist/repo/repo.rego": tiny.RULE.replace("# METADATA", "#")}, "no `# METADATA` comment"),
        (
            {"rules/denylist/repo/repo.rego": tiny.RULE.replace("id: denylist/repo", "id: denylist/other")},
            "the folder says",
        ),
        (
            {"rules/denylist/repo/repo.rego": tiny.RULE.replace("#   remedy", "#   cure")},
            "METADATA lacks custom.remedy",
        ),
        ({"rules/denylist/repo/repo.rego": tiny.RULE.replace("severity: high", "severity: big")}, "is no severity"),
        ({"rules/denylist/repo/repo.rego": tiny.RULE.replace("# title: ", "# title: [")}, "METADATA after line 1"),
        ({"lib/extra.rego": 'package gateway.lib.extra\n\np := "\xff"\n' + " " * 2000}, "lib/extra.rego"),
    ],
)
def test_refuses_a_library_that_is_not_laid_out(tmp_path: Path, files: dict[str, str | None], words: str) -> None:
    assert words in mistakes(tmp_path, files)


def test_tests_are_no_part_of_what_is_served(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path, {"lib/broken_test.rego": "package {"})
    bundle = Bundle.load(rego, data, "balanced")
    assert bundle.tests == ()
    assert bundle.policy_digest == tiny.load(tmp_path / "other").policy_digest


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    told = mistakes(tmp_path, {"lib/a.rego": "package gateway.lib.a\n\np := 1.5\n", "lib/b.rego": "package other\n"})
    assert "lib/a.rego:3:6" in told
    assert "lib/b.rego" in told


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    (rego / "lib" / "bad.rego").write_bytes(b"package gateway.lib.bad\n\xff")
    with pytest.raises(ConfigError, match=r"lib/bad.rego: is not UTF-8"):
        Bundle.load(rego, data, "balanced")


def test_an_unknown_profile_lists_the_known(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    (data / "profiles" / "strict.yaml").touch()
    with pytest.raises(ConfigError, match="choose one of: balanced, strict"):
        Bundle.load(rego, data, "../balanced")


def test_a_later_layer_wins_and_objects_merge(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    (data / "profiles" / "balanced.json").write_text('{"config": {"list": [1, 2], "depth": {"a": 1, "b": 1}}}')
    site = tmp_path / "site"
    site.mkdir()
    (site / "one.yaml").write_text("config:\n  list: [3]\n  depth:\n    b: 2\n")
    last = tmp_path / "last.json"
    last.write_text('{"config": {"depth": {"c": 3}, "denylist": {"bad/repo": false}}}')
    config = Bundle.load(rego, data, "balanced", [site, last]).data["config"]
    assert config["list"] == [3]
    assert config["depth"] == {"a": 1, "b": 2, "c": 3}
    assert config["denylist"] == {"bad/repo": False}
    assert config["rules"] == {"denylist/repo": {"mode": "enforce"}}


def test_two_files_of_one_layer_that_disagree_are_both_named(tmp_path: Path) -> None:
    told = data_mistakes(tmp_path, a__yaml="config:\n  x: 1\n", b__yaml="config:\n  x: 2\n")
    assert "a.yaml" in told
    assert "b.yaml" in told
    assert "config.x" in told


def test_two_files_of_one_layer_that_agree_are_fine(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        (data / name).write_text("config:\n  x: 1\n")
    assert Bundle.load(rego, data, "balanced").data["config"]["x"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: {a: 1, a: 2}", "bad.yaml:1:16: the key 'a' stands twice"),
        ("config: {a: 1.5}", "bad.yaml:1:13: 1.5 is not a 64-bit integer"),
        ("config: {a: 9223372036854775808}", "is not a 64-bit integer"),
        ("config: {a: 1_000}", "is not a 64-bit integer"),
        ("config: {a: 0777}", "is not a 64-bit integer"),
        ("config: {a: .inf}", "is not a 64-bit integer"),
        ("config: {a: &x [1], b: *x}", "anchors and aliases are not allowed"),
        ("config: {a: !!python/object:os.system {}}", "is not allowed"),
        ("config: {1: a}", "is not a string; quote it"),
        ("config:\n  <<: {a: 1}", "merge keys are not allowed"),
        ("config: [", "bad.yaml:"),
        ("config: {}\n---\nconfig: {}", "a second document"),
        ("gateway: {decision: {}}", "unknown data root 'gateway'"),
        ("[1]", "policy data is an object"),
        ("config: [1]", "config is not an object"),
        ("config: {a: ~}", "config.a is null"),
        ("config: {a: [{b: null}]}", "config.a[0].b is null"),
        ("config: {a: {$replace: 1}}", "config.a.$replace is not true"),
        ("config: " + "[" * 100 + "]" * 100, "deeper than 64 levels"),
        ("config: {rules: {no/rule: {mode: warn}}}", "config.rules names 'no/rule'"),
        ("waivers: {w1: {rules: {no/rule: true}}}", "waivers.w1.rules names 'no/rule'"),
    ],
)
def test_refuses_data_that_surprises(tmp_path: Path, text: str, words: str) -> None:
    assert words in data_mistakes(tmp_path, bad__yaml=text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"config": {"a": 1, "a": 2}}', "stands twice"),
        ('{"config": {"a": 1.5}}', "is not an integer"),
        ('{"config": {"a": 1e3}}', "is not an integer"),
        ('{"config": {"a": NaN}}', "is not an integer"),
        ('{"config": ' + "[" * 100 + "]" * 100 + "}", "deeper than 64 levels"),
        ('{"config": ' + "[" * 100_000, "bad.json"),
        ('{"config"', "bad.json:1:10"),
    ],
)
def test_refuses_json_that_surprises(tmp_path: Path, text: str, words: str) -> None:
    assert words in data_mistakes(tmp_path, bad__json=text)


def test_yaml_words_and_times_stay_what_they_look_like(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    text = "config: {a: no, b: 2026-01-01T00:00:00Z, c: 12:30, d: true, e: off, f: '1', g: -5, h: 1.2.3}"
    (data / "more.yaml").write_text(text)
    config = Bundle.load(rego, data, "balanced").data["config"]
    found = {key: config[key] for key in "abcdefgh"}
    assert json.dumps(found) == json.dumps(
        {"a": "no", "b": "2026-01-01T00:00:00Z", "c": "12:30", "d": True, "e": "off", "f": "1", "g": -5, "h": "1.2.3"}
    )


def test_replace_takes_the_place_of_what_lies_below(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    (data / "profiles" / "balanced.json").write_text('{"config": {"allowed": {"mit": true, "deep": {"a": 1}}}}')
    last = tmp_path / "last.yaml"
    last.write_text("config: {allowed: {$replace: true, zlib: true, deep: {$replace: true, b: 1}}}")
    config = Bundle.load(rego, data, "balanced", [last]).data["config"]
    assert config["allowed"] == {"zlib": True, "deep": {"b": 1}}


def test_a_folder_may_bring_its_own_profile(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    site = tmp_path / "site"
    (site / "profiles").mkdir(parents=True)
    (site / "a.yaml").write_text("config: {x: 1, y: 1}")
    (site / ".hidden.yaml").write_text("config: {x: 9}")
    (site / "profiles" / "ours.yaml").write_text("config: {y: 2}")
    (site / "profiles" / "other.yaml").write_text("config: {y: 3}")
    config = Bundle.load(rego, data, "ours", [site]).data["config"]
    assert (config["x"], config["y"]) == (1, 2)


def test_a_missing_overlay_is_named(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        Bundle.load(rego, data, "balanced", [tmp_path / "nothing"])


def test_policy_data_that_cannot_be_read_is_never_silently_missing(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path / "tree")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "denylist.yaml").symlink_to(tmp_path / "gone.yaml")
    (overlay / "more").symlink_to(data)
    with pytest.raises(ConfigError, match=r"denylist\.yaml: is no file(.|\n)*more: is no file"):
        Bundle.load(rego, data, "balanced", [overlay])
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe\.yaml is neither a file nor a folder"):
        Bundle.load(rego, data, "balanced", [tmp_path / "pipe.yaml"])


def test_a_rule_that_cannot_be_read_is_never_silently_missing(tmp_path: Path) -> None:
    rego, data = tiny.write(tmp_path)
    (rego / "lib" / "gone.rego").symlink_to(tmp_path / "nothing.rego")
    (rego / "lib" / "folder").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"lib/folder: is no file(.|\n)*lib/gone\.rego: is no file"):
        Bundle.load(rego, data, "balanced")
