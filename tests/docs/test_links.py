"""Relative links of every page lead somewhere, headings included."""

import re

import pytest

from tests.docs.pages import ROOT, anchors, pages, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def links(page):
    return [target for target in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_there = file.exists() and file.is_relative_to(ROOT)
        if not is_there or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_paths_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    named = re.findall(r"`((?:docs|rego|config|tests|gateway)/[\w./-]+)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_the_documentation_is_reachable_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in links(page):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.is_dir():
                file = file / "README.md"
            if file.is_file():
                waiting.append(file)
    lost = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")} - {
        str(page.relative_to(ROOT)) for page in seen
    }
    assert lost - {"docs/adr/template.md"} == set()
