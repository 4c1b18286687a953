"""What may be done in one place only: broad excepts, the environment, detached tasks, addresses of package indexes."""

import ast
import re

import pytest

from tests.architecture.sources import ROOT, committed, modules, name, tree

# Where everything may be caught and not raised again, and why.
BROAD = {
    "gateway/http/errors.py": "the outermost boundary of a request: 500 with the request id, the trace in the log",
    "gateway/scanners/worker.py": "the isolated process: whatever hostile bytes raise becomes Coverage `failed`",
}
# Who may read the environment, and why.
ENVIRONMENT = {
    "gateway/settings.py": "the one reader of configuration",
    "gateway/doctor/surroundings.py": "what a client on this machine would read is what it examines",
    "gateway/cli/demo.py": "starts real clients as child processes with a clean environment",
}
# Who may start a task of its own, and why.
TASKS = {
    "gateway/scanners/isolation.py": "the watch over a worker, cancelled by the function that started it",
}
BROAD_NAMES = {"Exception", "BaseException"}
INDEX = re.compile(
    r"(?<!-no-emit)(?:--(?:extra-)?index-url|--find-links|PIP_INDEX_URL|UV_INDEX|UV_DEFAULT_INDEX|GOPROXY=)"
    r"|https?://[^\s\"'<>]*(?:pypi|pythonhosted|goproxy|npmjs|artifactory|nexus)[^\s\"'<>]*",
    re.IGNORECASE,
)
THIS = "tests/architecture/test_boundaries.py"  # names what it looks for


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(kind) in BROAD_NAMES for kind in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """The last statement raises, whatever came before it: nothing is swallowed."""
    return isinstance(handler.body[-1], ast.Raise) and not any(
        isinstance(node, ast.Return | ast.Continue | ast.Break) for part in handler.body for node in ast.walk(part)
    )


def test_nothing_is_swallowed_outside_the_listed_places():
    found = {}
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _raises_again(node):
                found.setdefault(name(path), []).append(node.lineno)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                kinds = {ast.unparse(argument) for argument in node.args}
                if kinds & BROAD_NAMES:
                    found.setdefault(name(path), []).append(node.lineno)
    assert {path: lines for path, lines in found.items() if path not in BROAD} == {}
    assert set(BROAD) - set(found) == set(), "a listed place catches everything no more: take it off the list"


def test_only_the_settings_read_the_environment():
    found = set()
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
                found.add(name(path))
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                found |= {name(path) for alias in node.names if alias.name in {"environ", "getenv"}}
    assert found == set(ENVIRONMENT)


def test_no_task_is_detached_where_its_error_is_not_seen():
    """asyncio.create_task and ensure_future lose errors; enforcement/background.py keeps every task."""
    found = {
        name(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.create_task", "asyncio.ensure_future"}
    }
    assert found == set(TASKS)


def test_only_the_clock_reads_the_time_of_day():
    """Time is an argument of everything that decides; a monotonic clock measures spans and is free."""
    found = {
        f"{name(path)}: {ast.unparse(node.func)}"
        for path in modules()
        if name(path) != "gateway/clock.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"datetime.now", "datetime.datetime.now", "datetime.utcnow", "date.today"}
    }
    assert found == {entry for entry in found if entry.startswith("gateway/simulator/")}


def test_no_committed_file_names_a_package_index():
    found = []
    for path in committed():
        if name(path) == THIS:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {match[0]}" for match in INDEX.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "line",  # put together here, so that not even this file holds one
    ["--index-" + "url https://x/simple", "https://py" + "pi.example/simple", "GO" + "PROXY=https://x"],
)
def test_the_search_for_a_package_index_finds_one(line):
    assert INDEX.search(line)
    assert not INDEX.search("uv pip compile --no-emit-index-url")


def test_every_requirement_is_pinned_and_hashed():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines, path
        for line in lines:
            assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+", line), f"{path.name}: {line[:80]}"
            assert "--hash=sha256:" in line, f"{path.name}: {line[:80]}"
