# METADATA
# title: Waivers
# description: |
#   Named, expiring exceptions. A waiver that lacks a field, matches every repo, is expired or was approved by its own
#   owner covers nothing.
package gateway.lib.waiver

import rego.v1

import data.gateway.lib.clock
import data.gateway.lib.pattern

# The gateway's own faults, and what belongs to others: a row in data.entitlements says who may see that.
beyond_waivers := ["system/", "entitlement/"]

texts := ["owner", "approver", "ticket", "reason", "expires"]

# The waivers that hold for this subject, repo and revision now, by id, with the moment of expiry.
live[id] := {"rules": row.rules, "scope": row.scope, "findings": object.get(row, "findings", {}), "until_ns": until} if {
	some id, row in data.waivers
	is_object(row)
	in_scope(object.get(row, "scope", null))
	well_formed(row)
	until := clock.ns(row.expires)
	until > clock.now
}

well_formed(row) if {
	is_object(row.rules)
	is_object(object.get(row, "findings", {}))
	every field in texts {
		is_string(row[field])
		trim_space(row[field]) != ""
	}
	lower(trim_space(row.owner)) != lower(trim_space(row.approver))
}

in_scope(scope) if {
	is_object(scope)
	is_string(scope.repo)
	trim(scope.repo, "*/") != ""
	pattern.matches(scope.repo, data.gateway.lib.artifact.repo_name)
	object.get(scope, "revision", input.revision.commit) == input.revision.commit
	for_subject(object.get(scope, "groups", null))
}

for_subject(groups) if groups == null

for_subject(groups) if {
	is_object(groups)
	some group in input.subject.groups
	groups[group]
}

# Does the live waiver cover the result?
covers(waiver, found) if {
	waiver.rules[found.rule]
	not strings.any_prefix_match(found.rule, beyond_waivers)
	covers_digest(object.get(waiver.scope, "digest", ""), found.path)
	covers_path(object.get(waiver.scope, "paths", null), found.path)
	covers_finding(waiver.findings, found)
}

covers_digest(digest, _) if digest == ""

covers_digest(digest, path) if {
	some file in data.gateway.lib.artifact.files
	file.path == path
	digest in {file.digest, object.get(file, "sha256", file.digest)}
}

covers_path(paths, _) if paths == null

covers_path(paths, path) if {
	is_object(paths)
	paths[path]
}

covers_finding(findings, found) if findings[found.evidence]

# A finding of a scanner is covered only by name: a new one voids the exception.
covers_finding(findings, found) if {
	count(findings) == 0
	not startswith(found.rule, "scan/")
}
