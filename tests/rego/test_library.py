"""The library as a whole: complete folders, data that names every rule, samples that hold, documents that fit."""

import json
from functools import cache

import pytest
import yaml

from gateway.policy.bundle import Bundle
from gateway.shipped import policy_data_dir
from tests.rego.library import IDS, PROFILES, REGO, ROOT, Library, of_sample, policy_data, refuses, sample
from tests.rego.schema import mistakes

SCHEMAS = {p.name.split(".")[0]: json.loads(p.read_text("utf-8")) for p in (REGO / "schemas").glob("*.json")}
SAMPLES = [(identity, name) for identity in IDS for name in ("allowed", "denied")]


@cache
def rule_metadata():
    return Bundle.load(REGO, policy_data_dir(), "balanced").rules


@pytest.mark.parametrize("profile", PROFILES)
def test_the_loader_accepts_each_profile_and_every_rule_has_a_mode(profile):
    bundle = Bundle.load(REGO, policy_data_dir(), profile)
    assert sorted(bundle.rules) == IDS
    assert sorted(bundle.data["config"]["rules"]) == IDS


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_fits_the_schema_of_data(profile):
    assert mistakes(SCHEMAS["data"], policy_data(profile), REGO / "schemas") == []


def test_the_annotated_examples_of_entitlements_and_waivers_fit_the_schema():
    data = policy_data("balanced")
    for name in ("entitlements.yaml", "waivers/waivers.yaml"):
        lines = (policy_data_dir() / name).read_text("utf-8").splitlines()
        root = name.split("/")[-1].split(".")[0]
        start = lines.index(f"# {root}:")
        example = yaml.safe_load("\n".join(line.removeprefix("# ") for line in lines[start:] if line.startswith("#")))
        assert example[root], name
        assert mistakes(SCHEMAS["data"], {**data, **example}, REGO / "schemas") == []


@pytest.mark.parametrize("identity", IDS)
def test_each_rule_has_its_test_its_samples_and_its_page(identity):
    folder = REGO / "rules" / identity
    rule = folder.name.replace("-", "_")
    expected = {f"{rule}.rego", f"{rule}_test.rego", "allowed.json", "denied.json"}
    assert {p.name for p in folder.iterdir()} == expected
    metadata = rule_metadata()[identity]
    page = (ROOT / metadata.doc).read_text("utf-8")
    flat = " ".join(page.split())
    for text in (identity, metadata.title, metadata.severity, metadata.message, metadata.remedy):
        assert " ".join(text.split()) in flat, text
    assert f"]({metadata.doc.rsplit('/', 1)[-1]})" in (ROOT / "docs/rules/README.md").read_text("utf-8")
    modes = " / ".join(policy_data(p)["config"]["rules"][identity]["mode"] for p in PROFILES)
    assert f"(permissive / balanced / strict): {modes}" in page


@pytest.mark.parametrize(("identity", "name"), SAMPLES)
def test_each_sample_fits_its_schema_and_holds(identity, name, tmp_path):
    content = sample(identity, name)
    assert mistakes(SCHEMAS["sample"], content, REGO / "schemas") == []
    decision = of_sample(content, tmp_path).decide(content["input"])
    assert mistakes(SCHEMAS["decision"], decision, REGO / "schemas") == []
    expected = content["expected"]
    for key in ("effect", "scope", "files"):
        assert decision[key] == expected.get(key, decision[key])
    for key in ("reasons", "warnings"):
        assert sorted({r["rule"] for r in decision[key]}) == expected[key]
    assert (identity in expected["reasons"]) == (name == "denied")
    assert refuses(decision, identity) == (name == "denied")


def test_the_overlay_of_the_readme_allows_exactly_two_licenses(tmp_path):
    text = (policy_data_dir() / "README.md").read_text("utf-8")
    example = text.split("Allow exactly two licenses:")[1].split("```yaml\n")[1].split("```")[0]
    (tmp_path / "two.yaml").write_text(example, "utf-8")
    library = Library(policy_data("balanced", tmp_path / "two.yaml"))
    effects = {}
    for identity in ("apache-2.0", "mit", "bsd-3-clause", "llama3", "openrail"):
        asked = sample("license/allowed", "allowed")["input"]
        asked["repo"]["license"]["declared"] = [identity]
        effects[identity] = library.decide(asked)["effect"]
    assert effects == {
        "apache-2.0": "allow",
        "mit": "allow",
        "bsd-3-clause": "deny",
        "llama3": "deny",
        "openrail": "deny",
    }
