# METADATA
# title: Banned format
# description: |
#   The format is named in formats.banned: by its name in a listing, by its content when the file is judged. A
#   weight whose safetensors twin lies in the same revision is hidden instead of denied.
# custom:
#   id: format/banned
#   severity: high
#   message: "'<file>' has the format <format>, which is banned."
#   remedy: "Use the safetensors file of the same revision, or ask for a waiver of format/banned."
#   doc: docs/rules/format-banned.md
package gateway.rules.format.banned

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(entry.file.path, facts(entry)) if {
	some entry in found
	entry.file.twin == ""
}

deny contains result.hide(entry.file.path, facts(entry)) if {
	some entry in found
	entry.file.twin != ""
}

found := [{"file": file, "row": row} |
	formats := data.config.formats.banned
	some file in artifact.files
	row := formats[file.format]
	row
]

facts(entry) := {
	"severity": "high",
	"message": sprintf("%s has the format %s, which is banned here.", [
		text.name(entry.file.path),
		text.name(entry.file.format),
	]),
	"remedy": artifact.advice(entry.file, text.note(entry.row, "instead", otherwise)),
	"evidence": entry.file.format,
}

otherwise := "Ask the publisher for a safetensors file, or ask for a waiver of format/banned."
