package gateway.rules.scan.unclassified_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.unclassified as rule

test_clean if {
	asked := fixture.file([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_known_class if {
	asked := fixture.found("dos")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_an_unknown_class if {
	asked := fixture.found("brand-new")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.effect == "deny"
}

test_silent_for_a_revision if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
