# METADATA
# title: Repo disabled by the hub
# description: |
#   The hub disabled the repo. What was fetched before is not good because it is cached.
# custom:
#   id: repo/disabled
#   severity: high
#   message: "The hub disabled <repo>."
#   remedy: "Choose another model; the hub's page of the repo may say why."
#   doc: docs/rules/repo-disabled.md
package gateway.rules.repo.disabled

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result

deny contains result.repo({
	"severity": "high",
	"message": sprintf("The hub disabled %s.", [artifact.repo_name]),
	"remedy": "Choose another model; the hub's page of the repo may say why it was disabled.",
	"evidence": artifact.repo_name,
}) if {
	artifact.in_revision
	input.repo.disabled
}
