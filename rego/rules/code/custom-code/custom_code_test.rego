package gateway.rules.code.custom_code_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.code.custom_code as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_python if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("modeling_x.py", "python")])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "modeling_x.py"
	found.scope == "file"
	found.effect == "deny"
}

test_by_name_whatever_the_format if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("SETUP.PY", "text")])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "SETUP.PY"
}

test_by_format_whatever_the_name if {
	asked := fixture.file([fixture.set("/artifact/format", "python")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
}

test_each_file if {
	asked := fixture.revision([
		fixture.set("/revision/files", [fixture.entry("a.py", "python"), fixture.entry("b/c.py", "python")]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	{found.path | some found in results} == {"a.py", "b/c.py"}
}

test_approved_by_git_id if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("modeling_x.py", "python")])])
	config := fixture.config([fixture.set("/custom_code/approved", {"git-sha1:5555555555555555555555555555555555555555": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approved_by_commit if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("modeling_x.py", "python")])])
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny@1111111111111111111111111111111111111111": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_repo_alone_is_no_approval if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("modeling_x.py", "python")])])
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_approvals_by_sha256_wait_for_the_bytes if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("modeling_x.py", "python")])])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:77": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_and_the_bytes_then_decide if {
	asked := fixture.file([fixture.set("/artifact/format", "python")])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:77": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_bytes_approved_that_the_hub_names_by_git_id if {
	asked := fixture.file([
		fixture.set("/artifact/format", "python"),
		fixture.set("/artifact/digest", "git-sha1:1"),
		fixture.set("/artifact/sha256", "sha256:77"),
	])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:77": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_bytes_approved if {
	asked := fixture.file([fixture.set("/artifact/format", "python")])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_an_lfs_file_does_not_wait if {
	asked := fixture.revision([
		fixture.set("/revision/files", [object.union(fixture.entry("x.py", "python"), {"digest": "sha256:88"})]),
	])
	config := fixture.config([fixture.set("/custom_code/approved", {"sha256:77": true})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}
