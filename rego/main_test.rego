package gateway_test

import rego.v1

import data.gateway
import data.gateway.lib.fixture_test as fixture

# Every rule in one mode, some in another.
modes(default_mode, others) := object.union(
	{id: {"mode": default_mode} | some id in gateway.library},
	{id: {"mode": mode} | some id, mode in others},
)

decide(asked, config_patches, others) := decide_with(asked, config_patches, others, {})

decide_with(asked, config_patches, others, waivers) := decision if {
	base := fixture.config(config_patches)
	rows := modes("enforce", others) with input as fixture.clean_revision with data.config as base
	config := object.union(base, {"rules": rows})
	decision := gateway.decision with input as asked
		with data.config as config
		with data.entitlements as {}
		with data.waivers as waivers
}

rules(reasons) := [reason.rule | some reason in reasons]

declared(id) := fixture.set("/repo/license/declared", [id])

no_spdx := fixture.set("/repo/license/spdx", null)

test_a_clean_revision_is_allowed if {
	decision := decide(fixture.clean_revision, [], {})
	decision == {
		"effect": "allow",
		"scope": "revision",
		"files": {"config.json": "needs_evidence", "model.safetensors": "needs_evidence"},
		"reasons": [],
		"warnings": [],
		"dryruns": [],
		"waived": [],
		"obligations": [],
		"valid_until": "",
	}
}

test_a_clean_file_is_allowed if {
	decision := decide(fixture.clean_file, [], {})
	decision.effect == "allow"
	decision.scope == "file"
	decision.files == {}
	decision.reasons == []
}

test_enforce_refuses if {
	decision := decide(fixture.revision([declared("gpl-3.0"), no_spdx]), [], {})
	decision.effect == "deny"
	decision.scope == "repo"
	rules(decision.reasons) == ["license/allowed"]
	every reason in decision.reasons {
		object.keys(reason) == {"rule", "severity", "message", "remedy", "path", "evidence"}
	}
}

test_warn_passes_and_says_so if {
	decision := decide(fixture.revision([declared("gpl-3.0"), no_spdx]), [], {"license/allowed": "warn"})
	decision.effect == "allow"
	decision.reasons == []
	rules(decision.warnings) == ["license/allowed"]
}

test_dryrun_passes_and_notes if {
	decision := decide(fixture.revision([declared("gpl-3.0"), no_spdx]), [], {"license/allowed": "dryrun"})
	decision.effect == "allow"
	decision.warnings == []
	rules(decision.dryruns) == ["license/allowed"]
}

listing := fixture.set("/revision/files", [
	fixture.entry("README.md", "markdown"),
	fixture.entry("run.exe", "executable"),
	object.union(fixture.entry("pytorch_model.bin", "torch-zip"), {"twin": "model.safetensors"}),
	fixture.entry("notes.txt", "text"),
])

test_a_refused_file_does_not_refuse_the_revision if {
	decision := decide(fixture.revision([listing]), [fixture.set("/formats/no_evidence", {"text": true})], {})
	decision.effect == "allow"
	decision.scope == "revision"
	decision.files == {
		"README.md": "needs_evidence",
		"run.exe": "deny",
		"pytorch_model.bin": "hide",
		"notes.txt": "allow",
	}
	{[reason.rule, reason.path] | some reason in decision.reasons} == {
		["format/banned", "run.exe"],
		["format/twin", "pytorch_model.bin"],
	}
}

test_a_file_both_hidden_and_denied_is_hidden if {
	verdict := fixture.set("/evidence/hub", [{"path": "pytorch_model.bin", "vendor": "av", "level": "unsafe"}])
	decision := decide(fixture.revision([listing, verdict]), [], {})
	decision.files["pytorch_model.bin"] == "hide"
}

test_a_verdict_on_a_file_that_is_not_listed_adds_none if {
	verdict := fixture.set("/evidence/hub", [{"path": "gone.bin", "vendor": "av", "level": "unsafe"}])
	decision := decide(fixture.revision([verdict]), [], {})
	object.keys(decision.files) == {"config.json", "model.safetensors"}
}

test_a_hidden_file_that_is_asked_for_is_denied if {
	asked := fixture.file([fixture.set("/artifact/format", "torch-zip"), fixture.set("/artifact/twin", "m.safetensors")])
	decision := decide(asked, [], {})
	decision.effect == "deny"
	decision.scope == "file"
}

young := fixture.set("/revision/committed_at", "2026-11-24T09:00:00Z")

test_quarantine_and_the_last_approved if {
	decision := decide(fixture.revision([young]), [], {})
	decision.effect == "quarantine"
	decision.scope == "revision"
	decision.valid_until == "2026-11-27T09:00:00Z"
	decision.obligations == [{"kind": "serve_last_approved", "value": true}]
}

