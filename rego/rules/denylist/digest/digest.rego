# METADATA
# title: Bytes on the denylist
# description: |
#   The file's digest is named in denylist.digests, whatever repo carries it.
# custom:
#   id: denylist/digest
#   severity: critical
#   message: "'<file>' has the digest <digest>, which is on the denylist."
#   remedy: "Delete local copies; choose another model; ask the owners of the denylist why it is there."
#   doc: docs/rules/denylist-digest.md
package gateway.rules.denylist.digest

import rego.v1

import data.gateway.lib.artifact
import data.gateway.lib.result
import data.gateway.lib.text

deny contains result.file(hit.path, {
	"severity": "critical",
	"message": sprintf("%s has the digest %s, which is on the denylist.", [
		text.name(hit.path),
		text.line(hit.digest, 80),
	]),
	"remedy": "Delete local copies and choose another model; ask the owners of the denylist why it is there.",
	"evidence": hit.digest,
}) if {
	some hit in hits
}

hits contains {"path": file.path, "digest": file.digest} if {
	digests := data.config.denylist.digests
	count(digests) > 0
	some file in artifact.files
	digests[file.digest]
}

# The judged bytes of a file that the hub names by git blob id.
hits contains {"path": input.artifact.path, "digest": input.artifact.sha256} if {
	artifact.in_file
	data.config.denylist.digests[input.artifact.sha256]
}
