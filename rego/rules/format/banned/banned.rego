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

deny contains result.file(file.path, facts(file)) if {
	some file in artifact.files
	data.config.formats.banned[file.format]
	file.twin == ""
}

deny contains result.hide(file.path, facts(file)) if {
	some file in artifact.files
	data.config.formats.banned[file.format]
	file.twin != ""
}

facts(file) := {
	"severity": "high",
	"message": sprintf("%s has the format %s, which is banned here.", [text.name(file.path), text.name(file.format)]),
	"remedy": artifact.advice(file, instead(data.config.formats.banned[file.format])),
	"evidence": file.format,
}

instead(row) := row.instead if is_string(row.instead)

instead(row) := "Ask the publisher for a safetensors file, or ask for a waiver of format/banned." if not is_string(row.instead)
