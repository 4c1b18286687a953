"""The project's own files, as the tests of the architecture read them."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gateway"


@cache
def modules() -> tuple[Path, ...]:
    """Every Python file of the package, sorted."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name(path: Path) -> str:
    """The path from the root of the project, as findings show it."""
    return path.relative_to(ROOT).as_posix()


_MADE = {".git", ".venv", ".venvs", ".tools", ".state", "node_modules", "dist", "build", "__pycache__"}


@cache
def committed() -> tuple[Path, ...]:
    """Every file that git tracks and that is there; in an export without git, every file that was not made here."""
    if not (ROOT / ".git").exists():
        return tuple(p for p in ROOT.rglob("*") if p.is_file() and _MADE.isdisjoint(p.relative_to(ROOT).parts))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for entry in listed.split("\0") if entry and (path := ROOT / entry).is_file())


def functions(path: Path):
    """Every function and method of a module, nested ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def strings(path: Path):
    """Every string constant of a module, parts of f-strings too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str))
