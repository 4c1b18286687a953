"""The judge of the refusal matrix: every verdict, and texts that are the same in every run."""

import pytest

from conformance.refusals_judging import BAD, judge, says, shortened
from conformance.refusals_limits import LIMITS, standing
from conformance.refusals_scenarios import BY_NAME, FILE, MODEL, SNAPSHOT

LINE = (
    "BLOCKED by gateway policy: refuse/denied is on the denylist of repos. Rule denylist/repo; file model.safetensors. "
    "Decision d-0123456789abcdef0123. Next step: Choose another model. See http://127.0.0.1:1/-/decisions/d-0123456789abcdef0123"
)
REPO, PRIVATE, DOWN, LATE = (BY_NAME[name] for name in ("repo", "private", "hub-down", "late-allowed"))


def answer(ok=False, top="", chain="", files=()):
    return {"ok": ok, "top": top, "chain": chain, "seconds": 0.1, "files": list(files)}


def result(said, scenario=REPO, operation=FILE, cache="cold", before=()):
    return judge(scenario, operation, cache, said, list(before), {}).result


def test_a_denial_is_told_in_the_message_in_the_chain_or_not_at_all():
    assert result(answer(top=f"HfHubHTTPError: 403 Forbidden: {LINE}.", chain=LINE)) == "reason"
    assert result(answer(top="LocalEntryNotFoundError: check your connection", chain=LINE)) == "chain"
    assert result(answer(top="Forbidden access to file")) == "mute"


@pytest.mark.parametrize(
    "lost",
    ["Rule denylist/repo", "Next step: ", "Decision d-0123456789abcdef0123", "See http://127.0.0.1:1/-/decisions/"],
)
def test_half_a_sentence_is_no_reason(lost):
    assert result(answer(top=LINE.replace(lost, ""))) == "mute"
    assert result(answer(top=LINE.replace("denylist/repo", "denylist/repository"))) == "mute"


def test_what_came_through_is_bad_whatever_was_said():
    assert result(answer(ok=True, files=["model.safetensors"])) == BAD
    assert result(answer(top=LINE, files=["model.safetensors"])) == BAD
    two = BY_NAME["file-of-two"]
    said = LINE.replace("denylist/repo", "denylist/digest")
    assert result(answer(top=said, files=["config.json", "pytorch_model.bin"]), two, MODEL) == BAD
    assert result(answer(top=said, files=["config.json", "pytorch_model.bin"]), two, SNAPSHOT) == "reason"
    assert result(answer(top="DRIVER: no answer within 200 s")) == BAD


def test_an_own_copy_is_told_from_a_new_one():
    files = ["model.safetensors"]
    assert result(answer(ok=True, files=files), cache="warm", before=files) == "cached"
    assert result(answer(ok=True, files=[*files, "more.bin"]), cache="warm", before=files) == BAD
    assert result(answer(ok=True, files=files), DOWN, cache="warm", before=files) == "cached"


def test_a_private_repo_gives_nothing_away():
    assert result(answer(top="RepositoryNotFoundError: 404"), PRIVATE) == "absence"
    assert result(answer(top="RepositoryNotFoundError: not entitled"), PRIVATE) == BAD
    assert result(answer(top="404", chain="Rule entitlement/private"), PRIVATE) == BAD


def test_outages_and_waiting():
    assert says(DOWN, "502: The hub cannot be asked now: no answer (upstream/unavailable)")
    assert not says(DOWN, "502: Bad Gateway")
    assert result(answer(ok=True, files=["model.safetensors"]), LATE) == "waited"


def test_texts_are_the_same_in_every_run():
    text = (
        f"HfHubHTTPError: (Request ID: r-0123456789abcdef)\n\n403 Forbidden: {LINE}.\n"
        f"Cannot access content at: http://127.0.0.1:4711/refuse/denied/resolve/{'a' * 40}/model.safetensors.\n"
    )
    assert shortened(text, {"http://127.0.0.1:4711": "<gateway>", "refuse/denied": "<repo>"}) == (
        "HfHubHTTPError: (Request ID: …) 403 Forbidden: «denylist/repo» Cannot access content at: "
        "<gateway>/<repo>/resolve/<commit>/model.safetensors."
    )
    assert shortened(f'{{"error": "{LINE}"}}', {}) == '{"error": "«denylist/repo»"}'
    assert shortened(f"HubApiError: {LINE}. URL: http://x. Request ID: r-1", {}).startswith(
        "HubApiError: «denylist/repo». URL: "
    )


def test_a_limit_never_covers_what_came_through():
    for limit in LIMITS:
        assert limit.result != BAD
        assert standing(REPO, "cold", BAD, ("js-transformers", "model", "http")) == ("fail", "")
    assert standing(REPO, "cold", "mute", ("js-transformers", "model", "http"))[0] == "limit"
    assert standing(REPO, "cold", "mute", ("hub-2.4.0", "file", "http")) == ("fail", "")
    assert standing(REPO, "cold", "reason", ("hub-2.4.0", "file", "http")) == ("pass", "")
    assert standing(DOWN, "warm", "cached", ("hub-2.4.0", "file", "http")) == ("pass", "")
    assert standing(REPO, "warm", "cached", ("hub-2.4.0", "file", "http")) == ("fail", "")
