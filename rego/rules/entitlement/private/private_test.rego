package gateway.rules.entitlement.private_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.entitlement.private as rule

test_public if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_private_without_a_row if {
	asked := fixture.revision([fixture.set("/repo/private", true), fixture.set("/repo/access", "gateway_token")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.scope == "repo"
	found.effect == "deny"
}

test_private_with_a_row if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "acme/secret"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_private_with_a_pattern if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "beta/x"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_the_group_of_others if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "acme/secret"),
		fixture.set("/subject/groups", ["sales"]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_no_groups if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "acme/secret"),
		fixture.set("/subject/groups", []),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_the_credential_was_needed_for_no_stated_reason if {
	asked := fixture.revision([fixture.set("/repo/access", "gateway_token")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_private_though_opened_anonymously if {
	asked := fixture.revision([fixture.set("/repo/private", true)])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_gated_is_not_its_business if {
	asked := fixture.revision([fixture.set("/repo/access", "gateway_token"), fixture.set("/repo/gated", "auto")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	count(results) == 0
}

test_private_and_gated if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/gated", "auto"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_every_action if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/action", "list"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_a_dataset_of_that_name if {
	asked := fixture.revision([
		fixture.set("/repo/private", true),
		fixture.set("/repo/access", "gateway_token"),
		fixture.set("/repo/id", "acme/secret"),
		fixture.set("/repo/type", "dataset"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
		with data.entitlements as {"research": {"acme/secret": true, "beta/*": true}}
	some found in results
	count(results) == 1
	found.effect == "deny"
}
