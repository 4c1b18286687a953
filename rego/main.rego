# METADATA
# title: The decision
# description: |
#   The single entrypoint. It unites every rule under gateway.rules, applies modes and waivers, and denies by default.
# entrypoint: true
package gateway

import rego.v1

import data.gateway.lib.clock
import data.gateway.lib.waiver
import data.gateway.system

default decision := {
	"effect": "deny",
	"scope": "revision",
	"files": {},
	"reasons": [{
		"rule": "system/undecided",
		"severity": "critical",
		"message": "The gateway cannot judge: the policy came to no decision.",
		"remedy": "Tell the operators of this gateway; the policy data or the gateway itself needs repair.",
		"path": "",
		"evidence": "",
	}],
	"warnings": [],
	"dryruns": [],
	"waived": [],
	"obligations": [],
	"valid_until": "",
}

decision := {
	"effect": "deny",
	"scope": system_scope,
	"files": {},
	"reasons": sort(faults),
	"warnings": [],
	"dryruns": [],
	"waived": [],
	"obligations": [],
	"valid_until": "",
} if {
	count(faults) > 0
}

decision := {
	"effect": effect,
	"scope": scope,
	"files": files,
	"reasons": ordered(enforced),
	"warnings": ordered(warned),
	"dryruns": ordered(noted),
	"waived": [{"reason": reason(entry[1]), "waiver": entry[0]} | some entry in sort(waived)],
	"obligations": obligations,
	"valid_until": valid_until,
} if {
	count(faults) == 0
}

# What is wrong with the input, the data, or the two sides of data.config.rules.
faults := system.problems if count(system.problems) > 0

faults := (unconfigured | unknown) | malformed if count(system.problems) == 0

unconfigured := {system.problem("system/rule-unconfigured", sentence) |
	rows := data.config.rules
	some id in library
	not rows[id]
	sentence := sprintf("data.config.rules does not name the rule '%s'", [id])
}

unknown := {system.problem("system/rule-unknown", sentence) |
	some id, _ in data.config.rules
	not id in library
	sentence := sprintf("data.config.rules names '%s', which is no rule of this library", [id])
}

# A result that lib.result did not build would match nothing below: a rule that refuses would be silent.
malformed := {system.problem("system/rule-malformed", sentence) |
	some id, results in said
	not all_built(results)
	sentence := sprintf("the rule '%s' gives a result that lib.result did not build", [id])
}

all_built(results) if {
	type_name(results) == "set"
	every result in results {
		system.result(result)
	}
}

system_scope := "file" if object.get(system.asked, "scope", null) == "file"

system_scope := "revision" if object.get(system.asked, "scope", null) != "file"

# The id of a rule is its place: no rule speaks under another's name.
rule_id(category, name) := sprintf("%s/%s", [category, replace(name, "_", "-")])

# What each rule of the library says. A package without `deny` is no rule.
said := {rule_id(category, name): results | results := data.gateway.rules[category][name].deny}

library := object.keys(said)

found contains object.union(result, {"rule": id}) if {
	some id, results in said
	type_name(results) == "set"
	some result in results
	is_object(result)
}

# The rules by mode. Bound once: regorus pays for each walk into data.
ids(mode) := {id | some id, row in data.config.rules; row.mode == mode}

waived contains [id, result] if {
	some id, row in waiver.live
	dry := ids("dryrun")
	some result in found
	not result.rule in dry
	waiver.covers(row, result)
}

silenced := {entry[1] | some entry in waived}

of_mode(mode) := {result | wanted := ids(mode); some result in found; result.rule in wanted}

enforced := of_mode("enforce") - silenced

warned := of_mode("warn") - silenced

noted := of_mode("dryrun")

# The results that speak of the whole question, not of one file among many.
decisive := {result | some result in enforced; result.path == ""} if input.scope == "revision"

decisive := enforced if input.scope == "file"

effects := {result.effect | some result in decisive}

effect := "deny" if count(effects & {"deny", "hide"}) > 0

effect := "quarantine" if effects == {"quarantine"}

effect := "allow" if count(effects) == 0

scopes := {result.scope | some result in decisive}

scope := "repo" if "repo" in scopes

scope := "revision" if {
	not "repo" in scopes
	"revision" in scopes
}

scope := input.scope if {
	not "repo" in scopes
	not "revision" in scopes
}

files := {} if input.scope == "file"

# Each later layer is more restrictive than the one before.
files := object.union_n([unjudged, inert, refused, hidden]) if input.scope == "revision"

unjudged := {file.path: "needs_evidence" | some file in input.revision.files}

inert := {file.path: "allow" |
	formats := data.config.formats.no_evidence
	count(formats) > 0
	some file in input.revision.files
	formats[file.format]
}

refused := {result.path: "deny" | some result in enforced; unjudged[result.path]}

hidden := {result.path: "hide" |
	some result in enforced
	result.effect == "hide"
	unjudged[result.path]
}

obligations := [obligation | some obligation in all_obligations]

all_obligations contains {"kind": "max_age_s", "value": data.config.decision.max_age_s} if {
	effect == "allow"
	data.config.decision.max_age_s > 0
}

all_obligations contains {"kind": "serve_last_approved", "value": true} if {
	effect != "allow"
	every result in decisive {
		data.config.decision.serve_last_approved[result.rule]
	}
}

# When something of the decision ends by itself.
ends contains waiver.live[entry[0]].until_ns if some entry in waived

ends contains result.until_ns if {
	some result in found
	result.until_ns > clock.now
}

valid_until := clock.rfc3339(min(ends)) if count(ends) > 0

valid_until := "" if count(ends) == 0

ranks := {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}

# The gravest first, then by rule, path and words: the same question always reads the same.
ordered(results) := [reason(entry[4]) | some entry in sort([[rank, result.rule, result.path, result.message, result] |
	some result in results
	rank := object.get(ranks, result.severity, 0)
])]

reason(result) := {
	"rule": result.rule,
	"severity": result.severity,
	"message": result.message,
	"remedy": result.remedy,
	"path": result.path,
	"evidence": result.evidence,
}
