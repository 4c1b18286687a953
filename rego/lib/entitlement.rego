# METADATA
# title: Entitlements
# description: |
#   `data.entitlements[group][repo]`: which groups may see what only the gateway's credential opens. The repo is an exact
#   name or a pattern. A pattern that cannot be used entitles nobody.
package gateway.lib.entitlement

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.pattern

# Does a group of the subject have a row for the repo?
held if {
	some group in input.subject.groups
	pattern.listed(data.entitlements[group], artifact.repo_name)
}

held if {
	some group in input.subject.groups
	pattern.any_matches(data.entitlements[group], artifact.repo_name)
}
