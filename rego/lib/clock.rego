# METADATA
# title: Clock
# description: |
#   Times of the input. "" and malformed text are missing: `ns` is undefined then, so a body that needs the time fails
#   and never reads it as fresh or as old enough. The built-in parser is asked only for text that it cannot refuse.
package gateway.lib.clock

import rego.v1

hour_ns := 3600000000000

# The moment of the evaluation, in ns since 1970.
now := ns(input.environment.now)

# RFC 3339 (upper-case T and Z, years 1970 to 2199) to ns since 1970; undefined for everything else.
ns(value) := time.parse_rfc3339_ns(value) if well_formed(value)

well_formed(value) if {
	is_string(value)
	count(value) <= 40
	regex.match(shape, value)
	day := to_number(trim_left(substring(value, 8, 2), "0"))
	day <= days_in(substring(value, 5, 2), to_number(substring(value, 0, 4)))
}

# ns since 1970 to RFC 3339 in UTC, cut to whole seconds.
rfc3339(moment) := sprintf("%s-%s-%sT%s:%s:%sZ", array.concat(
	[two_digits(part) | some part in time.date(moment)],
	[two_digits(part) | some part in time.clock(moment)],
))

shape := concat("", [
	`^(19[7-9][0-9]|2[01][0-9][0-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`,
	`T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`,
])

days_in(month, _) := 31 if month in {"01", "03", "05", "07", "08", "10", "12"}

days_in(month, _) := 30 if month in {"04", "06", "09", "11"}

days_in("02", year) := 29 if leap(year)

days_in("02", year) := 28 if not leap(year)

leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

leap(year) if year % 400 == 0

two_digits(part) := sprintf("0%d", [part]) if part < 10

two_digits(part) := sprintf("%d", [part]) if part >= 10
