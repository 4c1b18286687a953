# METADATA
# title: Masks of the ledger
# description: |
#   JSON pointers of what a record must not keep, evaluated once when the bundle is loaded. OPA's decision log reads the
#   same rule (`data.system.log.mask`) for the inputs it sees. Credentials never reach the input; the claims of a token say
#   more about a person than an auditor needs.
package system.log

import rego.v1

mask contains pointer if some pointer in pointers

pointers := ["/input/subject/claims"]
