"""Reads a module's `# METADATA` comment (OPA's annotation format, package scope; neither engine here needs it).

https://www.openpolicyagent.org/docs/policy-language#annotations: YAML in the comment lines after `# METADATA`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.domain.evidence import Severity
from gateway.policy.plain_data import Mistake, read_yaml
from gateway.policy.syntax import Module


@dataclass(frozen=True, slots=True)
class RuleMetadata:
    """What a rule says of itself. `id` is `category/rule-name`; `doc` a path in the repository, "" for none."""

    id: str
    title: str
    description: str
    severity: str
    message: str
    remedy: str
    doc: str
    path: str


def rule_id(path: str) -> str | None:
    """`rules/license/denied/denied.rego` -> `license/denied`; None for what is no rule."""
    parts = path.split("/")
    is_rule = len(parts) == 4 and parts[0] == "rules" and not path.endswith("_test.rego")
    return f"{parts[1]}/{parts[2]}" if is_rule else None


def read(module: Module) -> RuleMetadata:
    """The metadata of a rule's module. Raises Mistake with the file's name."""
    block = _block(module)
    if block is None:
        raise Mistake(f"{module.path}:1:1: no `# METADATA` comment stands before the package line")
    line, text = block
    content = read_yaml(text, f"{module.path} (METADATA after line {line})")
    if not isinstance(content, dict):
        raise Mistake(f"{module.path}:{line}:1: METADATA is not an object")
    custom = content.get("custom")
    custom = custom if isinstance(custom, dict) else {}
    found = {
        "title": _text(content, "title", module, line),
        "description": _text(content, "description", module, line),
        "doc": str(custom.get("doc", "")),
        **{key: _text(custom, key, module, line, "custom.") for key in ("id", "severity", "message", "remedy")},
    }
    expected = rule_id(module.path)
    if found["id"] != expected:
        raise Mistake(f"{module.path}:{line}:1: METADATA custom.id is {found['id']!r}; the folder says {expected!r}")
    if found["severity"] not in {s.value for s in Severity}:
        raise Mistake(f"{module.path}:{line}:1: METADATA custom.severity {found['severity']!r} is no severity")
    return RuleMetadata(path=module.path, **found)


def _text(source: dict[str, Any], key: str, module: Module, line: int, prefix: str = "") -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Mistake(f"{module.path}:{line}:1: METADATA lacks {prefix}{key}")
    return value.strip()


def _block(module: Module) -> tuple[int, str] | None:
    """The YAML of the METADATA block before `package`, and the line of its marker."""
    lines = module.text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("package"):
            return None
        if line.rstrip() == "# METADATA":
            body = []
            for follower in lines[number:]:
                if not follower.startswith("#"):
                    break
                body.append(follower[1:].removeprefix(" "))
            return number, "\n".join(body) + "\n"
    return None
