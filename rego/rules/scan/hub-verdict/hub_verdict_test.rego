package gateway.rules.scan.hub_verdict_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.scan.hub_verdict as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_unsafe if {
	asked := fixture.revision([
		fixture.set("/evidence/hub", [{"path": "model.safetensors", "vendor": "av", "level": "Unsafe"}]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.scope == "file"
	found.evidence == "av Unsafe"
}

test_safe if {
	asked := fixture.revision([
		fixture.set("/evidence/hub", [{"path": "model.safetensors", "vendor": "av", "level": "safe"}]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_level_switched_off if {
	asked := fixture.revision([
		fixture.set("/evidence/hub", [{"path": "model.safetensors", "vendor": "av", "level": "Unsafe"}]),
	])
	config := fixture.config([fixture.set("/scan/hub_levels/unsafe", false)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_file_itself if {
	asked := fixture.file([
		fixture.set("/evidence/hub", [{"path": "model.safetensors", "vendor": "av", "level": "Unsafe"}]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
}

test_another_file if {
	asked := fixture.file([fixture.set("/evidence/hub", [{"path": "x.bin", "vendor": "av", "level": "unsafe"}])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
