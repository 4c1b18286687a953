package gateway.rules.age.missing_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.age.missing as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_no_commit_date_but_seen if {
	asked := fixture.revision([fixture.set("/revision/committed_at", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_neither if {
	asked := fixture.revision([
		fixture.set("/revision/committed_at", ""),
		fixture.set("/repo/first_seen_at", ""),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
	found.effect == "deny"
}

test_a_repo_without_any_date if {
	asked := fixture.revision([fixture.set("/repo/created_at", ""), fixture.set("/repo/first_seen_at", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
}

test_no_repo_date_but_seen if {
	asked := fixture.revision([fixture.set("/repo/created_at", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_both_malformed if {
	asked := fixture.revision([
		fixture.set("/revision/committed_at", "2026-13-01T00:00:00Z"),
		fixture.set("/repo/first_seen_at", "2026-11-01t09:00:00z"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "revision"
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/revision/committed_at", ""), fixture.set("/repo/first_seen_at", "")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
