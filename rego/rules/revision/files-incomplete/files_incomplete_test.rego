package gateway.rules.revision.files_incomplete_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.revision.files_incomplete as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_incomplete if {
	asked := fixture.revision([fixture.set("/revision/files_complete", false)])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/revision/files_complete", false)])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
