# METADATA
# title: Result constructors
# description: |
#   The only way to build what a rule's `deny` holds. `facts` has severity, message, remedy and evidence (strings), and
#   optionally effect ("quarantine") and until_ns (when the result goes away by itself).
package gateway.lib.result

import rego.v1

import data.gateway.lib.text

# The repo is refused.
repo(facts) := build("repo", "", facts, object.get(facts, "effect", "deny"))

# The revision is refused.
revision(facts) := build("revision", "", facts, object.get(facts, "effect", "deny"))

# One file is refused.
file(path, facts) := build("file", path, facts, object.get(facts, "effect", "deny"))

# One file is refused and leaves the listings.
hide(path, facts) := build("file", path, facts, "hide")

build(scope, path, facts, effect) := {
	"scope": scope,
	"path": path,
	"effect": effect,
	"severity": facts.severity,
	"message": text.line(facts.message, 480),
	"remedy": text.line(facts.remedy, 360),
	"evidence": text.line(facts.evidence, 200),
	"until_ns": object.get(facts, "until_ns", 0),
}
