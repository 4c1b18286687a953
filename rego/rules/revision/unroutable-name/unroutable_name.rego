# METADATA
# title: Files that nobody can ask for
# description: |
#   A file whose name holds a control character, a backslash or what reads as a percent escape cannot be named in a
#   request without ambiguity. It is in no listing and cannot be fetched; every other file of the revision can.
# custom:
#   id: revision/unroutable-name
#   severity: low
#   message: "Files of <repo> are left out (<count>), because no request can name them: <names>"
#   remedy: >-
#     Use a revision whose files have plain names, or ask the publisher to rename them.
#   doc: docs/rules/revision-unroutable-name.md
package gateway.rules.revision.unroutable_name

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.revision({
	"severity": "low",
	"message": sprintf("Files of %s are left out (%d), because no request can name them: %s", [
		artifact.repo_name,
		count(left_out),
		text.line(concat(", ", array.slice(left_out, 0, 3)), 200),
	]),
	"remedy": "Use a revision whose files have plain names, or ask the publisher to rename them.",
	"evidence": text.line(concat(", ", array.slice(left_out, 0, 3)), 200),
}) if {
	artifact.in_revision
	not nothing_left_out
}

# A fact that is missing is no "nothing".
nothing_left_out if {
	is_array(input.revision.unroutable)
	count(input.revision.unroutable) == 0
}

left_out := [name |
	is_array(input.revision.unroutable)
	some name in input.revision.unroutable
	is_string(name)
]
