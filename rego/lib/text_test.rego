package gateway.lib.text_test

import rego.v1

import data.gateway.lib.text

test_one_printable_line if text.line("a\r\nb\u0000c\u202ed\u044f\t\u001b[31m", 100) == "a??b?c?d???[31m"

test_bounded if {
	text.line("abcdefghij", 10) == "abcdefghij"
	text.line("abcdefghijk", 10) == "abcdefg..."
}

test_a_name_is_quoted if text.name("x y") == "'x y'"

test_few_names if text.names(["b", "a"]) == "'a', 'b'"

test_many_names if text.names(["d", "c", "b", "a", "e"]) == "'a', 'b', 'c' and 2 more"

test_note_of_a_row if text.note({"why": "because"}, "why", "x") == "because"

test_note_that_is_missing_or_no_text if {
	every row in [true, {}, {"why": 5}, {"why": null}, "text", 7] {
		text.note(row, "why", "x") == "x"
	}
}

test_folds_ascii_only if {
	text.fold("Apache-2.0 OR MIT") == "apache-2.0 or mit"
	text.fold("\u212aitty") == "\u212aitty"
	text.fold("MIT\u00a0") == "MIT\u00a0"
}
