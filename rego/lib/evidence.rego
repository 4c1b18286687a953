# METADATA
# title: Evidence
# description: Reports of scanners about the one artifact of scope "file". The class decides; severity is for people.
package gateway.lib.evidence

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

# Every class that has a rule. A class that is not here is refused by scan/unclassified.
classes := {
	"code-exec", "file", "network", "embedded-exe", "template", "traversal", "ambiguity", "unknown-global",
	"framework-global", "dos", "remote-code", "policy",
}

reports := input.evidence.reports if artifact.in_file

# Findings whose class is in the set.
findings(wanted) := [finding |
	some report in reports
	some finding in report.findings
	finding.class in wanted
]

# A file refused for a finding.
refusal(finding, remedy) := result.file(input.artifact.path, {
	"severity": finding.severity,
	"message": sprintf("%s: %s (%s%s)", [
		text.name(input.artifact.path),
		text.line(finding.message, 200),
		text.line(finding.rule, 60),
		place(finding),
	]),
	"remedy": artifact.advice(input.artifact, remedy),
	"evidence": key(finding),
})

# What a waiver names: the scanner's rule and the symbol, or the place where there is no symbol.
key(finding) := sprintf("%s %s", [text.line(finding.rule, 80), text.line(finding.symbol, 115)]) if finding.symbol != ""

key(finding) := sprintf("%s %s", [text.line(finding.rule, 80), text.line(finding.location, 115)]) if {
	finding.symbol == ""
	finding.location != ""
}

key(finding) := text.line(finding.rule, 80) if {
	finding.symbol == ""
	finding.location == ""
}

place(finding) := sprintf(", %s", [text.line(finding.symbol, 80)]) if finding.symbol != ""

place(finding) := sprintf(", at %s", [text.line(finding.location, 80)]) if {
	finding.symbol == ""
	finding.location != ""
}

place(finding) := "" if {
	finding.symbol == ""
	finding.location == ""
}
