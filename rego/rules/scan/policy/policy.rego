# METADATA
# title: Matter of taste
# description: |
#   Something harmless by itself that a site may not want (an HTML page, a script no loader runs).
# custom:
#   id: scan/policy
#   severity: low
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Nothing to do, unless your site wants such files kept out."
#   doc: docs/rules/scan-policy.md
package gateway.rules.scan.policy

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, "Nothing to do, unless your site wants such files kept out.") if {
	some finding in evidence.findings({"policy"})
}
