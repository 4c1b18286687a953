package gateway.rules.denylist.publisher_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.denylist.publisher as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_named if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/denylist/publishers/names", {"acme": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.severity == "critical"
}

test_whatever_the_case if {
	asked := fixture.revision([fixture.set("/repo/publisher/name", "ACME")])
	config := fixture.config([fixture.set("/denylist/publishers/names", {"acme": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_longer_name if {
	asked := fixture.revision([fixture.set("/repo/publisher/name", "acme2")])
	config := fixture.config([fixture.set("/denylist/publishers/names", {"acme": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/denylist/publishers/names", {"acme": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
