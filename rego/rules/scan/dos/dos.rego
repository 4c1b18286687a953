# METADATA
# title: Resource exhaustion
# description: |
#   Reading the file would exhaust memory, disk or time.
# custom:
#   id: scan/dos
#   severity: high
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Ask the publisher for a file without the bomb, or use another revision."
#   doc: docs/rules/scan-dos.md
package gateway.rules.scan.dos

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"dos"})
}

remedy := "Ask the publisher for a file without the bomb, or use another revision."
