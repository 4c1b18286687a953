# METADATA
# title: Finding of an unknown class
# description: |
#   A scanner reports a class of finding that this library has no rule for. Unknown is not harmless.
# custom:
#   id: scan/unclassified
#   severity: high
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Update the policy library so that it knows the class, or ask for a waiver of scan/unclassified."
#   doc: docs/rules/scan-unclassified.md
package gateway.rules.scan.unclassified

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some report in evidence.reports
	some finding in report.findings
	not finding.class in evidence.classes
}

remedy := "Update the policy library so that it knows the class, or ask for a waiver of scan/unclassified."
