package gateway.rules.age.quarantine_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.age.quarantine as rule

test_old_enough if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_young_commit if {
	asked := fixture.revision([fixture.set("/revision/committed_at", "2026-11-23T10:00:00Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
	found.scope == "revision"
	found.until_ns == 1795687200000000000
	contains(found.remedy, "2026-11-26T10:00:00Z")
}

test_at_the_instant_of_release if {
	asked := fixture.revision([fixture.set("/revision/committed_at", "2026-11-21T10:00:00Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_one_second_before if {
	asked := fixture.revision([fixture.set("/revision/committed_at", "2026-11-21T10:00:01Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
}

test_a_date_in_the_future_is_not_old if {
	asked := fixture.revision([fixture.set("/revision/committed_at", "2030-01-01T00:00:00Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
}

test_a_young_repo if {
	asked := fixture.revision([fixture.set("/repo/created_at", "2026-11-20T10:00:00Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
	contains(found.message, "repo")
}

test_the_first_seen_clock_where_the_hub_is_silent if {
	asked := fixture.revision([
		fixture.set("/revision/committed_at", ""),
		fixture.set("/repo/first_seen_at", "2026-11-24T09:00:00Z"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
}

test_the_first_seen_clock_where_the_date_is_malformed if {
	asked := fixture.revision([
		fixture.set("/revision/committed_at", "2020-02-30T00:00:00Z"),
		fixture.set("/repo/first_seen_at", "2026-11-24T09:00:00Z"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
}

test_the_first_seen_clock_for_the_repo_too if {
	asked := fixture.revision([
		fixture.set("/repo/created_at", ""),
		fixture.set("/repo/first_seen_at", "2026-11-24T09:00:00Z"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
	contains(found.message, "repo")
}

test_both_are_told if {
	asked := fixture.revision([
		fixture.set("/revision/committed_at", "2026-11-24T09:00:00Z"),
		fixture.set("/repo/created_at", "2026-11-24T09:00:00Z"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 2
}

test_unknown_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/repo/created_at", ""),
		fixture.set("/revision/committed_at", ""),
		fixture.set("/repo/first_seen_at", "yesterday"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/revision/committed_at", "2026-11-23T10:00:00Z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
