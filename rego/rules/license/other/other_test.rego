package gateway.rules.license.other_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.license.other as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_without_a_link if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
}

test_a_name_proves_nothing if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/name", "apache-2.0"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "other apache-2.0 "
}

test_an_agreement if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/name", "acme-license"),
		fixture.set("/repo/license/link", "https://acme.example/license"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_link_under_another_name if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/name", "mine"),
		fixture.set("/repo/license/link", "https://acme.example/license"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_link_with_something_behind if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/name", "acme-license"),
		fixture.set("/repo/license/link", "https://acme.example/license2"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_agreement_of_others if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/id", "evil/acme"),
		fixture.set("/repo/license/name", "acme-license"),
		fixture.set("/repo/license/link", "https://acme.example/license"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_row_without_a_link_covers_nothing if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([fixture.set("/licenses/agreements/empty", {"link": ""})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_row_switched_off if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/name", "acme-license"),
		fixture.set("/repo/license/link", "https://acme.example/license"),
	])
	config := fixture.config([fixture.set("/licenses/agreements/acme", false)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_an_agreement_for_every_repo if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/link", "https://other.example/l"),
	])
	config := fixture.config([fixture.set("/licenses/agreements/wide", {"link": "https://other.example/l"})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_file_of_the_repo_needs_the_repos_named if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/link", "LICENSE"),
	])
	config := fixture.config([fixture.set("/licenses/agreements/loose", {"link": "LICENSE"})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_file_of_a_named_repo if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
		fixture.set("/repo/license/link", "LICENSE"),
	])
	config := fixture.config([fixture.set("/licenses/agreements/bound", {"link": "LICENSE", "repos": {"acme/tiny": true}})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_other_in_a_list if {
	asked := fixture.revision([
		fixture.set("/repo/license/declared", ["mit", "OTHER"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_silent_for_a_file if {
	asked := fixture.file([
		fixture.set("/repo/license/declared", ["other"]),
		fixture.set("/repo/license/spdx", null),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
