package gateway.lib.waiver_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.lib.waiver

row(patches) := json.patch(
	{
		"rules": {"license/denied": true},
		"scope": {"repo": "acme/tiny"},
		"owner": "alice",
		"approver": "bob",
		"ticket": "T-1",
		"reason": "an evaluation",
		"expires": "2026-12-01T00:00:00Z",
	},
	patches,
)

lives(patches) if {
	asked := fixture.revision([])
	waivers := {"W": row(patches)}
	waiver.live.W.until_ns > 0 with input as asked with data.waivers as waivers
}

test_lives if lives([])

test_dead_at_the_instant_of_expiry if not lives([fixture.set("/expires", "2026-11-24T10:00:00Z")])

test_alive_a_second_before if lives([fixture.set("/expires", "2026-11-24T10:00:01Z")])

test_a_malformed_expiry_is_none if {
	every value in ["", "never", "2027-02-30T00:00:00Z", null, 5, "2027-01-01"] {
		not lives([fixture.set("/expires", value)])
	}
}

test_every_field_is_needed if {
	every field in ["rules", "scope", "owner", "approver", "ticket", "reason", "expires"] {
		not lives([{"op": "remove", "path": sprintf("/%s", [field])}])
	}
	every field in ["owner", "approver", "ticket", "reason"] {
		not lives([fixture.set(sprintf("/%s", [field]), "  ")])
	}
}

test_nobody_approves_himself if not lives([fixture.set("/approver", "ALICE ")])

test_scope_of_everything_is_refused if {
	every value in ["*", "**", "*/*", "**/*", "", "/", null, {}] {
		not lives([fixture.set("/scope/repo", value)])
	}
}

test_by_pattern if lives([fixture.set("/scope/repo", "acme/*")])

test_another_repo if not lives([fixture.set("/scope/repo", "acme/tiny2")])

test_a_revision_narrows if {
	lives([fixture.set("/scope/revision", "1111111111111111111111111111111111111111")])
	not lives([fixture.set("/scope/revision", "main")])
}

test_groups_narrow if {
	lives([fixture.set("/scope/groups", {"research": true})])
	not lives([fixture.set("/scope/groups", {"sales": true})])
	not lives([fixture.set("/scope/groups", {"research": false})])
	not lives([fixture.set("/scope/groups", ["research"])])
}

test_a_row_that_is_no_object_is_dead if {
	asked := fixture.revision([])
	count(waiver.live) == 0 with input as asked with data.waivers as {"W": true, "V": "text", "U": false}
}

reason := {"rule": "license/denied", "path": "", "evidence": "cc-by-nc-4.0"}

test_covers_its_rule_only if {
	covering := {"rules": {"license/denied": true}, "scope": {"repo": "acme/tiny"}, "findings": {}}
	waiver.covers(covering, reason)
	not waiver.covers(covering, object.union(reason, {"rule": "license/allowed"}))
}

test_covers_named_findings_only if {
	covering := {"rules": {"license/denied": true}, "scope": {"repo": "a/b"}, "findings": {"cc-by-nc-4.0": true}}
	waiver.covers(covering, reason)
	not waiver.covers(covering, object.union(reason, {"evidence": "agpl-3.0"}))
}

test_a_scan_needs_named_findings if {
	covering := {"rules": {"scan/dos": true}, "scope": {"repo": "a/b"}, "findings": {}}
	not waiver.covers(covering, {"rule": "scan/dos", "path": "x", "evidence": "e"})
}

test_faults_and_entitlements_are_beyond_it if {
	every rule in ["system/data", "entitlement/private", "entitlement/gated"] {
		not waiver.covers(
			{"rules": {rule: true}, "scope": {"repo": "a/b"}, "findings": {}},
			{"rule": rule, "path": "", "evidence": ""},
		)
	}
}

test_a_digest_narrows if {
	asked := fixture.revision([])
	scope := {"repo": "a/b", "digest": "git-sha1:2222222222222222222222222222222222222222"}
	covering := {"rules": {"format/banned": true}, "scope": scope, "findings": {}}
	named := {"rule": "format/banned", "path": "config.json", "evidence": "json"}
	waiver.covers(covering, named) with input as asked
	not waiver.covers(covering, object.union(named, {"path": "model.safetensors"})) with input as asked
	not waiver.covers(covering, object.union(named, {"path": ""})) with input as asked
}

test_paths_narrow if {
	scope := {"repo": "a/b", "paths": {"a.py": true}}
	covering := {"rules": {"code/custom-code": true}, "scope": scope, "findings": {}}
	waiver.covers(covering, {"rule": "code/custom-code", "path": "a.py", "evidence": "e"})
	not waiver.covers(covering, {"rule": "code/custom-code", "path": "b.py", "evidence": "e"})
}

test_a_digest_of_judged_bytes_narrows if {
	asked := fixture.file([
		fixture.set("/artifact/digest", "git-sha1:5555555555555555555555555555555555555555"),
		fixture.set("/artifact/sha256", "sha256:77"),
	])
	scope := {"repo": "a/b", "digest": "sha256:77"}
	covering := {"rules": {"format/banned": true}, "scope": scope, "findings": {}}
	waiver.covers(covering, {"rule": "format/banned", "path": "model.safetensors", "evidence": "e"}) with input as asked
}
