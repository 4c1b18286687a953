# METADATA
# title: Age unknown
# description: |
#   Neither the hub nor our own first-seen clock gives a readable time for the commit or the repo. An unknown age
#   is not an old one.
# custom:
#   id: age/missing
#   severity: medium
#   message: "The age of <repo> is unknown: the commit or the repo has no date and no first-seen time."
#   remedy: "Ask for a waiver of age/missing, or fetch it again once the gateway has seen it for long enough."
#   doc: docs/rules/age-missing.md
package gateway.rules.age.missing

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.clock
import data.gateway.lib.result

deny contains result.revision({
	"severity": "medium",
	"message": sprintf("The age of %s is unknown: the commit or the repo has no date and no first-seen time.", [
		artifact.repo_name,
	]),
	"remedy": "Fetch it again once the gateway has seen it for long enough, or ask for a waiver of age/missing.",
	"evidence": "no date",
}) if {
	artifact.in_revision
	not clock.well_formed(input.repo.first_seen_at)
	not dated
}

dated if {
	clock.well_formed(input.revision.committed_at)
	clock.well_formed(input.repo.created_at)
}
