package gateway.lib.result_test

import rego.v1

import data.gateway.lib.result
import data.gateway.system

facts := {"severity": "high", "message": "m\nx", "remedy": "r\u202e", "evidence": "e\u0000"}

test_repo if {
	built := result.repo(facts)
	built == {
		"scope": "repo", "path": "", "effect": "deny", "severity": "high", "message": "m?x", "remedy": "r?",
		"evidence": "e?", "until_ns": 0,
	}
}

test_revision_in_quarantine if {
	built := result.revision(object.union(facts, {"effect": "quarantine", "until_ns": 5}))
	built.scope == "revision"
	built.effect == "quarantine"
	built.until_ns == 5
}

test_file_keeps_its_path_as_it_is if result.file("a\nb", facts).path == "a\nb"

test_hide if result.hide("a", facts).effect == "hide"

test_a_fact_that_is_missing_is_told_and_not_silent if {
	every name in object.keys(facts) {
		built := result.repo(object.remove(facts, [name]))
		built[name] == null
		not system.result(built)
	}
}

test_a_fact_that_is_no_text_is_told if {
	built := result.file("a", object.union(facts, {"message": 7}))
	not system.result(built)
}

test_what_is_whole_is_a_result if system.result(result.file("a", facts))

test_messages_stay_below_a_kilobyte if {
	many := concat("", [sprintf("%d ", [i]) | some i in numbers.range(1, 900)])
	built := result.repo({"severity": "high", "message": many, "remedy": many, "evidence": many})
	count(built.message) + count(built.remedy) < 1000
	count(built.evidence) <= 200
}
