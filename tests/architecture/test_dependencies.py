"""One list of dependencies in two places: what is installed is what is declared, and it is written down why."""

import ast
import re
import sys
import tomllib

from tests.architecture.sources import ROOT, modules, name, tree

BUILD = {"hatchling", "editables"}  # build the package from hashed files too
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Distribution -> what it is imported as, where the two differ.
IMPORTED_AS = {
    "gordon-to-regorus": "regorus",
    "opa-python-client": "opa_client",
    "prometheus-client": "prometheus_client",
    "pyjwt": "jwt",
    "pyyaml": "yaml",
    "license-expression": "license_expression",
}
# Come with a declared one, and are part of its interface.
BROUGHT_ALONG = {"multidict": "aiohttp", "yarl": "aiohttp", "cryptography": "pyjwt[crypto]"}


def requirement_lines(path):
    return {line.strip() for line in path.read_text().splitlines() if line.strip() and line.strip()[0] not in "#-"}


def distribution(requirement):
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")


def test_the_declared_dependencies_equal_the_runtime_requirements():
    runtime = {r for r in requirement_lines(ROOT / "requirements/runtime.in") if distribution(r) not in BUILD}
    assert set(PROJECT["project"]["dependencies"]) == runtime


def test_every_declared_dependency_is_locked():
    locked = {distribution(line) for line in requirement_lines(ROOT / "requirements/runtime.txt")}
    assert {distribution(r) for r in PROJECT["project"]["dependencies"]} - locked == set()


def test_every_foreign_import_is_declared_and_every_declared_one_is_imported():
    imported = {}
    for path in modules():
        for node in ast.walk(tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module)
            for module in names:
                imported.setdefault(module.split(".")[0], set()).add(name(path))
    foreign = {m: files for m, files in imported.items() if m not in sys.stdlib_module_names and m != "gateway"}
    declared = {
        IMPORTED_AS.get(distribution(r), distribution(r).replace("-", "_")) for r in PROJECT["project"]["dependencies"]
    }
    assert {m: sorted(files) for m, files in foreign.items() if m not in declared | set(BROUGHT_ALONG)} == {}
    assert declared - set(foreign) == set()


def test_every_dependency_has_its_reasons_in_the_record_of_libraries():
    record = (ROOT / "docs/adr/0011-libraries.md").read_text()
    record = record.lower().replace("_", "-")
    missing = [r for r in PROJECT["project"]["dependencies"] if f"`{distribution(r)}`" not in record]
    assert missing == []
