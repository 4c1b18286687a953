# METADATA
# title: Code that a loader would fetch and run
# description: |
#   A switch that makes a loader import Python of the repo (auto_map, custom pipelines, kernels, _target_), or
#   such Python itself. Approved by custom_code.approved.
# custom:
#   id: scan/remote-code
#   severity: high
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: >-
#     Have the code read and approved in custom_code.approved (this file by digest, or the revision as
#     org/name@commit), or use a revision that needs none.
#   doc: docs/rules/scan-remote-code.md
package gateway.rules.scan.remote_code

import rego.v1

import data.gateway.lib.approval
import data.gateway.lib.artifact
import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"remote-code"})
	not approval.file(input.artifact)
}

remedy := concat(" ", [
	"Have the code read and approved in custom_code.approved (this file by digest,",
	sprintf("or the revision as %s),", [artifact.pinned]),
	"or use a revision that needs none.",
])
