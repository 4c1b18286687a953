# METADATA
# title: Denied license
# description: |
#   A license that is named as denied applies and no OR branch avoids it.
# custom:
#   id: license/denied
#   severity: high
#   message: "The license '<id>' is denied: <why>."
#   remedy: "Choose a model under another license; a waiver of license/denied needs the legal owner's approval."
#   doc: docs/rules/license-denied.md
package gateway.rules.license.denied

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.licensing
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "high",
	"message": sprintf("The license %s of %s is denied: %s.", [
		text.name(entry),
		artifact.repo_name,
		why(lower(entry)),
	]),
	"remedy": "Choose a model under another license; a waiver of license/denied needs the legal owner's approval.",
	"evidence": entry,
}) if {
	artifact.in_revision
	some entry in applying
	licensing.unavoidable(entry, data.config.licenses.denied)
}

applying contains entry if some entry in licensing.named

applying contains licensing.spdx

why(entry) := text.note(data.config.licenses.denied[entry], "why", "no reason on record") if {
	data.config.licenses.denied[entry]
}

# An expression has no row of its own.
why(entry) := "every choice holds a denied license" if not data.config.licenses.denied[entry]
