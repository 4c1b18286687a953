package gateway.lib.pattern_test

import rego.v1

import data.gateway.lib.pattern

test_anchored_at_both_ends if {
	pattern.matches("org/*", "org/name")
	not pattern.matches("org/*", "xorg/name")
	not pattern.matches("org/*", "org/name/more")
	not pattern.matches("org/na", "org/name")
}

test_a_star_stays_in_its_segment if {
	pattern.matches("*/name", "org/name")
	not pattern.matches("*", "org/name")
	pattern.matches("org/qwen*-gguf", "org/qwen3-gguf")
}

test_two_stars_span_segments if {
	pattern.matches("**", "org/name")
	pattern.matches("datasets/**", "datasets/org/name")
}

test_case_is_nothing if pattern.matches("Org/*", "oRG/Name")

test_characters_of_strangers if {
	not pattern.matches("org/name", "org/name\n")
	not pattern.matches("org/name", "org/n\u0430me")
	pattern.matches("org/*", "org/{a,b}")
	pattern.matches("org/*", "org/a\"b\\c")
}

test_unusable if {
	every value in ["", "a**/b", "**a", "{a,b}/c", "[ab]/c", "a?/b", "a\\*", "a b", "/a", "a/", "a//b", "\u0430/b"] {
		not pattern.usable(value)
	}
}

test_unusable_matches_nothing if not pattern.matches("{org,other}/name", "org/name")

test_listed_in_either_case if {
	pattern.listed({"org/name": true}, "Org/Name")
	pattern.listed({"Org/Name": {"why": "x"}}, "Org/Name")
	not pattern.listed({"org/name": false}, "org/name")
	not pattern.listed({}, "org/name")
}

test_a_pattern_switched_off if not pattern.any_matches({"org/*": false}, "org/name")

test_something_that_is_no_list_holds_nothing if {
	every value in [null, true, false, "org/name", ["org/name"], 5] {
		not pattern.listed(value, "org/name")
		not pattern.any_matches(value, "org/name")
	}
}

test_look_alikes_are_other_names if {
	not pattern.listed({"kitty/x": true}, "\u212aitty/x")
	not pattern.matches("kitty/*", "\u212aitty/x")
}
