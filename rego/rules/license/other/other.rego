# METADATA
# title: A license of its own
# description: |
#   The card says `other`. Its name proves nothing: only an agreement in licenses.agreements, matched by the exact
#   link (and by the name and repo where the row gives them), settles it.
# custom:
#   id: license/other
#   severity: high
#   message: "The license is 'other' (name '<name>', link '<link>') and no agreement covers it."
#   remedy: >-
#     Have the text at the link reviewed and recorded in licenses.agreements, or choose a model under an allowed
#     license.
#   doc: docs/rules/license-other.md
package gateway.rules.license.other

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.licensing
import data.gateway.lib.pattern
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "high",
	"message": sprintf("The license of %s is 'other' (name %s, link %s) and no agreement on record covers it.", [
		artifact.repo_name,
		text.name(input.repo.license.name),
		text.name(input.repo.license.link),
	]),
	"remedy": concat(" ", [
		"Have the text at the link reviewed and recorded in licenses.agreements,",
		"or choose a model under an allowed license.",
	]),
	"evidence": sprintf("other %s %s", [input.repo.license.name, input.repo.license.link]),
}) if {
	artifact.in_revision
	licensing.is_other
	not agreed
}

agreed if {
	some row in data.config.licenses.agreements
	is_string(row.link)
	row.link != ""
	row.link == input.repo.license.link
	object.get(row, "name", input.repo.license.name) == input.repo.license.name
	repo_covered(object.get(row, "repos", null))
	unambiguous(row)
}

# A link without a host names a file of whatever repo declares it: such a row must name its repos.
unambiguous(row) if contains(row.link, "://")

unambiguous(row) if object.get(row, "repos", null) != null

repo_covered(patterns) if patterns == null

repo_covered(patterns) if pattern.any_matches(patterns, data.gateway.lib.artifact.repo_name)
