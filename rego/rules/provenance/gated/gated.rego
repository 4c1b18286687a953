# METADATA
# title: Gated repo
# description: |
#   The publisher opens the repo only to those who accepted its terms, and the gateway did that for all. Each
#   profile says by its mode what that means.
# custom:
#   id: provenance/gated
#   severity: low
#   message: "<repo> is gated (<auto|manual>): its publisher asks each user to accept terms."
#   remedy: "Read and accept the terms on the hub's page of the repo, or choose an open model."
#   doc: docs/rules/provenance-gated.md
package gateway.rules.provenance.gated

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result

deny contains result.repo({
	"severity": "low",
	"message": sprintf("%s is gated (%s): its publisher asks each user to accept terms.", [
		artifact.repo_name,
		input.repo.gated,
	]),
	"remedy": "Read and accept the terms on the hub's page of the repo, or choose an open model.",
	"evidence": input.repo.gated,
}) if {
	artifact.in_revision
	input.repo.gated != "no"
}
