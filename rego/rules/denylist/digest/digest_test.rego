package gateway.rules.denylist.digest_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.denylist.digest as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_in_a_listing if {
	asked := fixture.revision([])
	config := fixture.config([fixture.set("/denylist/digests", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": {"why": "backdoor"}})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.scope == "file"
	found.severity == "critical"
}

test_the_file_itself if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/denylist/digests", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": {"why": "backdoor"}})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
}

test_bytes_that_the_hub_names_by_git_id if {
	asked := fixture.file([
		fixture.set("/artifact/digest", "git-sha1:1"),
		fixture.set("/artifact/sha256", "sha256:3333333333333333333333333333333333333333333333333333333333333333"),
	])
	config := fixture.config([fixture.set("/denylist/digests", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": {"why": "backdoor"}})])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
}

test_other_bytes if {
	asked := fixture.file([fixture.set("/artifact/digest", "sha256:0")])
	config := fixture.config([fixture.set("/denylist/digests", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": {"why": "backdoor"}})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_taken_away if {
	asked := fixture.file([])
	config := fixture.config([fixture.set("/denylist/digests", {"sha256:3333333333333333333333333333333333333333333333333333333333333333": false})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
