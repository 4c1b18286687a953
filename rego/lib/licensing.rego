# METADATA
# title: Licenses
# description: |
#   What a repo declares, against lists of ids. Ids are compared whole, case aside. A YAML list needs every entry; an
#   expression needs one OR branch of which every AND part is listed. Parentheses are not read: such an entry is its own
#   id, which no list holds, unless the gateway gives it as an SPDX expression without them.
package gateway.lib.licensing

import rego.v1

import data.gateway.lib.text

# Words that declare nothing.
blank := {"", "unknown", "none"}

declared := [trim(text.fold(entry), " ") | some entry in input.repo.license.declared]

# Entries that name a license.
named := [entry | some entry in declared; not entry in blank; entry != "other"]

is_other if "other" in declared

nothing_declared if {
	count(named) == 0
	not is_other
}

# The OR branches of an expression, each a list of ids.
branches(expression) := [[trim(part, " ") | some part in split(branch, " and ")] |
	some branch in split(text.fold(expression), " or ")
]

# Is there a branch whose every id is in one of the two lists?
satisfied(expression, list, more) if {
	some branch in branches(expression)
	every id in branch {
		on_either(id, list, more)
	}
}

on_either(id, list, _) if list[id]

on_either(id, _, more) if more[id]

# Does every branch hold an id of the list? Then no choice avoids it.
unavoidable(expression, list) if {
	every branch in branches(expression) {
		some id in branch
		list[id]
	}
}

# The gateway's SPDX reading of all entries together, only where every entry names a license.
spdx := input.repo.license.spdx if {
	is_string(input.repo.license.spdx)
	input.repo.license.spdx != ""
	count(named) > 0
	count(named) == count(declared)
}
