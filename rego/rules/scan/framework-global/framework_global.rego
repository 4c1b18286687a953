# METADATA
# title: Framework class in a pickle
# description: |
#   Unpickling builds objects of a machine-learning framework beyond plain tensors.
# custom:
#   id: scan/framework-global
#   severity: medium
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Prefer a safetensors revision; otherwise load it only with the framework named."
#   doc: docs/rules/scan-framework-global.md
package gateway.rules.scan.framework_global

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"framework-global"})
}

remedy := "Prefer a safetensors revision; otherwise load it only with the framework named."
