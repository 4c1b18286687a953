# METADATA
# title: Too young
# description: |
#   The commit or the repo is younger than the data asks. The hub's commit date governs; where it is missing, our
#   own first-seen clock does. A date in the future is not old. The hold ends by itself.
# custom:
#   id: age/quarantine
#   severity: medium
#   message: "The <commit|repo> is younger than <n> hours."
#   remedy: "Wait until <time>, pin an older commit, or ask for a waiver of age/quarantine."
#   doc: docs/rules/age-quarantine.md
package gateway.rules.age.quarantine

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.clock
import data.gateway.lib.result

deny contains result.revision({
	"severity": "medium",
	"message": sprintf("The %s of %s is younger than the %d hours that this site waits.", [
		hold.what,
		artifact.repo_name,
		hold.hours,
	]),
	"remedy": sprintf("Wait until %s, pin an older commit, or ask for a waiver of age/quarantine.", [clock.rfc3339(hold.until)]),
	"evidence": sprintf("%s since %s", [hold.what, clock.rfc3339(hold.since)]),
	"effect": "quarantine",
	"until_ns": hold.until,
}) if {
	artifact.in_revision
	some hold in holds
	hold.until > clock.now
}

holds contains {"what": "commit", "since": since, "hours": hours, "until": since + (hours * clock.hour_ns)} if {
	hours := data.config.age.commit_min_hours
	since := committed_ns
}

holds contains {"what": "repo", "since": since, "hours": hours, "until": since + (hours * clock.hour_ns)} if {
	hours := data.config.age.repo_min_hours
	since := clock.ns(input.repo.created_at)
}

committed_ns := clock.ns(input.revision.committed_at)

committed_ns := clock.ns(input.repo.first_seen_at) if not clock.well_formed(input.revision.committed_at)
