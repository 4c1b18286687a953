# METADATA
# title: Readers would disagree
# description: |
#   Two readers would see different content: duplicate entries, trailing data, or a name that lies about the
#   content.
# custom:
#   id: scan/ambiguity
#   severity: high
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Ask the publisher to write the file anew with a current tool, or use a safetensors revision."
#   doc: docs/rules/scan-ambiguity.md
package gateway.rules.scan.ambiguity

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"ambiguity"})
}

remedy := "Ask the publisher to write the file anew with a current tool, or use a safetensors revision."
