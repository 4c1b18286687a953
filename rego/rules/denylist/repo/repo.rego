# METADATA
# title: Repo on the denylist
# description: |
#   The repo is named in denylist.repos, exactly (key in lower case, or as the hub writes it) or by pattern.
# custom:
#   id: denylist/repo
#   severity: critical
#   message: "<repo> is on the denylist of repos."
#   remedy: "Choose another model; ask the owners of the denylist why it is there."
#   doc: docs/rules/denylist-repo.md
package gateway.rules.denylist.repo

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.pattern
import data.gateway.lib.result

deny contains result.repo({
	"severity": "critical",
	"message": sprintf("%s is on the denylist of repos.", [artifact.repo_name]),
	"remedy": "Choose another model; ask the owners of the denylist why it is there.",
	"evidence": artifact.repo_name,
}) if {
	artifact.in_revision
	denied
}

denied if pattern.listed(data.config.denylist.repos.names, artifact.repo_name)

denied if pattern.any_matches(data.config.denylist.repos.patterns, artifact.repo_name)
