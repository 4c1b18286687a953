# METADATA
# title: Pickle with a safetensors twin
# description: |
#   A weight in a format that can execute, whose safetensors twin lies in the same revision: nobody needs it, so
#   it is hidden and no loader falls back to it.
# custom:
#   id: format/twin
#   severity: low
#   message: "'<file>' is hidden: '<twin>' carries the same weights."
#   remedy: "Use the safetensors file. If the client remembers a listing, delete its trees/<commit>.json."
#   doc: docs/rules/format-twin.md
package gateway.rules.format.twin

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.hide(file.path, {
	"severity": "low",
	"message": sprintf("%s is hidden: %s carries the same weights and cannot execute.", [
		text.name(file.path),
		text.name(file.twin),
	]),
	"remedy": sprintf("Use %s. If your client remembers the listing, delete its trees/%s.json.", [
		text.name(file.twin),
		text.line(input.revision.commit, 64),
	]),
	"evidence": sprintf("twin %s", [file.twin]),
}) if {
	formats := data.config.formats.hide_with_twin
	some file in artifact.files
	file.twin != ""
	formats[file.format]
}
