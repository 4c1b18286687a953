"""Policies that misbehave for one repo each, and answer every other question as the tiny policy does."""

from __future__ import annotations

from tests.policy import tiny

_CASES = """
decision := {"n": n} if {
	input.repo.id == "hostile/loop"
	n := count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a * b == 0])
}

decision := {"n": n} if {
	input.repo.id == "hostile/memory"
	n := count(numbers.range(1, 500000000))
}

decision := {"n": n} if {
	input.repo.id == "hostile/error"
	n := to_number("no number")
}

decision := object.union(base, {"effect": effect}) if {
	input.repo.id == "hostile/conflict"
	some effect in ["allow", "deny"]
}

decision := deep(20000) if input.repo.id == "hostile/recursion"

deep(n) := base if n == 0

deep(n) := deep(n - 1) if n > 0

decision := time.now_ns() if input.repo.id == "hostile/clock"

decision := http.send({"url": "http://127.0.0.1:1/", "method": "get"}) if input.repo.id == "hostile/http"

decision := object.union(base, {"effect": "maybe"}) if input.repo.id == "hostile/effect"

decision := object.union(base, {"reasons": {"text"}}) if input.repo.id == "hostile/reasons"

decision := object.union(object.remove(base, ["files"]), {"files": {}}) if input.repo.id == "hostile/files"

decision := object.union(base, {"obligations": {{"kind": "fly", "value": 1}}}) if input.repo.id == "hostile/obligation"

decision := object.remove(base, ["warnings"]) if input.repo.id == "hostile/missing"

decision := object.union(base, {"extra": 1}) if input.repo.id == "hostile/extra"

decision := [base] if input.repo.id == "hostile/array"

decision := object.union(base, {"valid_until": "tomorrow"}) if input.repo.id == "hostile/until"
"""

MODULES = {"main.rego": tiny.MAIN + _CASES, "lib/words.rego": tiny.WORDS, "rules/denylist/repo/repo.rego": tiny.RULE}


def without_recursion() -> str:
    """The hostile entrypoint without what OPA's compiler refuses."""
    kept = [part for part in MODULES["main.rego"].split("\n\n") if "deep(" not in part]
    return "\n\n".join(kept)


MALFORMED = ("effect", "reasons", "files", "obligation", "missing", "extra", "array", "until")
