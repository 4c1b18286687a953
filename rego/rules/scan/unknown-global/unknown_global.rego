# METADATA
# title: Unknown import in a pickle
# description: |
#   Unpickling imports a name that is on no list of harmless ones.
# custom:
#   id: scan/unknown-global
#   severity: high
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Use a safetensors revision, or ask for a waiver of scan/unknown-global that names this symbol."
#   doc: docs/rules/scan-unknown-global.md
package gateway.rules.scan.unknown_global

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"unknown-global"})
}

remedy := "Use a safetensors revision, or ask for a waiver of scan/unknown-global that names this symbol."
