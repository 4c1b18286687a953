# METADATA
# title: Approval of code
# description: |
#   `data.config.custom_code.approved` names code that a person has read: a file by digest ("sha256:…", "git-sha1:…") or
#   a revision ("org/name@<commit>").
package gateway.lib.approval

import rego.v1

import data.gateway.lib.artifact

# The whole revision was approved.
revision if data.config.custom_code.approved[artifact.pinned]

# The file was approved, by itself or with its revision.
file(_) if revision

file(candidate) if data.config.custom_code.approved[candidate.digest]

file(candidate) if data.config.custom_code.approved[candidate.sha256]

# The listing names small files by git blob id only: while approvals by sha256 exist, the answer waits for the bytes.
undecided(candidate) if {
	input.scope == "revision"
	startswith(candidate.digest, "git-sha1:")
	approves_by_sha256
}

approves_by_sha256 if {
	some approved, on in data.config.custom_code.approved
	on
	startswith(approved, "sha256:")
}

# The paths whose import can run code, by format or by name.
code_paths contains candidate.path if {
	some candidate in artifact.files
	candidate.format == "python"
}

code_paths contains candidate.path if {
	endings := suffixes
	some candidate in artifact.files
	strings.any_suffix_match(lower(candidate.path), endings)
}

suffixes := [suffix | some suffix, on in data.config.custom_code.suffixes; on]
