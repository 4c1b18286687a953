# METADATA
# title: License with conditions
# description: |
#   A community or behavioural-use license (RAIL, Llama, Gemma and kin) may be used under named conditions.
# custom:
#   id: license/conditional
#   severity: medium
#   message: "The license '<id>' carries conditions: <conditions>."
#   remedy: >-
#     Confirm that your use meets the conditions and ask for a waiver of license/conditional, or move the id to
#     licenses.allowed.
#   doc: docs/rules/license-conditional.md
package gateway.rules.license.conditional

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.licensing
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "medium",
	"message": sprintf("The license %s of %s carries conditions: %s.", [
		text.name(entry),
		artifact.repo_name,
		conditions(entry),
	]),
	"remedy": concat(" ", [
		"Confirm that your use meets the conditions and ask for a waiver of license/conditional,",
		"or have the id moved to licenses.allowed.",
	]),
	"evidence": entry,
}) if {
	artifact.in_revision
	some entry in licensing.named
	not licensing.satisfied(entry, data.config.licenses.allowed, {})
	licensing.satisfied(entry, data.config.licenses.allowed, data.config.licenses.conditional)
}

conditions(entry) := text.note(data.config.licenses.conditional[entry], "conditions", "see its text") if {
	data.config.licenses.conditional[entry]
}

# An expression has no row of its own.
conditions(entry) := "see the text of each part" if not data.config.licenses.conditional[entry]
