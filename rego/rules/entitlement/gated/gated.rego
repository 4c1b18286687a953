# METADATA
# title: No entitlement to a gated repo
# description: |
#   The bytes of a gated repo are opened by the gateway's credential, so they belong to subjects whose group has a
#   row for the repo. Its public facts stay visible.
# custom:
#   id: entitlement/gated
#   severity: high
#   message: "<repo> is gated and none of your groups is entitled to it."
#   remedy: "Accept the terms on the hub, then ask the owners of data.entitlements for a row for one of your groups."
#   doc: docs/rules/entitlement-gated.md
package gateway.rules.entitlement.gated

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.entitlement
import data.gateway.lib.result

deny contains result.repo({
	"severity": "high",
	"message": sprintf("%s is gated and none of your groups is entitled to it.", [artifact.repo_name]),
	"remedy": concat(" ", [
		"Read the terms on the hub's page of the repo,",
		"then ask the owners of data.entitlements for a row for one of your groups.",
	]),
	"evidence": artifact.repo_name,
}) if {
	artifact.in_revision
	input.action == "fetch"
	input.repo.gated != "no"
	not input.repo.private
	not entitlement.held
}
