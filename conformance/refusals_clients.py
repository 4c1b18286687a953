"""The clients of the refusal matrix, and what each is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatch

from conformance import refusals_scenarios as do
from conformance.client import ROOT, on_path
from conformance.refusals_scenarios import Operation


@dataclass(frozen=True, slots=True)
class Asker:
    """One client. `kind`: "python" (in the environment `venv`), "node" (with the library `venv`) or "program".

    `also`: an environment whose packages are visible after its own.
    """

    name: str
    title: str
    kind: str
    venv: str
    operations: tuple[Operation, ...]
    env: dict[str, str] = field(default_factory=dict)
    also: str = ""

    def missing(self) -> str:
        """What it cannot run without and is not here; "" where all is there."""
        if self.kind == "python":
            for venv in filter(None, (self.venv, self.also)):
                if not (ROOT / f".venvs/{venv}/bin/python").exists():
                    return f"its environment .venvs/{venv} is not built (make clients)"
            return ""
        needed = {"node": ["node", "conformance/node/node_modules"], "git-lfs": ["git", "git-lfs"]}
        name = "node" if self.kind == "node" else self.name
        lost = [program for program in needed.get(name, [name]) if not on_path(program)]
        return f"{', '.join(lost)} is not installed (make tools)" if lost else ""


def _hub(version: str, venv: str, *more: Operation, **env: str) -> Asker:
    operations = (do.FILE, do.SNAPSHOT, do.COMMAND, do.FILESYSTEM, *more)
    return Asker(f"hub-{version}", f"huggingface_hub {version}", "python", venv, operations, env)


def _program(name: str, *operations: Operation) -> Asker:
    return Asker(name, name, "program", name, operations)


_GET = Operation("get", "`-fsS`", takes_hidden=True, resumes=True)
_SHOWN = Operation("shown", "`--fail-with-body`", takes_hidden=True, has_cache=False)

ASKERS = (
    _hub("0.24.7", "hub-0.24"),
    _hub("0.30.2", "hub-0.30"),
    _hub("0.36.2", "hub-0.36"),
    _hub("1.0.1", "hub-1.0"),
    _hub("1.33.0", "hub-1"),
    _hub("2.4.0", "hub-2"),
    Asker("transformers-4", "transformers 4.57.6", "python", "hub-0.36", (do.CONFIG, do.TOKENIZER, do.MODEL), also="models"),
    Asker("transformers-5", "transformers 5.24.0", "python", "models", (do.CONFIG, do.TOKENIZER, do.MODEL)),
    Asker("datasets", "datasets 5.2.0", "python", "models", (do.DATASET, do.STREAM)),
    Asker("diffusers", "diffusers 0.42.1", "python", "models", (do.PIPELINE,)),
    Asker("sentence-transformers", "sentence-transformers 6.2.0", "python", "models", (do.SENTENCES,)),
    Asker("js-hub", "@huggingface/hub 2.17.5", "node", "hub", (
        replace(do.FILE, title="`downloadFile`", has_cache=False), replace(do.SNAPSHOT, title="`snapshotDownload`"),
    )),
    Asker("js-transformers", "transformers.js 4.3.1", "node", "transformers", (
        replace(do.CONFIG, sends_token=False), replace(do.TOKENIZER, sends_token=False),
        replace(do.MODEL, path="onnx/model.onnx", sends_token=False, takes_hidden=False, waits=False),
    )),
    _program("curl", _SHOWN, _GET),
    _program("wget", replace(_SHOWN, title="`--content-on-error -O -`"), replace(_GET, title="`-c`")),
    _program("aria2c", replace(_GET, title="`-c -x16 -s16`")),
    _program("git", Operation("clone", "`git clone`", reads_weights=False, has_cache=False)),
    _program("git-lfs", Operation("pull", "`git lfs pull`", takes_hidden=True, has_cache=False)),
)  # fmt: skip


def chosen(patterns: list[str]) -> list[Asker]:
    """The clients whose name fits one of the globs; all without a glob. Raises ValueError where nothing fits."""
    found = [asker for asker in ASKERS if not patterns or any(fnmatch(asker.name, p) for p in patterns)]
    if not found:
        raise ValueError(f"no client is named {' or '.join(patterns)}; there are {', '.join(a.name for a in ASKERS)}")
    return found
