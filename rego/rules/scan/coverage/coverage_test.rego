package gateway.rules.scan.coverage_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.coverage as rule

test_clean if {
	asked := fixture.file([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_partial if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "partial"),
		fixture.set("/evidence/reports/0/coverage/cause", "too-large"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
	found.path == "model.safetensors"
	found.evidence == "own partial too-large"
}

test_failed_for_good if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "failed"),
		fixture.set("/evidence/reports/0/coverage/cause", "malformed"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_failed_for_now if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "failed"),
		fixture.set("/evidence/reports/0/coverage/cause", "timeout"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "quarantine"
}

test_partial_by_timeout_is_no_transient_failure if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "partial"),
		fixture.set("/evidence/reports/0/coverage/cause", "timeout"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_no_cause_given if {
	asked := fixture.file([fixture.set("/evidence/reports/0/coverage/surface", "failed")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
	contains(found.message, "no cause given")
}

test_not_run_is_not_its_business if {
	asked := fixture.file([fixture.set("/evidence/reports/0/coverage/surface", "not_run")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_one_of_two if {
	asked := fixture.file([
		fixture.set("/evidence/reports/1", {"scanner": "second", "version": "1", "format": "safetensors", "coverage": {"surface": "failed", "whole_file": false, "cause": "x"}, "findings": []}),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "second failed x"
}

test_a_required_scanner_is_missing if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/scan/required_scanners", {"clamav": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "clamav missing"
}

test_a_required_scanner_reported if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/scan/required_scanners", {"own": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_scanner_no_longer_required if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/scan/required_scanners", {"clamav": false})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_silent_for_a_revision if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/scan/required_scanners", {"clamav": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_no_report_at_all_is_never_clean if {
	asked := fixture.file([fixture.set("/evidence/reports", [])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "no report"
}
