# METADATA
# title: Repo not on the allowlist
# description: |
#   Where allowlist.repos is enabled, only repos named there (exactly or by pattern) pass.
# custom:
#   id: allowlist/repo
#   severity: medium
#   message: "<repo> is not on the allowlist of repos."
#   remedy: "Ask for the repo to be added to allowlist.repos."
#   doc: docs/rules/allowlist-repo.md
package gateway.rules.allowlist.repo

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.pattern
import data.gateway.lib.result

deny contains result.repo({
	"severity": "medium",
	"message": sprintf("%s is not on the allowlist of repos.", [artifact.repo_name]),
	"remedy": "Ask for the repo to be added to allowlist.repos, or choose one that is.",
	"evidence": artifact.repo_name,
}) if {
	artifact.in_revision
	data.config.allowlist.repos.enabled
	not pattern.listed(data.config.allowlist.repos.names, artifact.repo_name)
	not pattern.any_matches(data.config.allowlist.repos.patterns, artifact.repo_name)
}
