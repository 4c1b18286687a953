package gateway.lib.clock_test

import rego.v1

import data.gateway.lib.clock

test_reads_utc if clock.ns("2026-11-24T10:00:00Z") == 1795514400000000000

test_reads_an_offset if clock.ns("2026-11-24T11:00:00+01:00") == 1795514400000000000

test_reads_fractions if clock.ns("2026-11-24T10:00:00.5Z") == 1795514400500000000

test_malformed_is_missing if {
	malformed := {
		"", "yesterday", "2026-11-24", "2026-11-24 10:00:00Z", "2026-11-24t10:00:00z", "2026-11-24T10:00:00",
		"2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
		"2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "0000-01-01T00:00:00Z", "9999-01-01T00:00:00Z",
		"1969-12-31T23:59:59Z", "2026-11-24T10:00:00.1234567890Z", "2026-11-24T10:00:00Z\n", " 2026-11-24T10:00:00Z",
		"2026-11-24T10:00:00+25:00",
	}
	every value in malformed {
		not clock.well_formed(value)
	}
}

test_something_that_is_no_text_is_missing if {
	every value in [null, 5, true, {}, []] {
		not clock.well_formed(value)
	}
}

test_leap_days if {
	clock.well_formed("2024-02-29T00:00:00Z")
	clock.well_formed("2000-02-29T00:00:00Z")
}

test_writes_what_it_reads if {
	every value in ["2026-11-24T10:00:00Z", "2030-01-02T03:04:05Z", "1970-01-01T00:00:00Z"] {
		clock.rfc3339(clock.ns(value)) == value
	}
}

test_writes_whole_seconds_before if clock.rfc3339(clock.ns("2026-11-24T10:00:00.999Z")) == "2026-11-24T10:00:00Z"
