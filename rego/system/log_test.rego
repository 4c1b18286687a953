package system.log_test

import rego.v1

import data.system.log

test_claims_are_masked if "/input/subject/claims" in log.mask

test_who_asked_is_kept if not "/input/subject/id" in log.mask
