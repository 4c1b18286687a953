# METADATA
# title: System checks
# description: |
#   What is wrong with the question or with the data. Rules are asked only when nothing is, so they may rely on every
#   field: a field that is missing must never make a rule silent.
package gateway.system

import rego.v1

import data.gateway.lib.clock
import data.gateway.lib.pattern
import data.gateway.lib.text

# Problems of the input: sentences, by reason id.
problems contains problem("system/contract", "the input does not speak contract v1") if {
	object.get(asked, "contract", null) != "v1"
}

problems contains problem(
	"system/input",
	sprintf("input.%s is missing or not of type %s", [concat(".", path), wanted]),
) if {
	some [path, wanted] in input_types
	type_name(object.get(asked, path, null)) != wanted
}

problems contains problem(
	"system/input",
	sprintf("input.%s has a value that the contract does not know", [concat(".", path)]),
) if {
	some [path, words] in input_words
	not object.get(asked, path, null) in words
}

problems contains problem("system/input", "input.environment.now is not an RFC 3339 time") if not has_time

problems contains problem("system/input", "input.repo.license.declared holds something that is not text") if {
	some entry in list_at(["repo", "license", "declared"])
	not is_string(entry)
}

problems contains problem(
	"system/input",
	sprintf("%s of input.revision.files is malformed", [text.line(sprintf("entry %d", [index]), 40)]),
) if {
	object.get(asked, "scope", null) == "revision"
	some index, file in list_at(["revision", "files"])
	not file_entry(file)
}

problems contains problem("system/input", "an entry of input.evidence.hub is malformed") if {
	some verdict in list_at(["evidence", "hub"])
	not hub_verdict(verdict)
}

problems contains problem("system/input", "input.artifact is missing or malformed") if {
	object.get(asked, "scope", null) == "file"
	not file_entry(object.get(asked, "artifact", null))
}

problems contains problem("system/input", "input.artifact.sha256 is not text") if {
	object.get(asked, "scope", null) == "file"
	not is_string(object.get(asked, ["artifact", "sha256"], ""))
}

problems contains problem(
	"system/input",
	"a file decision needs input.parent, the digest of its revision's input",
) if {
	object.get(asked, "scope", null) == "file"
	object.get(asked, "parent", "") in {"", null}
}

problems contains problem("system/input", "a scan report is malformed") if {
	object.get(asked, "scope", null) == "file"
	some report in list_at(["evidence", "reports"])
	not scan_report(report)
}

problems contains problem("system/action", "this gateway only reads: publishing is not decided here") if {
	object.get(asked, "action", null) == "publish"
}

# Problems of the data.
problems contains problem("system/data", "data.config does not speak contract v1: no profile is loaded") if {
	object.get(config, "contract", null) != "v1"
}

problems contains problem(
	"system/data",
	sprintf("data.config.%s is missing or not of type %s", [concat(".", path), wanted]),
) if {
	some [path, wanted] in config_types
	type_name(object.get(config, path, null)) != wanted
}

problems contains problem(
	"system/data",
	sprintf("data.config.%s is not a section that this library knows", [text.line(section, 80)]),
) if {
	some section, _ in config
	not section in known_sections
}

problems contains problem("system/data", "data.entitlements is missing or not an object") if not has_entitlements

problems contains problem("system/data", "data.waivers is missing or not an object") if not has_waivers

problems contains problem(
	"system/mode",
	sprintf("data.config.rules[%s] has no mode that is enforce, warn or dryrun", [text.name(id)]),
) if {
	some id, row in object_at(["rules"])
	not has_mode(row)
}

problems contains problem(
	"system/pattern",
	sprintf("data.config.%s holds the pattern %s, which cannot be used", [concat(".", path), text.name(entry)]),
) if {
	some path in pattern_lists
	some entry, _ in object_at(path)
	not pattern.usable(entry)
}

# The object of the configuration at a path, likewise.
object_at(path) := value if {
	value := object.get(config, path, null)
	is_object(value)
}

object_at(path) := {} if not is_object(object.get(config, path, null))

default config := {}

config := data.config if is_object(data.config)

has_time if clock.ns(object.get(asked, ["environment", "now"], ""))

has_entitlements if is_object(data.entitlements)

has_waivers if is_object(data.waivers)

has_mode(row) if {
	is_object(row)
	object.get(row, "mode", null) in {"enforce", "warn", "dryrun"}
}

problem(id, sentence) := {
	"rule": id,
	"severity": "critical",
	"message": sprintf("The gateway cannot judge: %s.", [text.line(sentence, 400)]),
	"remedy": "Tell the operators of this gateway; the policy data or the gateway itself needs repair.",
	"path": "",
	"evidence": "",
}

