# METADATA
# title: Dangerous chat template
# description: |
#   A template reaches for more than text: attributes, calls or loops that a sandbox refuses.
# custom:
#   id: scan/template
#   severity: critical
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Use a revision with a plain template, or report the repo to the hub."
#   doc: docs/rules/scan-template.md
package gateway.rules.scan.template

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"template"})
}

remedy := "Use a revision with a plain template, or report the repo to the hub."
