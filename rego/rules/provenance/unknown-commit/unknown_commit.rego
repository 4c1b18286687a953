# METADATA
# title: Commit that could not be placed
# description: |
#   The walk of the default branch ended (length, time, error) before the commit was found. Each profile says by
#   its mode what unknown means.
# custom:
#   id: provenance/unknown-commit
#   severity: medium
#   message: "Whether the commit <commit> belongs to the default branch is unknown."
#   remedy: >-
#     Use the default branch or a more recent commit of its history, or ask for a waiver of
#     provenance/unknown-commit.
#   doc: docs/rules/provenance-unknown-commit.md
package gateway.rules.provenance.unknown_commit

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.revision({
	"severity": "medium",
	"message": sprintf("Whether the commit %s of %s belongs to the default branch is unknown.", [
		text.line(input.revision.commit, 64),
		artifact.repo_name,
	]),
	"remedy": concat(" ", [
		"Use the default branch or a more recent commit of its history,",
		"or ask for a waiver of provenance/unknown-commit for this commit.",
	]),
	"evidence": input.revision.commit,
}) if {
	artifact.in_revision
	input.revision.reachable == "unknown"
	data.config.provenance.unreachable_kinds[input.revision.ref_kind]
}
