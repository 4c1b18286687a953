"""A Bundle: the Rego modules and the merged policy data, checked, with a digest of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.domain.errors import ConfigError
from gateway.policy import checks, data_layers, data_schema
from gateway.policy.metadata import RuleMetadata
from gateway.policy.syntax import Module

MAX_MODULES = 2_000
MAX_MODULE_BYTES = 1024 * 1024
_ORIGIN = re.compile(r"""(?:\.\s*|["'`])(?:client|address)\b""")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a policy engine is started with.

    `modules` are the serving ones, `tests` the `*_test.rego`; paths are relative to the Rego folder. `rules` maps a
    rule's id to its METADATA. `policy_digest` and `data_digest` are `sha256:<hex>`: equal content, equal digest.
    """

    modules: tuple[Module, ...]
    tests: tuple[Module, ...]
    data: Mapping[str, Any]
    rules: Mapping[str, RuleMetadata]
    profile: str
    policy_digest: str
    data_digest: str

    @property
    def reads_origin(self) -> bool:
        """Does a module name the client or the address of `input.subject`? They belong to the request: a decision about
        one must not be remembered for another. Looks at the text; a false yes only costs memory."""
        return any(_ORIGIN.search(module.text) for module in self.modules)

    @classmethod
    def load(
        cls, rego_dir: Path, data_dir: Path, profile: str, overlays: Sequence[Path] = (), *, with_tests: bool = False
    ) -> Bundle:
        """Read, merge and check everything; the `*_test.rego` only where asked for (serving has no use of them).

        Raises ConfigError that lists every mistake, one line each.
        """
        modules, mistakes = read_modules(rego_dir, with_tests=with_tests)
        data, data_mistakes = data_layers.merge(data_layers.layers(data_dir, profile, overlays))
        report = checks.check(modules, rego_dir, data)
        mistakes += [*report.mistakes, *data_mistakes, *data_schema.mistakes(rego_dir, data)]
        if mistakes:
            raise ConfigError(
                f"the policy cannot be used; {len(mistakes)} to mend:\n" + "\n".join(f"  {m}" for m in mistakes),
                code="config/policy",
            )
        serving = tuple(m for m in modules if not m.is_test)
        return cls(
            modules=serving,
            tests=tuple(m for m in modules if m.is_test),
            data=data,
            rules=report.rules,
            profile=profile,
            policy_digest=digest_of([[m.path, m.text] for m in serving]),
            data_digest=digest_of(data),
        )


def read_modules(rego_dir: Path, *, with_tests: bool) -> tuple[list[Module], list[str]]:
    """The `*.rego` below the folder in the order of their paths, and what could not be read."""
    if not rego_dir.is_dir():
        raise ConfigError(f"the Rego folder {rego_dir} does not exist", code="config/policy")
    modules: list[Module] = []
    mistakes = [
        f"{p.relative_to(rego_dir).as_posix()}: is no file that can be read; put the file itself there"
        for p in sorted(rego_dir.rglob("*"))
        if (p.is_symlink() and p.is_dir() and p.name[0] != ".") or (p.suffix == ".rego" and not p.is_file())
    ]
    found = (p for p in rego_dir.rglob("*.rego") if p.is_file())
    paths = sorted(p for p in found if with_tests or not p.name.endswith("_test.rego"))
    if not paths:
        mistakes.append(f"{rego_dir}: holds no .rego file")
    if len(paths) > MAX_MODULES:
        return [], [f"{rego_dir}: holds {len(paths)} .rego files; {MAX_MODULES} are the most"]
    for path in paths:
        name = path.relative_to(rego_dir).as_posix()
        if path.stat().st_size > MAX_MODULE_BYTES:
            mistakes.append(f"{name}: larger than {MAX_MODULE_BYTES} bytes")
            continue
        try:
            modules.append(Module(name, path.read_text("utf-8")))
        except UnicodeDecodeError as error:
            mistakes.append(f"{name}: is not UTF-8 at byte {error.start}")
        except OSError as error:
            mistakes.append(f"{name}: cannot be read ({error.strerror})")
    return modules, mistakes


def digest_of(value: Any) -> str:
    """`sha256:<hex>` over the canonical JSON of a value."""
    return "sha256:" + hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
