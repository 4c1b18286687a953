package gateway.rules.allowlist.publisher_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.allowlist.publisher as rule

test_off if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_on_and_empty if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/publishers/enabled", true)])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.evidence == "acme"
}

test_named if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/publishers/enabled", true), fixture.set("/allowlist/publishers/names", {"acme": {"since": "2026"}})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_repo_named_by_itself if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/allowlist/publishers/enabled", true), fixture.set("/allowlist/repos/names", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_look_alike if {
	asked := fixture.revision([fixture.set("/repo/publisher/name", "\u0430cme")])
	config := fixture.config([fixture.set("/allowlist/publishers/enabled", true), fixture.set("/allowlist/publishers/names", {"acme": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_silent_for_a_file if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/allowlist/publishers/enabled", true)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
