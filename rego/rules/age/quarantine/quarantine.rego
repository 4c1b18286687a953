# METADATA
# title: Too young
# description: |
#   The commit or the repo is younger than the data asks. The hub's dates govern; where one is missing, our own
#   first-seen clock does. A date in the future is not old. The hold ends by itself.
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

holds contains held_since("commit", governing(input.revision.committed_at), data.config.age.commit_min_hours)

holds contains held_since("repo", governing(input.repo.created_at), data.config.age.repo_min_hours)

held_since(what, since, hours) := {
	"what": what,
	"since": since,
	"hours": hours,
	"until": since + (hours * data.gateway.lib.clock.hour_ns),
}

# The hub's date, or our own first-seen clock where the hub gives none that can be read.
governing(date) := clock.ns(date)

governing(date) := clock.ns(input.repo.first_seen_at) if not clock.well_formed(date)
