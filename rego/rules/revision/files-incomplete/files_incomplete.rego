# METADATA
# title: File list incomplete
# description: |
#   The repo was too large to list in time, so facts about siblings (twins, custom code) may be missing.
# custom:
#   id: revision/files-incomplete
#   severity: medium
#   message: "The file list of <repo> at <commit> is incomplete."
#   remedy: "Try again later, or ask for a waiver of revision/files-incomplete for this commit."
#   doc: docs/rules/revision-files-incomplete.md
package gateway.rules.revision.files_incomplete

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.revision({
	"severity": "medium",
	"message": sprintf("The file list of %s at %s is incomplete: not everything could be judged.", [
		artifact.repo_name,
		text.line(input.revision.commit, 64),
	]),
	"remedy": "Try again later, or ask for a waiver of revision/files-incomplete for this commit.",
	"evidence": "files incomplete",
}) if {
	artifact.in_revision
	not input.revision.files_complete
}
