# METADATA
# title: Publisher not on the allowlist
# description: |
#   Where allowlist.publishers is enabled, only repos of publishers named there pass, and repos named one by one
#   in allowlist.repos.names.
# custom:
#   id: allowlist/publisher
#   severity: medium
#   message: "The publisher '<name>' of <repo> is not on the allowlist of publishers."
#   remedy: "Ask for the publisher to be added to allowlist.publishers."
#   doc: docs/rules/allowlist-publisher.md
package gateway.rules.allowlist.publisher

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.pattern
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.repo({
	"severity": "medium",
	"message": sprintf("The publisher %s of %s is not on the allowlist of publishers.", [
		text.name(input.repo.publisher.name),
		artifact.repo_name,
	]),
	"remedy": "Ask for the publisher to be added to allowlist.publishers, or choose a repo of one that is.",
	"evidence": input.repo.publisher.name,
}) if {
	artifact.in_revision
	data.config.allowlist.publishers.enabled
	not pattern.listed(data.config.allowlist.publishers.names, input.repo.publisher.name)
	not pattern.listed(data.config.allowlist.repos.names, artifact.repo_name)
}
