package gateway.rules.provenance.pull_request_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.provenance.pull_request as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_by_kind if {
	asked := fixture.revision([
		fixture.set("/revision/ref_kind", "pull_request"),
		fixture.set("/revision/ref", "refs/pr/7"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
	found.evidence == "refs/pr/7"
}

test_by_name_whatever_the_kind if {
	asked := fixture.revision([fixture.set("/revision/ref", "refs/PR/7")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
}

test_a_branch_called_pr if {
	asked := fixture.revision([fixture.set("/revision/ref", "pr/7")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/revision/ref_kind", "pull_request")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
