package gateway.rules.provenance.gated_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.provenance.gated as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_auto if {
	asked := fixture.revision([fixture.set("/repo/gated", "auto")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.evidence == "auto"
}

test_manual if {
	asked := fixture.revision([fixture.set("/repo/gated", "manual")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "manual"
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/repo/gated", "auto")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
