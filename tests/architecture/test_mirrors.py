"""Tests lie where their source lies, so that both are found from either side.

Not every module has a test module of its own: a format reader's parts are tested through the reader, and much of the
use case end to end. Where each one has, that is kept: WHOLE. The rest is printed by `pytest -s` for reviewers.
"""

import ast

import pytest

from tests.architecture.sources import PACKAGE, ROOT, modules, name

TESTS = ROOT / "tests"
# Folders of tests that stand for no package, and what they hold.
THEMES = {
    "architecture": "the shape of the code",
    "benchmarks": "the benchmarks run",
    "conformance": "clients of every kind, and what their users read",
    "contracts": "one suite per port",
    "corpus": "hostile files under every profile",
    "docs": "documentation that is executed",
    "e2e": "the whole product with real clients",
    "fakes": "fakes of ports, which pass the contracts",
    "faults": "kills, cuts and outages",
    "parity": "every engine gives the same decision",
    "rego": "the policy library",
}
# Named after what they prove, beside the package that relies on it.
ELSEWHERE = {"tests/identity/test_subject_projection.py": "gateway/domain/subject.py"}
# Modules whose own test module must not go away; it grows, it never shrinks.
WHOLE = (
    "gateway/domain/siblings.py",
    "gateway/http/decision_facts.py",
    "gateway/http/decision_page.py",
    "gateway/http/markup.py",
    "gateway/http/own_pages.py",
    "gateway/http/ranges.py",
    "gateway/hubs/huggingface/addresses.py",
    "gateway/hubs/huggingface/backoff.py",
    "gateway/hubs/huggingface/dialect.py",
    "gateway/hubs/huggingface/grammar.py",
    "gateway/hubs/huggingface/refusals.py",
    "gateway/hubs/huggingface/upstream.py",
    "gateway/hubs/huggingface/words.py",
    "gateway/identity/chain.py",
    "gateway/identity/extract.py",
    "gateway/identity/jwt.py",
    "gateway/identity/ratelimit.py",
    "gateway/identity/redaction.py",
    "gateway/identity/tokens.py",
    "gateway/ledger/decision_log.py",
    "gateway/ledger/encode.py",
    "gateway/ledger/index.py",
    "gateway/ledger/segments.py",
    "gateway/ledger/verify.py",
    "gateway/ledger/writer.py",
    "gateway/policy/bundle.py",
    "gateway/policy/embedded.py",
    "gateway/policy/opa_server.py",
    "gateway/policy/testing.py",
    "gateway/scanners/own.py",
    "gateway/settings.py",
    "gateway/stores/blobs.py",
    "gateway/stores/facts.py",
    "gateway/stores/generation.py",
    "gateway/stores/layout.py",
    "gateway/stores/quota.py",
    "gateway/stores/scrub.py",
)


def twin(source):
    below = source.relative_to(PACKAGE)
    return TESTS / below.parent / f"test_{below.name}"


@pytest.mark.parametrize("source", WHOLE)
def test_a_module_keeps_its_test_module(source):
    assert (ROOT / source).is_file(), f"{source} is gone: take it off the list"
    assert twin(ROOT / source).is_file()


def test_modules_without_a_test_module_of_their_own_are_known():
    sources = [path for path in modules() if path.name != "__init__.py"]
    without = [name(path) for path in sources if not twin(path).is_file()]
    print(f"\n{len(without)} of {len(sources)} modules are tested through others:", *without, sep="\n  ")
    assert set(without).isdisjoint(WHOLE)


def test_every_folder_of_tests_mirrors_a_package_or_has_a_theme():
    folders = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py")} - {"."}
    strays = {f for f in folders if f.split("/")[0] not in THEMES and not (PACKAGE / f / "__init__.py").is_file()}
    assert strays == set()


def test_a_test_module_without_a_source_module_says_what_it_is_about():
    silent = []
    for path in sorted(TESTS.rglob("test_*.py")):
        below = path.relative_to(TESTS)
        source = PACKAGE / below.parent / below.name.removeprefix("test_")
        if name(path) in ELSEWHERE:
            assert (ROOT / ELSEWHERE[name(path)]).is_file()
        elif not source.is_file() and not ast.get_docstring(ast.parse(path.read_text("utf-8"))):
            silent.append(name(path))
    assert silent == []
