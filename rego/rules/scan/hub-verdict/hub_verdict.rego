# METADATA
# title: The hub's own scanner objects
# description: |
#   A scanner of the hub rates the file at a level named in scan.hub_levels. The hub's silence is never evidence.
# custom:
#   id: scan/hub-verdict
#   severity: high
#   message: "The hub's scanner <vendor> rates '<file>' as <level>."
#   remedy: >-
#     Read the report on the hub's page of the file; use another revision, or ask for a waiver of
#     scan/hub-verdict.
#   doc: docs/rules/scan-hub-verdict.md
package gateway.rules.scan.hub_verdict

import rego.v1

import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(verdict.path, {
	"severity": "high",
	"message": sprintf("The hub's scanner %s rates %s as %s.", [
		text.name(verdict.vendor),
		text.name(verdict.path),
		text.name(verdict.level),
	]),
	"remedy": concat(" ", [
		"Read the report on the hub's page of the file; use another revision,",
		"or ask for a waiver of scan/hub-verdict.",
	]),
	"evidence": sprintf("%s %s", [verdict.vendor, verdict.level]),
}) if {
	levels := data.config.scan.hub_levels
	some verdict in input.evidence.hub
	levels[lower(verdict.level)]
	concerned(verdict)
}

concerned(_) if input.scope == "revision"

concerned(verdict) if {
	input.scope == "file"
	verdict.path == input.artifact.path
}
