# METADATA
# title: Nobody looked
# description: |
#   No scanner can judge the format, or no report exists. Missing evidence is not clean evidence. Code that was
#   read by a person (custom_code.approved) needs no scanner.
# custom:
#   id: scan/not-run
#   severity: high
#   message: "No scanner judged '<file>' (format <format>)."
#   remedy: "Use a safetensors or GGUF file of the same model, or ask for a waiver of scan/not-run for this digest."
#   doc: docs/rules/scan-not-run.md
package gateway.rules.scan.not_run

import rego.v1

import data.gateway.lib.approval
import data.gateway.lib.artifact
import data.gateway.lib.evidence
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(input.artifact.path, {
	"severity": "high",
	"message": sprintf("No scanner judged %s (format %s).", [
		text.name(input.artifact.path),
		text.name(input.artifact.format),
	]),
	"remedy": artifact.advice(input.artifact, concat(" ", [
		"Use a safetensors or GGUF file of the same model,",
		"or ask for a waiver of scan/not-run for this digest.",
	])),
	"evidence": sprintf("not-run %s", [input.artifact.format]),
}) if {
	artifact.in_file
	not someone_looked
	not read_by_a_person
}

# A partial or failed look is the business of scan/coverage.
someone_looked if {
	some report in evidence.reports
	report.coverage.surface != "not_run"
}

read_by_a_person if {
	input.artifact.path in data.gateway.lib.approval.code_paths
	approval.file(input.artifact)
}
