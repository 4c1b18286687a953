# METADATA
# title: Python that was not approved
# description: |
#   Python of the repo runs with all rights of whoever loads it, and no scanner is adequate. A person approves it
#   in custom_code.approved, by digest or by repo and commit.
# custom:
#   id: code/custom-code
#   severity: high
#   message: "'<file>' is code (<digest>) that nobody approved."
#   remedy: "Have it read and approved in custom_code.approved, or use a model that needs no code of its own."
#   doc: docs/rules/code-custom-code.md
package gateway.rules.code.custom_code

import rego.v1

import data.gateway.lib.approval
import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(file.path, {
	"severity": "high",
	"message": sprintf("%s is code (%s) that nobody approved.", [text.name(file.path), text.line(file.digest, 80)]),
	"remedy": concat(" ", [
		"Have it read and approved in custom_code.approved (by this digest,",
		sprintf("or the revision as %s),", [artifact.pinned]),
		"or use a model that needs no code of its own.",
	]),
	"evidence": file.digest,
}) if {
	paths := data.gateway.lib.approval.code_paths
	count(paths) > 0
	some file in artifact.files
	file.path in paths
	not approval.file(file)
	not approval.undecided(file)
}
