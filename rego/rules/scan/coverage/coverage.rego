# METADATA
# title: Scan incomplete or failed
# description: |
#   A scanner did not see all that can execute or mislead, or a scanner that the data requires did not report. A
#   cause that may pass on retry holds the file in quarantine.
# custom:
#   id: scan/coverage
#   severity: high
#   message: "The scan of '<file>' by <scanner> is <surface>: <cause>."
#   remedy: >-
#     Try again later if the cause may pass; else use a safetensors revision or ask for a waiver of scan/coverage.
#   doc: docs/rules/scan-coverage.md
package gateway.rules.scan.coverage

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.evidence
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(input.artifact.path, {
	"severity": "high",
	"message": sprintf("The scan of %s by %s is %s: %s.", [
		text.name(input.artifact.path),
		text.line(report.scanner, 60),
		report.coverage.surface,
		cause(report),
	]),
	"remedy": artifact.advice(input.artifact, remedy(report)),
	"evidence": sprintf("%s %s %s", [report.scanner, report.coverage.surface, report.coverage.cause]),
	"effect": effect(report),
}) if {
	some report in evidence.reports
	report.coverage.surface in {"partial", "failed"}
}

deny contains result.file(input.artifact.path, {
	"severity": "high",
	"message": sprintf("The scanner %s, which this site requires, gave no complete report on %s.", [
		text.name(scanner),
		text.name(input.artifact.path),
	]),
	"remedy": artifact.advice(input.artifact, "Ask the operators to look at that scanner."),
	"evidence": sprintf("%s missing", [scanner]),
}) if {
	artifact.in_file
	some scanner, on in data.config.scan.required_scanners
	on
	not completed[scanner]
}

# Not even a report that says "not run": nobody was asked, or the answer was lost. That is no format nobody judges.
deny contains result.file(input.artifact.path, {
	"severity": "high",
	"message": sprintf("There is no report of any scanner on %s.", [text.name(input.artifact.path)]),
	"remedy": artifact.advice(input.artifact, "Ask the operators to look at the scanners."),
	"evidence": "no report",
}) if {
	artifact.in_file
	count(evidence.reports) == 0
}

completed[report.scanner] if {
	some report in evidence.reports
	report.coverage.surface == "complete"
}

cause(report) := "no cause given" if report.coverage.cause == ""

cause(report) := text.line(report.coverage.cause, 80) if report.coverage.cause != ""

is_transient(report) if {
	report.coverage.surface == "failed"
	data.config.scan.transient_causes[report.coverage.cause]
}

effect(report) := "quarantine" if is_transient(report)

effect(report) := "deny" if not is_transient(report)

remedy(report) := "Try again later; if it persists, tell the operators of this gateway." if is_transient(report)

remedy(report) := "Use a safetensors revision, or ask for a waiver of scan/coverage." if not is_transient(report)
