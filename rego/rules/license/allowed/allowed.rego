# METADATA
# title: License not on the allowed list
# description: |
#   Every license that applies must be allowed: each entry of a YAML list, one branch of an OR, all parts of an
#   AND. Ids of licenses.conditional count here and are the business of license/conditional.
# custom:
#   id: license/allowed
#   severity: high
#   message: "The license '<id>' is not on the list of allowed licenses."
#   remedy: >-
#     Choose a model under an allowed license, or ask for the id to be added to licenses.allowed or for a waiver
#     of license/allowed.
#   doc: docs/rules/license-allowed.md
package gateway.rules.license.allowed

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.licensing
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "high",
	"message": sprintf("The license %s of %s is not on the list of allowed licenses.", [
		text.name(entry),
		artifact.repo_name,
	]),
	"remedy": concat(" ", [
		"Choose a model under an allowed license,",
		"or ask for the id to be added to licenses.allowed or for a waiver of license/allowed.",
	]),
	"evidence": entry,
}) if {
	artifact.in_revision
	not reading_allowed
	some entry in licensing.named
	not allowed(entry)
	not spoken_for(entry)
}

# One reason is enough where license/denied refuses the same entry. Where that rule only warns, this one stands.
spoken_for(entry) if {
	data.config.rules["license/denied"].mode == "enforce"
	licensing.unavoidable(entry, data.config.licenses.denied)
}

# The gateway's SPDX reading answers for unambiguous spellings ("Apache 2.0") and for parentheses it resolved.
reading_allowed if allowed(licensing.spdx)

allowed(entry) if licensing.satisfied(entry, data.config.licenses.allowed, data.config.licenses.conditional)
