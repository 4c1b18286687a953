package gateway.rules.scan.remote_code_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.remote_code as rule

test_clean if {
	asked := fixture.file([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_class_remote_code if {
	asked := fixture.found("remote-code")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.evidence == "scanner.rule os.system"
}

test_another_class if {
	asked := fixture.found("code-exec")
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approved_by_digest if {
	asked := fixture.found("remote-code")
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approved_by_commit if {
	asked := fixture.found("remote-code")
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny@1111111111111111111111111111111111111111": {"by": "alice"}})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approved_at_another_commit if {
	asked := fixture.found("remote-code")
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny@9999999999999999999999999999999999999999": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_approval_withdrawn if {
	asked := fixture.found("remote-code")
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny@1111111111111111111111111111111111111111": false})])
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
