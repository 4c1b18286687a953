package gateway.rules.entitlement.gated_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.entitlement.gated as rule

test_public if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_gated_without_a_row if {
	asked := fixture.revision([
		fixture.set("/repo/gated", "manual"),
		fixture.set("/repo/access", "gateway_token"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.effect == "deny"
}

test_gated_with_a_row if {
	asked := fixture.revision([
		fixture.set("/repo/gated", "manual"),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "beta/llm"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_facts_stay_visible if {
	asked := fixture.revision([
		fixture.set("/repo/gated", "manual"),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/action", "read_metadata"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_also_where_facts_were_read_anonymously if {
	asked := fixture.revision([fixture.set("/repo/gated", "manual")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_private_is_not_its_business if {
	asked := fixture.revision([
		fixture.set("/repo/gated", "manual"),
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_silent_for_a_file if {
	asked := fixture.file([fixture.set("/repo/gated", "manual"), fixture.set("/repo/access", "gateway_token")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}
