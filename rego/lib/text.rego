# METADATA
# title: Text
# description: |
#   Makes text of strangers fit for a message: one line of printable ASCII, bounded. Headers, terminals and logs
#   show these words, and names in a repo are chosen by whoever uploads.
package gateway.lib.text

import rego.v1

# One printable ASCII line of at most `limit` characters. Everything else becomes "?".
line(value, limit) := cut(regex.replace(value, `[^ -~]`, "?"), limit)

# Lower case for comparing, of ASCII only: Unicode folds look-alikes into ASCII (the Kelvin sign becomes a k).
fold(value) := lower(value) if regex.match(`^[ -~]*$`, value)

fold(value) := value if not regex.match(`^[ -~]*$`, value)

# A name of a stranger, in quotes.
name(value) := sprintf("'%s'", [line(value, 120)])

# Names, sorted, in quotes, at most three of them.
names(values) := concat(", ", shown) if {
	count(values) <= 3
	shown := [name(value) | some value in sort(values)]
}

names(values) := sprintf("%s and %d more", [concat(", ", shown), count(values) - 3]) if {
	count(values) > 3
	shown := [name(value) | some value in array.slice(sort(values), 0, 3)]
}

cut(value, limit) := value if count(value) <= limit

cut(value, limit) := sprintf("%s...", [substring(value, 0, limit - 3)]) if count(value) > limit

# A text field of a data row that may be a plain `true`. (`not is_string(row.field)` would be undefined, not true,
# where the field is missing: OPA looks the argument up before it negates.)
note(row, field, otherwise) := otherwise if not has_note(row, field)

note(row, field, _) := row[field] if has_note(row, field)

has_note(row, field) if {
	is_object(row)
	is_string(object.get(row, field, null))
}
