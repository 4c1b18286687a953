package gateway.rules.format.banned_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.format.banned as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_by_name if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("a.7z", "7z")])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "a.7z"
	found.effect == "deny"
	found.remedy == "Ask for a zip."
}

test_without_an_alternative if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("a.exe", "executable")])])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "deny"
}

test_with_a_twin_it_is_hidden if {
	asked := fixture.revision([
		fixture.set("/revision/files", [object.union(fixture.entry("w.7z", "7z"), {"twin": "w.safetensors"})]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "hide"
	contains(found.remedy, "w.safetensors")
}

test_by_content if {
	asked := fixture.file([fixture.set("/artifact/format", "7z")])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.path == "model.safetensors"
	found.effect == "deny"
}

test_taken_away if {
	asked := fixture.revision([fixture.set("/revision/files", [fixture.entry("a.7z", "7z")])])
	config := fixture.config([fixture.set("/formats/banned/7z", false)])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}
