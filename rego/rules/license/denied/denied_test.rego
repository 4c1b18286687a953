package gateway.rules.license.denied_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.license.denied as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_denied if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["CC-BY-NC-4.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "cc-by-nc-4.0"
	found.scope == "repo"
	contains(found.message, "no commercial use")
}

test_denied_without_a_why if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["agpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "agpl-3.0"
}

test_one_entry_of_a_list if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit", "agpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "agpl-3.0"
}

test_or_avoids_it if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["agpl-3.0 or mit"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_and_does_not if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["agpl-3.0 and mit"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_every_branch if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["agpl-3.0 or cc-by-nc-4.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_spdx_reading if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["GNU Affero 3"]),
		fixture.set("/repo/license/spdx", "AGPL-3.0"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "AGPL-3.0"
}

test_false_takes_away if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["agpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/denied/agpl-3.0", false)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([
		fixture.set("/repo/license/declared", ["agpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
