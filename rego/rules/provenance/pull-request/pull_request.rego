# METADATA
# title: Content of a pull request
# description: |
#   refs/pr/N lives under the repo's name, but anyone may write it.
# custom:
#   id: provenance/pull-request
#   severity: high
#   message: "'<ref>' is a pull request: anyone may have written it."
#   remedy: "Use the default branch, a tag, or a commit of its history."
#   doc: docs/rules/provenance-pull-request.md
package gateway.rules.provenance.pull_request

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.revision({
	"severity": "high",
	"message": sprintf("%s of %s is a pull request: anyone may have written it.", [
		text.name(input.revision.ref),
		artifact.repo_name,
	]),
	"remedy": "Use the default branch, a tag, or a commit of its history.",
	"evidence": input.revision.ref,
}) if {
	artifact.in_revision
	pull_request
}

pull_request if input.revision.ref_kind == "pull_request"

pull_request if startswith(lower(input.revision.ref), "refs/pr/")
