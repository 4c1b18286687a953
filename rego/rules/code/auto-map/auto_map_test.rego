package gateway.rules.code.auto_map_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.code.auto_map as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_config_that_triggers_it if {
	asked := fixture.revision([fixture.set("/repo/custom_code/auto_map", ["modeling_x.X"])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "config.json"
	found.evidence == "modeling_x.X"
}

test_many_targets_stay_short if {
	asked := fixture.revision([fixture.set("/repo/custom_code/auto_map", ["a.A", "b.B", "c.C", "d.D"])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "config.json"
	contains(found.message, "1 more")
}

test_approved_by_commit if {
	asked := fixture.revision([fixture.set("/repo/custom_code/auto_map", ["modeling_x.X"])])
	config := fixture.config([fixture.set("/custom_code/approved", {"acme/tiny@1111111111111111111111111111111111111111": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_approved_by_git_id if {
	asked := fixture.revision([fixture.set("/repo/custom_code/auto_map", ["modeling_x.X"])])
	config := fixture.config([fixture.set("/custom_code/approved", {"git-sha1:2222222222222222222222222222222222222222": true})])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_config_itself if {
	asked := fixture.file([
		fixture.set("/repo/custom_code/auto_map", ["modeling_x.X"]),
		fixture.set("/artifact/path", "config.json"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "config.json"
}

test_another_file if {
	asked := fixture.file([fixture.set("/repo/custom_code/auto_map", ["modeling_x.X"])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
