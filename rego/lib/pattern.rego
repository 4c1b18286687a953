# METADATA
# title: Patterns
# description: |
#   Names against lists of patterns. A pattern is anchored at both ends and "/" is its only delimiter: "org/*" is every
#   repo of org and nothing else, "**" stands alone between delimiters. Case is ignored, as the hub ignores it.
package gateway.lib.pattern

import rego.v1

import data.gateway.lib.text

# A pattern that both engines read alike: plain name characters, "*", and "**" as a whole segment.
usable(value) if {
	regex.match(`^[A-Za-z0-9._*/-]+$`, value)
	not malformed(value)
}

malformed(value) if {
	some segment in split(value, "/")
	contains(segment, "**")
	segment != "**"
}

malformed(value) if {
	some segment in split(value, "/")
	segment == ""
}

# Does one usable pattern match the whole name?
matches(pattern, name) if {
	usable(pattern)
	glob.match(lower(pattern), ["/"], text.fold(name))
}

# Is the name a key of the list, as it is or in lower case? False removes an entry.
listed(list, name) if {
	is_object(list)
	list[name]
}

listed(list, name) if {
	is_object(list)
	list[text.fold(name)]
}

# Does a pattern that is a key of the list match the name?
any_matches(patterns, name) if {
	is_object(patterns)
	some pattern, on in patterns
	on
	matches(pattern, name)
}
