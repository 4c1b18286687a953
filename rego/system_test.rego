package gateway.system_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.system

found(asked, config) := rules if {
	rules := {entry.rule | some entry in system.problems} with input as asked
		with data.config as config
		with data.entitlements as {}
		with data.waivers as {}
}

of_input(asked) := found(asked, fixture.config([]))

of_config(patches) := found(fixture.clean_revision, fixture.config(patches))

test_nothing_is_wrong if {
	of_input(fixture.clean_revision) == set()
	of_input(fixture.clean_file) == set()
}

test_another_contract if of_input(fixture.revision([fixture.set("/contract", "v2")])) == {"system/contract"}

test_each_field_is_needed if {
	every path in needed {
		of_input(fixture.revision([{"op": "remove", "path": path}])) == {"system/input"}
	}
}

test_each_field_has_a_type if {
	every path in needed {
		of_input(fixture.revision([fixture.set(path, 7)])) == {"system/input"}
	}
}

test_each_word_is_known if {
	every path in ["/action", "/subject/kind", "/repo/type", "/repo/gated", "/repo/access", "/revision/ref_kind"] {
		of_input(fixture.revision([fixture.set(path, "new")])) == {"system/input"}
	}
}

test_a_time_that_is_none if {
	of_input(fixture.revision([fixture.set("/environment/now", "today")])) == {"system/input"}
}

test_publishing_is_not_decided if of_input(fixture.revision([fixture.set("/action", "publish")])) == {"system/action"}

test_each_field_of_a_listed_file_is_needed if {
	every field in ["path", "size_bytes", "format", "digest", "twin"] {
		patch := {"op": "remove", "path": sprintf("/revision/files/1/%s", [field])}
		of_input(fixture.revision([patch])) == {"system/input"}
	}
}

test_each_field_of_a_file_is_needed if {
	every path in [
		"/artifact", "/artifact/path", "/artifact/format", "/artifact/digest", "/artifact/twin", "/parent",
		"/evidence/reports/0/coverage", "/evidence/reports/0/coverage/surface", "/evidence/reports/0/coverage/cause",
		"/evidence/reports/0/coverage/whole_file", "/evidence/reports/0/findings", "/evidence/reports/0/scanner",
	] {
		of_input(fixture.file([{"op": "remove", "path": path}])) == {"system/input"}
	}
}

test_a_sha256_is_text if of_input(fixture.file([fixture.set("/artifact/sha256", 5)])) == {"system/input"}

test_a_surface_that_is_none if {
	of_input(fixture.file([fixture.set("/evidence/reports/0/coverage/surface", "clean")])) == {"system/input"}
}

test_each_field_of_a_finding_is_needed if {
	every field in ["rule", "class", "severity", "message", "location", "symbol"] {
		patch := {"op": "remove", "path": sprintf("/evidence/reports/0/findings/0/%s", [field])}
		of_input(json.patch(fixture.found("dos"), [patch])) == {"system/input"}
	}
}

test_a_verdict_of_the_hub_is_whole if {
	of_input(fixture.revision([fixture.set("/evidence/hub", [{"path": "a", "level": "unsafe"}])])) == {"system/input"}
}

test_licenses_are_text if {
	of_input(fixture.revision([fixture.set("/repo/license/declared", ["mit", 5])])) == {"system/input"}
}

test_no_profile if of_config([{"op": "remove", "path": "/contract"}]) == {"system/data"}

test_each_section_is_needed if {
	every path in [
		"/licenses", "/licenses/allowed", "/formats/banned", "/scan", "/allowlist/repos/enabled", "/denylist/digests",
		"/custom_code/approved", "/age/commit_min_hours", "/provenance", "/decision/max_age_s", "/rules",
	] {
		of_config([{"op": "remove", "path": path}]) == {"system/data"}
	}
}

test_a_list_is_no_array if of_config([fixture.set("/licenses/allowed", ["mit"])]) == {"system/data"}

test_a_section_that_is_none if of_config([fixture.set("/licences", {})]) == {"system/data"}

test_a_mode_that_is_none if {
	every row in [{"mode": "off"}, {}, true, "enforce", {"mode": null}] {
		of_config([fixture.set("/rules/x", row)]) == {"system/mode"}
	}
}

test_a_pattern_that_cannot_be_used if {
	of_config([fixture.set("/denylist/repos/patterns", {"evil**": true})]) == {"system/pattern"}
}

test_entitlements_and_waivers_are_needed if {
	faults := {entry.rule | some entry in system.problems} with input as fixture.clean_revision
		with data.config as fixture.config([])
		with data.entitlements as []
		with data.waivers as "none"
	faults == {"system/data"}
}

needed := [
	"/subject/id", "/subject/groups", "/repo/hub", "/repo/id", "/repo/stable_key", "/repo/publisher/name",
	"/repo/license/declared", "/repo/license/name", "/repo/license/link", "/repo/created_at", "/repo/first_seen_at",
	"/repo/private", "/repo/disabled", "/repo/custom_code/paths", "/repo/custom_code/auto_map", "/revision/commit",
	"/revision/ref", "/revision/committed_at", "/revision/files", "/revision/files_complete", "/evidence/reports",
	"/evidence/hub",
]
