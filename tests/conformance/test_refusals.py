"""P9 for every client: what its user reads in each cell of the refusal matrix is what docs/refusals.json publishes."""

import json
import os

import pytest

from conformance import refusals_page as page
from conformance.refusals_clients import ASKERS
from conformance.refusals_judging import BAD, MUTE, NOT_RUN, REASON, Verdict
from conformance.refusals_limits import LIMITS, explained
from conformance.refusals_run import run
from conformance.refusals_scenarios import DENIED

PUBLISHED = page.published()

whole = [pytest.mark.clients, pytest.mark.opa_server, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    def tell(name, verdict):
        print(f"{name:60} {verdict.result:8} {verdict.seconds:6.2f} s  {verdict.text}")

    return run(list(ASKERS), tmp_path_factory.mktemp("refusals") / "run", [], tell)


@pytest.mark.parametrize("client", [asker.name for asker in ASKERS])
class TestRun:
    pytestmark = whole

    def test_every_cell_is_what_is_published(self, client, found):
        cells = {name: verdict for name, verdict in found.items() if name.split(" ")[0] == client}
        assert cells
        told = page.differences(PUBLISHED, cells, is_complete=os.environ.get("CI") == "true")
        assert not told, "where this is meant: python -m conformance.refusals --write\n" + "\n".join(told)

    def test_nobody_waits_for_a_refusal_that_stands(self, client, found):
        """A bound against storms of retries; the design's 3 s are printed by the runner."""
        for name, verdict in found.items():
            scenario = page.split(name)[2]
            if name.split(" ")[0] == client and scenario.kind == DENIED and not scenario.name.startswith("late-"):
                assert verdict.seconds < 20, (name, verdict)


def test_no_published_cell_fails_and_every_possible_reason_is_on_top():
    failing = {
        name: cell["result"]
        for name, cell in PUBLISHED["cells"].items()
        if page.standing_of(name, cell["result"])[0] in ("fail", "not run")
    }
    assert failing == {}
    assert PUBLISHED["figures"]["share"] == 1.0
    assert NOT_RUN not in json.dumps(PUBLISHED["cells"])


def test_what_differs_is_told_and_what_was_not_run_only_where_it_must_be():
    name = next(name for name, cell in PUBLISHED["cells"].items() if cell["result"] == REASON and " late-" not in name)
    cell = PUBLISHED["cells"][name]
    same = Verdict(REASON, PUBLISHED["texts"][cell["text"]])

    def told(verdict, is_complete=False):
        return page.differences(PUBLISHED, {name: verdict}, is_complete=is_complete)

    assert told(same) == []
    assert "mute instead of reason" in told(Verdict(MUTE, same.text))[0]
    assert "other words" in told(Verdict(REASON, "other words"))[0]
    assert told(Verdict(NOT_RUN, "no node")) == []
    assert "NOT RUN instead of reason" in told(Verdict(NOT_RUN, "no node"), is_complete=True)[0]


def test_one_client_run_again_leaves_the_others_as_they_are():
    names = [name for name in PUBLISHED["cells"] if name.startswith("curl ")]
    again = {name: Verdict(BAD, "x", 5.0) for name in names}
    made = page.document(again, PUBLISHED)
    assert made["figures"]["fail"] == len(names)
    assert list(made["cells"]) == list(PUBLISHED["cells"])
    assert made["times"]["slowest_s"] == 5.0
    assert {n: c for n, c in made["cells"].items() if n not in again} == {
        n: c for n, c in PUBLISHED["cells"].items() if n not in again
    }
    assert json.loads(page.dumps(made)) == made


def test_every_limit_is_proven_by_a_published_cell():
    proven = set()
    for name, cell in PUBLISHED["cells"].items():
        client, operation, scenario, scheme, cache = page.split(name)
        if page.standing_of(name, cell["result"])[0] == "limit":
            proven.add(explained(scenario.name, cache, cell["result"], (client, operation, scheme)))
    assert [limit for limit in LIMITS if limit not in proven] == []


def test_the_page_is_made_from_the_published_run():
    assert page.PAGE.read_text("utf-8") == page.page(PUBLISHED)


def test_every_cell_of_the_table_is_published():
    names = {name.split(" ")[0] for name in PUBLISHED["cells"]}
    assert names == {asker.name for asker in ASKERS}
    assert {name.split(" ")[3] for name in PUBLISHED["cells"]} == {"http", "https"}
    assert set(PUBLISHED["texts"]) == {c["text"] for c in PUBLISHED["cells"].values() if "text" in c}
