package gateway.rules.license.unknown_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.license.unknown as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_nothing if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", []),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.evidence == "no license"
}

test_blank if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["  "]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_word_unknown if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["Unknown"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_one_blank_entry_in_a_list if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit", ""]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_other_is_not_nothing if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/repo/license/declared", []), fixture.set("/repo/license/spdx", null)])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
