# METADATA
# title: No license declared
# description: |
#   Nothing that names a license is declared, or an entry of the list is blank or says unknown.
# custom:
#   id: license/unknown
#   severity: medium
#   message: "<repo> declares no license."
#   remedy: "Ask the publisher to declare one, choose another model, or ask for a waiver of license/unknown."
#   doc: docs/rules/license-unknown.md
package gateway.rules.license.unknown

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.licensing
import data.gateway.lib.result

deny contains result.repo({
	"severity": "medium",
	"message": sprintf("%s declares no license, or a list with an entry that names none.", [artifact.repo_name]),
	"remedy": "Ask the publisher to declare a license, choose another model, or ask for a waiver of license/unknown.",
	"evidence": "no license",
}) if {
	artifact.in_revision
	unknown
}

unknown if licensing.nothing_declared

unknown if {
	some entry in licensing.declared
	entry in licensing.blank
}
