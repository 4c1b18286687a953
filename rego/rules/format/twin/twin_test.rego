package gateway.rules.format.twin_test

import rego.v1

import data.gateway.lib.fixture_test as fixture
import data.gateway.rules.format.twin as rule

test_clean if {
	asked := fixture.revision([])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_hidden if {
	asked := fixture.revision([
		fixture.set("/revision/files", [object.union(fixture.entry("pytorch_model.bin", "torch-zip"), {"twin": "model.safetensors"})]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "hide"
	found.path == "pytorch_model.bin"
	contains(found.remedy, "model.safetensors")
}

test_without_a_twin if {
	asked := fixture.revision([
		fixture.set("/revision/files", [fixture.entry("pytorch_model.bin", "torch-zip")]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_a_format_that_cannot_execute if {
	asked := fixture.revision([
		fixture.set("/revision/files", [object.union(fixture.entry("model.gguf", "gguf"), {"twin": "model.safetensors"})]),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	count(results) == 0
}

test_the_file_itself if {
	asked := fixture.file([
		fixture.set("/artifact/format", "torch-zip"),
		fixture.set("/artifact/twin", "model.safetensors"),
	])
	config := fixture.config([])
	results := rule.deny with input as asked
		with data.config as config
	some found in results
	count(results) == 1
	found.effect == "hide"
}
