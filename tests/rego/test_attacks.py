"""What an attacker, a fault or a careless edit may do to input and data: never an allow that was a refusal before."""

import copy
import random

import pytest

from tests.rego.library import IDS, PROFILES, Library, changed, keys, of_sample, policy_data, refuses, sample

REFUSED_EVERYWHERE = [
    "scan/code-exec", "scan/template", "scan/traversal", "scan/ambiguity", "scan/unknown-global", "scan/dos",
    "scan/remote-code", "scan/unclassified", "scan/coverage", "scan/hub-verdict", "code/custom-code", "code/auto-map",
    "format/banned", "entitlement/private", "entitlement/gated",
]  # fmt: skip

HOSTILE = [
    'quote"quote', "back\\slash", "line\nline", "nul\x00nul", "\u202egpj.exe", "\u6a21\u578b", "\U0001f600",
    "x" * 5_000, "%s %d %v", "\x1b[31mred", "{a,b}", "[a-z]", "..", "**",
]  # fmt: skip


@pytest.mark.parametrize("identity", IDS)
def test_a_missing_or_null_fact_never_turns_a_refusal_into_an_allow(identity, tmp_path):
    content = sample(identity, "denied")
    library = of_sample(content, tmp_path)
    for place in keys(content["input"]):
        for asked in (changed(content["input"], place), changed(content["input"], place, value=None)):
            assert refuses(library.decide(asked), identity), place


def test_missing_data_is_refused():
    asked = sample("license/allowed", "allowed")["input"]
    data = policy_data("strict")
    assert Library(data).decide(asked)["effect"] == "allow"
    rules = [("config", "rules", identity) for identity in IDS]
    places = [p for p in keys(data) if len(p) <= 3 and p[:2] != ("config", "rules")]
    for place in [*rules, *places]:
        decision = Library(changed(data, place)).decide(asked)
        assert decision["effect"] == "deny", place
        assert {r["rule"].split("/")[0] for r in decision["reasons"]} == {"system"}, place


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("identity", REFUSED_EVERYWHERE)
def test_malice_is_refused_under_every_profile(identity, profile):
    assert refuses(Library(policy_data(profile)).decide(sample(identity, "denied")["input"]), identity)


@pytest.mark.parametrize("profile", ["balanced", "strict"])
def test_what_nobody_looked_at_is_refused(profile):
    decision = Library(policy_data(profile)).decide(sample("scan/not-run", "denied")["input"])
    assert decision["effect"] == "deny"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_strangers_are_judged_and_shown_as_one_ascii_line(name):
    library = Library(policy_data("strict"))
    asked = sample("format/banned", "denied")["input"]
    asked["repo"]["id"] = f"acme/{name}"
    asked["repo"]["publisher"]["name"] = name
    asked["repo"]["license"].update(declared=["other", name], name=name, link=name, spdx=None)
    asked["revision"]["ref"] = name
    asked["revision"]["files"][-1]["path"] = name
    asked["evidence"]["hub"] = [{"path": name, "vendor": name, "level": "unsafe"}]
    decision = library.decide(asked)
    assert decision["effect"] == "deny"
    assert decision["files"][name] == "deny"
    assert len(decision["reasons"]) >= 4
    for reason in decision["reasons"]:
        for text in (reason["message"], reason["remedy"], reason["evidence"]):
            assert text.isascii()
            assert text.isprintable() or text == ""
        assert len(reason["message"]) + len(reason["remedy"]) < 1_000


def test_the_order_of_facts_changes_nothing():
    library = Library(policy_data("strict"))
    asked = sample("format/twin", "denied")["input"]
    asked["revision"]["files"] += sample("code/custom-code", "denied")["input"]["revision"]["files"][-1:]
    asked["revision"]["files"] += sample("format/banned", "denied")["input"]["revision"]["files"][-1:]
    asked["repo"]["license"].update(declared=["gpl-3.0", "agpl-3.0", "nobody-knows"], spdx=None)
    first = library.decide(asked)
    shuffler = random.Random(7)
    for _ in range(10):
        other = copy.deepcopy(asked)
        shuffler.shuffle(other["revision"]["files"])
        shuffler.shuffle(other["repo"]["license"]["declared"])
        assert library.decide(other) == first


@pytest.mark.parametrize("count", [0, 1, 500, 5_000])
def test_every_listed_file_gets_an_effect(count):
    asked = sample("license/allowed", "allowed")["input"]
    entry = asked["revision"]["files"][0]
    formats = ["json", "python", "7z", "safetensors"]
    asked["revision"]["files"] = [{**entry, "path": f"d/{i}.x", "format": formats[i % 4]} for i in range(count)]
    decision = Library(policy_data("balanced")).decide(asked)
    effects = ["needs_evidence", "deny", "deny", "needs_evidence"]
    assert decision["files"] == {f"d/{i}.x": effects[i % 4] for i in range(count)}


@pytest.mark.parametrize("asked", [{}, [], "text", None, 5, {"contract": "v1"}, {"scope": "file"}])
def test_something_that_is_no_input_is_refused(asked):
    decision = Library(policy_data("permissive")).decide(asked)
    assert decision["effect"] == "deny"
    assert {r["rule"].split("/")[0] for r in decision["reasons"]} == {"system"}


def test_no_data_at_all_is_refused():
    decision = Library({}).decide(sample("license/allowed", "allowed")["input"])
    assert decision["effect"] == "deny"
    assert "system/data" in {r["rule"] for r in decision["reasons"]}
