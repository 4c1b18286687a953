# METADATA
# title: Publisher on the denylist
# description: |
#   The publisher is named in denylist.publishers (key in lower case, or as the hub writes it).
# custom:
#   id: denylist/publisher
#   severity: critical
#   message: "The publisher '<name>' of <repo> is on the denylist."
#   remedy: "Choose a model of another publisher; ask the owners of the denylist why it is there."
#   doc: docs/rules/denylist-publisher.md
package gateway.rules.denylist.publisher

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.pattern
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "critical",
	"message": sprintf("The publisher %s of %s is on the denylist.", [
		text.name(input.repo.publisher.name),
		artifact.repo_name,
	]),
	"remedy": "Choose a model of another publisher; ask the owners of the denylist why it is there.",
	"evidence": input.repo.publisher.name,
}) if {
	artifact.in_revision
	pattern.listed(data.config.denylist.publishers.names, input.repo.publisher.name)
}