# The input, where it is an object at all.
default asked := {}

asked := input if is_object(input)

# The array of the input at a path; empty where there is something else (that is a problem of its own).
list_at(path) := value if {
	value := object.get(asked, path, null)
	is_array(value)
}

list_at(path) := [] if not is_array(object.get(asked, path, null))

file_entry(file) if {
	is_string(file.path)
	is_string(file.format)
	is_string(file.digest)
	is_string(file.twin)
	is_number(file.size_bytes)
}

hub_verdict(verdict) if {
	is_string(verdict.path)
	is_string(verdict.vendor)
	is_string(verdict.level)
}

# What lib.result builds.
result(entry) if {
	entry.scope in {"repo", "revision", "file"}
	entry.effect in {"deny", "quarantine", "hide"}
	is_string(entry.path)
	is_string(entry.severity)
	is_string(entry.message)
	is_string(entry.remedy)
	is_string(entry.evidence)
	is_number(entry.until_ns)
}

scan_report(report) if {
	is_string(report.scanner)
	is_string(report.coverage.cause)
	is_boolean(report.coverage.whole_file)
	report.coverage.surface in {"complete", "partial", "failed", "not_run"}
	is_array(report.findings)
	every finding in report.findings {
		is_string(finding.class)
		is_string(finding.rule)
		is_string(finding.severity)
		is_string(finding.message)
		is_string(finding.location)
		is_string(finding.symbol)
	}
}

input_types := [
	[["subject", "id"], "string"],
	[["subject", "groups"], "array"],
	[["repo", "hub"], "string"],
	[["repo", "id"], "string"],
	[["repo", "stable_key"], "string"],
	[["repo", "publisher", "name"], "string"],
	[["repo", "license", "declared"], "array"],
	[["repo", "license", "name"], "string"],
	[["repo", "license", "link"], "string"],
	[["repo", "created_at"], "string"],
	[["repo", "first_seen_at"], "string"],
	[["repo", "private"], "boolean"],
	[["repo", "disabled"], "boolean"],
	[["repo", "custom_code", "paths"], "array"],
	[["repo", "custom_code", "auto_map"], "array"],
	[["revision", "commit"], "string"],
	[["revision", "ref"], "string"],
	[["revision", "committed_at"], "string"],
	[["revision", "files"], "array"],
	[["revision", "files_complete"], "boolean"],
	[["evidence", "reports"], "array"],
	[["evidence", "hub"], "array"],
]

input_words := [
	[["scope"], {"revision", "file"}],
	[["action"], {"fetch", "list", "read_metadata", "search", "publish"}],
	[["subject", "kind"], {"user", "service", "anonymous"}],
	[["repo", "type"], {"model", "dataset", "space"}],
	[["repo", "gated"], {"no", "auto", "manual"}],
	[["repo", "access"], {"anonymous", "gateway_token"}],
	[["revision", "ref_kind"], {"branch", "tag", "commit", "pull_request", "convert"}],
	[["revision", "reachable"], {"yes", "no", "unknown"}],
]

config_types := [
	[["rules"], "object"],
	[["licenses", "allowed"], "object"],
	[["licenses", "denied"], "object"],
	[["licenses", "conditional"], "object"],
	[["licenses", "agreements"], "object"],
	[["formats", "banned"], "object"],
	[["formats", "hide_with_twin"], "object"],
	[["formats", "no_evidence"], "object"],
	[["scan", "hub_levels"], "object"],
	[["scan", "transient_causes"], "object"],
	[["scan", "required_scanners"], "object"],
	[["allowlist", "repos", "enabled"], "boolean"],
	[["allowlist", "repos", "names"], "object"],
	[["allowlist", "repos", "patterns"], "object"],
	[["allowlist", "publishers", "enabled"], "boolean"],
	[["allowlist", "publishers", "names"], "object"],
	[["denylist", "repos", "names"], "object"],
	[["denylist", "repos", "patterns"], "object"],
	[["denylist", "publishers", "names"], "object"],
	[["denylist", "digests"], "object"],
	[["custom_code", "approved"], "object"],
	[["custom_code", "suffixes"], "object"],
	[["age", "commit_min_hours"], "number"],
	[["age", "repo_min_hours"], "number"],
	[["provenance", "unreachable_kinds"], "object"],
	[["decision", "max_age_s"], "number"],
	[["decision", "serve_last_approved"], "object"],
]

known_sections := {section | some [path, _] in config_types; section := path[0]} | {"contract"}

pattern_lists := [["allowlist", "repos", "patterns"], ["denylist", "repos", "patterns"]]
