# METADATA
# title: Code that runs on load
# description: |
#   Loading the file would run code, touch files or open connections, or the file hides a program.
# custom:
#   id: scan/code-exec
#   severity: critical
#   message: "'<file>': <what the scanner saw> (<scanner rule>, <symbol or place>)"
#   remedy: "Do not load this file; take a safetensors revision, or report the repo to the hub."
#   doc: docs/rules/scan-code-exec.md
package gateway.rules.scan.code_exec

import rego.v1

import data.gateway.lib.evidence

deny contains evidence.refusal(finding, remedy) if {
	some finding in evidence.findings({"code-exec", "file", "network", "embedded-exe"})
}

remedy := "Do not load this file; take a safetensors revision, or report the repo to the hub."
