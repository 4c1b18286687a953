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
	"severity": words(facts, "severity", 16),
	"message": words(facts, "message", 480),
	"remedy": words(facts, "remedy", 360),
	"evidence": words(facts, "evidence", 200),
	"until_ns": object.get(facts, "until_ns", 0),
}

# A fact that is missing or no text becomes null, which main.rego reports as system/rule-malformed. Were it undefined
# instead, the body of the rule would be too, and a rule that refuses would be silent.
words(facts, name, limit) := text.line(facts[name], limit) if is_string(object.get(facts, name, null))

words(facts, name, _) := null if not is_string(object.get(facts, name, null))
