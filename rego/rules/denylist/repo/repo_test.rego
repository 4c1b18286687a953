package gateway.rules.denylist.repo_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.denylist.repo as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_named if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/denylist/repos/names", {"acme/tiny": {"why": "malware"}})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.severity == "critical"
}

test_whatever_the_case if {
	asked := fixture.revision([fixture.set("/repo/id", "ACME/Tiny")])
	config := fixture.config([fixture.set("/denylist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_by_pattern if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/denylist/repos/patterns", {"ACME/*": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_pattern_stays_in_its_segment if {
	asked := fixture.revision([fixture.set("/repo/id", "acme/deep"), fixture.set("/repo/type", "dataset")])
	config := fixture.config([fixture.set("/denylist/repos/patterns", {"acme/*": true, "*/deep": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_everything_of_a_publisher if {
	asked := fixture.revision([fixture.set("/repo/type", "dataset")])
	config := fixture.config([fixture.set("/denylist/repos/patterns", {"**/acme/*": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_taken_away if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/denylist/repos/names", {"acme/tiny": false}), fixture.set("/denylist/repos/patterns", {"acme/*": false})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/denylist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
