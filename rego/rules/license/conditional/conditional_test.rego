package gateway.rules.license.conditional_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.license.conditional as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_conditions if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["llama3"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "llama3"
	contains(found.message, "attribution")
}

test_conditions_unstated if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["gemma"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/conditional/gemma", true)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gemma"
}

test_another_branch_avoids_it if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["llama3 or mit"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_moved_to_allowed if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["llama3"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/allowed/llama3", true)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_unlisted_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["gpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([
		fixture.set("/repo/license/declared", ["llama3"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
