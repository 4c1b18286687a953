import json

import pytest

from gateway.domain.errors import ConfigError
from gateway.policy.bundle import Bundle
from gateway.policy.data_schema import mistakes
from gateway.shipped import policy_data_dir, rego_dir


@pytest.mark.parametrize("profile", ["permissive", "balanced", "strict"])
def test_the_shipped_profiles_fit_the_schema(profile):
    assert mistakes(rego_dir(), Bundle.load(rego_dir(), policy_data_dir(), profile).data) == []


@pytest.mark.parametrize(
    ("overlay", "place"),
    [
        ({"config": {"denylist": {"repos": {"*": True}}}}, "config.denylist.repos"),
        ({"config": {"licences": {"allowed": {}}}}, "config"),
        ({"config": {"rules": {"license/denied": {"mode": "warm"}}}}, "license/denied"),
        ({"config": {"decision": {"max_age_s": "600"}}}, "config.decision.max_age_s"),
        ({"waivers": {"w1": {"rules": {"license/denied": True}, "expire": "2027-01-01T00:00:00Z"}}}, "waivers.w1"),
        ({"entitlements": {"ml": ["org/model"]}}, "entitlements.ml"),
    ],
)
def test_a_typo_in_the_data_is_named_with_its_place(overlay, place, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(overlay))
    with pytest.raises(ConfigError) as caught:
        Bundle.load(rego_dir(), policy_data_dir(), "balanced", [file])
    assert place in str(caught.value)


def test_a_waiver_that_lacks_fields_is_told_which(tmp_path):
    file = tmp_path / "mine.json"
    waiver = {"rules": {"license/denied": True}, "scope": {"repo": 7}, "owner": "a", "approver": "b", "reason": "r"}
    file.write_text(json.dumps({"waivers": {"w1": waiver}}))
    with pytest.raises(ConfigError) as caught:
        Bundle.load(rego_dir(), policy_data_dir(), "balanced", [file])
    for words in ("waivers.w1: 'ticket' is a required property", "'expires' is a required", "waivers.w1.scope.repo"):
        assert words in str(caught.value)


def test_a_broken_schema_is_a_mistake_and_not_a_pass(tmp_path):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/data.schema.json").write_text('{"type": 3}')
    assert mistakes(tmp_path, {})
    (tmp_path / "schemas/data.schema.json").write_text("{")
    assert mistakes(tmp_path, {})
