# METADATA
# title: No entitlement to a private repo
# description: |
#   What only the gateway's credential opens belongs to subjects whose group has a row for the repo in
#   data.entitlements. A repo that needs the credential for no stated reason is treated as private.
# custom:
#   id: entitlement/private
#   severity: high
#   message: "There is no such repo for you."
#   remedy: "Ask the owners of the entitlements for a row for one of your groups."
#   doc: docs/rules/entitlement-private.md
package gateway.rules.entitlement.private

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.entitlement
import data.gateway.lib.result

deny contains result.repo({
	"severity": "high",
	"message": sprintf("%s is private and none of your groups is entitled to it.", [artifact.repo_name]),
	"remedy": "Ask the owners of data.entitlements for a row for one of your groups.",
	"evidence": artifact.repo_name,
}) if {
	artifact.in_revision
	private
	not entitlement.held
}

private if input.repo.private

private if {
	input.repo.access != "anonymous"
	input.repo.gated == "no"
}
