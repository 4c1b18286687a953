package gateway.rules.provenance.unknown_commit_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.provenance.unknown_commit as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_unknown if {
	asked := fixture.revision([
		fixture.set("/revision/ref_kind", "commit"),
		fixture.set("/revision/reachable", "unknown"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
}

test_outside_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/revision/ref_kind", "commit"),
		fixture.set("/revision/reachable", "no"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_branch_where_they_do_not_count if {
	asked := fixture.revision([fixture.set("/revision/reachable", "unknown")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([
		fixture.set("/revision/ref_kind", "commit"),
		fixture.set("/revision/reachable", "unknown"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
