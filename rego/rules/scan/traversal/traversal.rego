# METADATA
# title: Path that leaves its folder
# description: |
#   A path inside the file points outside the place where it would be unpacked or read.
# custom:
#   id: scan/traversal
#   severity: critical
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Do not unpack this file; ask the publisher for a clean one."
#   doc: docs/rules/scan-traversal.md
package gateway.rules.scan.traversal

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, "Do not unpack this file; ask the publisher for a clean one.") if {
	some finding in evidence.findings({"traversal"})
}
