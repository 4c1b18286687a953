package gateway.rules.allowlist.repo_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.allowlist.repo as rule

test_off if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_on_and_empty if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.evidence == "acme/tiny"
}

test_named if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_named_in_lower_case if {
	asked := fixture.revision([fixture.set("/repo/id", "Acme/Tiny")])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_taken_away if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": false})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_by_pattern if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/patterns", {"acme/*": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_pattern_is_anchored if {
	asked := fixture.revision([fixture.set("/repo/id", "xacme/tiny")])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/patterns", {"acme/*": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_name_is_no_prefix if {
	asked := fixture.revision([fixture.set("/repo/id", "acme/tiny2")])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_dataset_is_another_repo if {
	asked := fixture.revision([fixture.set("/repo/type", "dataset")])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "datasets/acme/tiny"
}

test_silent_for_a_file if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/allowlist/repos/enabled", true)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
