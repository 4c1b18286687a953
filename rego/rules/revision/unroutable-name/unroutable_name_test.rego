package gateway.rules.revision.unroutable_name_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.revision.unroutable_name as rule

test_clean if {
	asked := fixture.revision([fixture.set("/revision/unroutable", [])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_an_odd_name if {
	asked := fixture.revision([fixture.set("/revision/unroutable", ["odd\\nname.txt", "other\\x00"])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
	contains(found.message, "(2)")
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/revision/unroutable", ["odd\\nname.txt"])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
