package gateway.rules.scan.unknown_global_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.unknown_global as rule

test_clean if {
	asked := fixture.file([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_another_class if {
	asked := fixture.found("remote-code")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_class_unknown_global if {
	asked := fixture.found("unknown-global")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.scope == "file"
	found.effect == "deny"
	found.evidence == "scanner.rule os.system"
}

test_the_twin_is_the_way_out if {
	asked := json.patch(fixture.found("unknown-global"), [fixture.set("/artifact/twin", "model.safetensors")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	contains(found.remedy, "model.safetensors")
}

test_an_info_finding_counts_too if {
	asked := json.patch(fixture.found("unknown-global"), [fixture.set("/evidence/reports/0/findings/0/severity", "info")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.severity == "info"
}

test_the_place_where_there_is_no_symbol if {
	asked := json.patch(fixture.found("unknown-global"), [fixture.set("/evidence/reports/0/findings/0/symbol", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "scanner.rule data.pkl"
}

test_no_symbol_and_no_place if {
	asked := json.patch(fixture.found("unknown-global"), [fixture.set("/evidence/reports/0/findings/0/symbol", ""), fixture.set("/evidence/reports/0/findings/0/location", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "scanner.rule"
}

test_silent_for_a_revision if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
