package gateway.rules.scan.not_run_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.not_run as rule

test_clean if {
	asked := fixture.file([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_nobody_reported if {
	asked := fixture.file([fixture.set("/evidence/reports", [])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.effect == "deny"
}

test_not_run if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "not_run"),
		fixture.set("/artifact/format", "onnx"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.evidence == "not-run onnx"
}

test_failed_is_not_its_business if {
	asked := fixture.file([fixture.set("/evidence/reports/0/coverage/surface", "failed")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_read_by_a_person if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "not_run"),
		fixture.set("/artifact/path", "modeling.py"),
	])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approval_of_something_that_is_no_code if {
	asked := fixture.file([
		fixture.set("/evidence/reports/0/coverage/surface", "not_run"),
		fixture.set("/artifact/format", "onnx"),
	])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_silent_for_a_revision if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
