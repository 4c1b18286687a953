package gateway.rules.license.allowed_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.license.allowed as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_unlisted if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["gpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gpl-3.0"
	found.scope == "repo"
	found.effect == "deny"
	found.path == ""
}

test_case_and_space_are_nothing if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", [" Apache-2.0 "]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_look_alike_is_another_id if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["x\u212ax"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/allowed/xkx", true)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_hard_space_is_no_space if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["MIT\u00a0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_list_needs_every_entry if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit", "gpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gpl-3.0"
}

test_a_family_is_no_id if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["apache"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "apache"
}

test_a_longer_name_is_no_id if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit-like"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "mit-like"
}

test_or_needs_one_branch if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["GPL-3.0 OR MIT"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_and_needs_all if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["GPL-3.0 AND MIT"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gpl-3.0 and mit"
}

test_or_of_ands if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["GPL-3.0 AND MIT OR Apache-2.0 AND MIT"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_parentheses_are_not_read if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["(MIT OR GPL-3.0) AND BSD"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_spdx_reading_answers_for_a_spelling if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["Apache 2.0"]),
		fixture.set("/repo/license/spdx", "Apache-2.0"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_spdx_reading_of_something_unlisted if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["GNU GPL v3"]),
		fixture.set("/repo/license/spdx", "GPL-3.0-only"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gnu gpl v3"
}

test_the_spdx_reading_says_nothing_beside_other if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["my license", "other"]),
		fixture.set("/repo/license/spdx", "MIT"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "my license"
}

test_nothing_declared_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", []),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_other_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_conditional_counts_as_listed if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["llama3"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_false_takes_away if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/allowed/mit", false)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "mit"
}

test_a_denied_id_is_not_allowed_either if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["cc-by-nc-4.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "cc-by-nc-4.0"
}

test_one_reason_is_enough if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["cc-by-nc-4.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/rules/license~1denied", {"mode": "enforce"})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_where_the_other_only_warns_this_one_stands if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["cc-by-nc-4.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/rules/license~1denied", {"mode": "warn"})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "cc-by-nc-4.0"
}

test_each_entry_for_itself if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["cc-by-nc-4.0", "gpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/rules/license~1denied", {"mode": "enforce"})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "gpl-3.0"
}

test_silent_for_a_file if {
	asked := fixture.file([
		fixture.set("/repo/license/declared", ["gpl-3.0"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_words_are_one_ascii_line if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["x\n\u202eY: evil"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	regex.match(`^[ -~]+$`, found.message)
	regex.match(`^[ -~]+$`, found.evidence)
}
