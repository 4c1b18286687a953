# METADATA
# title: Configuration that asks for custom code
# description: |
#   config.json names classes of the repo's own Python (auto_map), so a loader that trusts it would run that code.
#   Approved as code/custom-code.
# custom:
#   id: code/auto-map
#   severity: high
#   message: "'config.json' asks loaders to run the repo's own code: <targets>."
#   remedy: >-
#     Approve the code by digest or the revision as org/name@commit in custom_code.approved, or use a revision
#     without auto_map.
#   doc: docs/rules/code-auto-map.md
package gateway.rules.code.auto_map

import rego.v1

import data.gateway.lib.approval
import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(file.path, {
	"severity": "high",
	"message": sprintf("'config.json' asks loaders to run the repo's own code: %s.", [text.names(targets)]),
	"remedy": concat(" ", [
		"Approve config.json by digest or the revision",
		sprintf("as %s in custom_code.approved,", [artifact.pinned]),
		"or use a revision without auto_map.",
	]),
	"evidence": concat(" ", sort(targets)),
}) if {
	count(targets) > 0
	some file in artifact.files
	file.path == "config.json"
	not approval.file(file)
	not approval.undecided(file)
}

targets := [target | some target in input.repo.custom_code.auto_map; is_string(target)]