test_deny_beats_quarantine if {
	decision := decide(fixture.revision([young, declared("gpl-3.0"), no_spdx]), [], {})
	decision.effect == "deny"
	decision.scope == "repo"
	decision.obligations == []
}

test_a_warning_that_ends_bounds_the_decision if {
	decision := decide(fixture.revision([young]), [], {"age/quarantine": "warn"})
	decision.effect == "allow"
	decision.valid_until == "2026-11-27T09:00:00Z"
}

test_max_age_with_an_allow_only if {
	aged := [fixture.set("/decision/max_age_s", 60)]
	decide(fixture.clean_revision, aged, {}).obligations == [{"kind": "max_age_s", "value": 60}]
	decide(fixture.revision([declared("gpl-3.0"), no_spdx]), aged, {}).obligations == []
}

test_the_gravest_reason_comes_first if {
	asked := fixture.revision([declared("gpl-3.0"), no_spdx, fixture.set("/repo/gated", "auto"), fixture.set("/action", "list")])
	decision := decide(asked, [fixture.set("/denylist/repos/names", {"acme/tiny": true})], {})
	rules(decision.reasons) == ["denylist/repo", "license/allowed", "provenance/gated"]
}

exception := {"W-1": {
	"rules": {"license/allowed": true},
	"scope": {"repo": "acme/*"},
	"owner": "alice",
	"approver": "bob",
	"ticket": "T-1",
	"reason": "an evaluation",
	"expires": "2026-12-01T00:00:00Z",
}}

test_a_waiver_silences_and_is_named if {
	decision := decide_with(fixture.revision([declared("gpl-3.0"), no_spdx]), [], {}, exception)
	decision.effect == "allow"
	decision.reasons == []
	[entry.waiver | some entry in decision.waived] == ["W-1"]
	[entry.reason.rule | some entry in decision.waived] == ["license/allowed"]
	decision.valid_until == "2026-12-01T00:00:00Z"
}

test_a_waiver_silences_nothing_else if {
	asked := fixture.revision([declared("agpl-3.0"), no_spdx])
	decision := decide_with(asked, [], {}, exception)
	decision.effect == "deny"
	rules(decision.reasons) == ["license/denied"]
}

test_a_dead_waiver_silences_nothing if {
	asked := fixture.revision([declared("gpl-3.0"), no_spdx, fixture.set("/environment/now", "2026-12-01T00:00:00Z")])
	decide_with(asked, [], {}, exception).effect == "deny"
}

test_a_waiver_of_an_unused_rule_bounds_nothing if {
	decide_with(fixture.clean_revision, [], {}, exception).valid_until == ""
}

test_a_dryrun_is_not_waived if {
	asked := fixture.revision([declared("gpl-3.0"), no_spdx])
	decision := decide_with(asked, [], {"license/allowed": "dryrun"}, exception)
	decision.waived == []
	rules(decision.dryruns) == ["license/allowed"]
}

test_a_finding_refuses_a_file if {
	decision := decide(fixture.found("code-exec"), [], {})
	decision.effect == "deny"
	decision.scope == "file"
	rules(decision.reasons) == ["scan/code-exec"]
}

test_a_rule_without_a_mode_denies if {
	config := object.union(fixture.config([]), {"rules": object.remove(modes("enforce", {}), ["license/allowed"])})
	decision := gateway.decision with input as fixture.clean_revision
		with data.config as config
		with data.entitlements as {}
		with data.waivers as {}
	decision.effect == "deny"
	rules(decision.reasons) == ["system/rule-unconfigured"]
	decision.files == {}
}

test_a_mode_of_no_rule_denies if {
	rows := object.union(modes("enforce", {}), {"licence/allowed": {"mode": "enforce"}})
	config := object.union(fixture.config([]), {"rules": rows})
	decision := gateway.decision with input as fixture.clean_revision
		with data.config as config
		with data.entitlements as {}
		with data.waivers as {}
	decision.effect == "deny"
	rules(decision.reasons) == ["system/rule-unknown"]
}

test_no_data_denies if {
	decision := gateway.decision with input as fixture.clean_revision with data.config as {}
	decision.effect == "deny"
	"system/data" in rules(decision.reasons)
}

test_no_input_denies if {
	decision := gateway.decision with input as {} with data.config as {}
	decision.effect == "deny"
	"system/contract" in rules(decision.reasons)
}

test_every_kind_of_odd_result_denies_aloud if {
	every made in [{{"rule": 7}}, {"no"}, {object.union(built, {"effect": "allow"})}] {
		decision := decide(fixture.clean_revision, [], {}) with data.gateway.rules.license.allowed.deny as made
		rules(decision.reasons) == ["system/rule-malformed"]
	}
}

built := data.gateway.lib.result.repo({"severity": "high", "message": "m", "remedy": "r", "evidence": ""})
