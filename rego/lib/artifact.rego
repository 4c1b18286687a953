# METADATA
# title: Artifact
# description: What is judged, by one name in both scopes.
package gateway.lib.artifact

import rego.v1

in_revision if input.scope == "revision"

in_file if input.scope == "file"

# The files under judgement: every one of the revision, or the one artifact. Same fields in both.
files := input.revision.files if in_revision

files := [input.artifact] if in_file

prefixes := {"model": "", "dataset": "datasets/", "space": "spaces/"}

# The repo's name in policy data: "org/name", "datasets/org/name", "spaces/org/name".
repo_name := sprintf("%s%s", [prefixes[input.repo.type], input.repo.id])

# The repo at its commit, as approvals name it.
pinned := sprintf("%s@%s", [repo_name, input.revision.commit])

# The path of the safetensors file that carries the same weights, as advice.
advice(file, _) := sprintf("Use '%s' of the same revision instead.", [file.twin]) if file.twin != ""

advice(file, otherwise) := otherwise if file.twin == ""
