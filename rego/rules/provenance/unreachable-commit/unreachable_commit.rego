# METADATA
# title: Commit outside the default branch
# description: |
#   The commit is not part of the default branch's history: it may come from a pull request, under the repo's
#   name.
# custom:
#   id: provenance/unreachable-commit
#   severity: high
#   message: "The commit <commit> is not part of the default branch's history."
#   remedy: >-
#     Use the default branch or a commit of its history, or ask for a waiver of provenance/unreachable-commit for
#     this commit.
#   doc: docs/rules/provenance-unreachable-commit.md
package gateway.rules.provenance.unreachable_commit

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.revision({
	"severity": "high",
	"message": sprintf("The commit %s of %s is not part of the default branch's history; anyone may have written it.", [
		text.line(input.revision.commit, 64),
		artifact.repo_name,
	]),
	"remedy": concat(" ", [
		"Use the default branch or a commit of its history,",
		"or ask for a waiver of provenance/unreachable-commit for this commit.",
	]),
	"evidence": input.revision.commit,
}) if {
	artifact.in_revision
	input.revision.reachable == "no"
	data.config.provenance.unreachable_kinds[input.revision.ref_kind]
}
