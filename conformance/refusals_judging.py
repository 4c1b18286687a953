"""What a cell of the refusal matrix says: the verdict on one attempt, and its text without what changes between runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conformance.cells import normalised
from conformance.refusals_asking import Answer, plain
from conformance.refusals_scenarios import ABSENT, LATE, OUTAGE, Operation, Scenario

REASON = "reason"  # refused; the gateway's words are in the message that reaches the user
CHAIN = "chain"  # refused; they are only in a traceback or a log above it
MUTE = "mute"  # refused; the client shows none of them
CACHED = "cached"  # the client took its own copy and did not say that it was refused
ABSENCE = "absence"  # it says that there is no such repo, as the hub would
WAITED = "waited"  # it waited by itself and has the file
TOLD = "told"  # it was told to come again, did, and then has the file, or the reason
WITHOUT = "without"  # it has everything but the file that is hidden
BAD = "BAD"  # it got what it must not have, or another file in its place, or never came back
NOT_RUN = "NOT RUN"

_SEVERAL_FILES = ("snapshot", "pipeline", "tokenizer")
_ADVICE = re.compile(r"(?m)^(?:Hint: The `hf-cli` skill|Warning: `--token).*\n")  # said once, or of no interest here
_LINE = re.compile(r'(?:BLOCKED|QUARANTINED) by gateway policy: [^\n"]*?Rule ([\w/-]+)[^\n"]*?(?=\. URL: |"|\n|$)')
_LINK = re.compile(r"See https?://\S+/-/(?:decisions/d-[0-9a-f]{20}|reasons/[\w/-]+)")
_REFUSED = re.compile(r'[^\n":(]*\((identity/[\w-]+)\)[^\n"]*?(?=\. URL: |"|\n|$)')
_PENDING = re.compile(r'Not yet: [^\n"]*?\(([\w/-]+)\)[^\n"]*?(?=\. URL: |"|\n|$)')
_FAILURE = re.compile(r'The hub cannot be asked now: [^\n"]*?\([\w/-]+\)[^\n"]*?(?=\. URL: |"|\n|$)')


@dataclass(frozen=True, slots=True)
class Verdict:
    result: str
    text: str
    seconds: float = 0.0


def judge(
    scenario: Scenario, operation: Operation, cache: str, answer: Answer, before: list[str], names: dict[str, str]
) -> Verdict:
    """The verdict on `answer`; `before` are the files that were in the client's cache already."""
    text = shortened(answer["top"] if not answer["ok"] else "", names)
    if operation.name in _SEVERAL_FILES:  # which of them is first to be refused is chance
        text = re.sub(r"(/resolve/(?:main|<commit>)/)[\w/.-]+?(?=[.:,;\"'?]*(?:\s|$))", r"\1<file>", text)
    return Verdict(_result(scenario, operation, cache, answer, before), text, float(answer["seconds"]))


def _result(scenario: Scenario, operation: Operation, cache: str, answer: Answer, before: list[str]) -> str:
    path = operation.path_in(scenario).rpartition("/")[2]
    if answer["top"].startswith("DRIVER:"):
        return BAD
    if answer["ok"]:
        return _got(scenario, path if operation.keeps_names else "", cache, answer, before)
    fresh = set(answer["files"]) - set(before)
    fell_back = operation.name != "snapshot" and any(name.endswith(".bin") for name in fresh)
    if path in fresh or (scenario.of_weights and fell_back):
        return BAD
    if scenario.kind == ABSENT:
        told = re.search(r"entitle|Rule |BLOCKED", plain(answer["top"] + answer["chain"]))
        return BAD if told else ABSENCE
    if says(scenario, answer["top"]):
        return REASON
    return CHAIN if says(scenario, answer["chain"]) else MUTE


def _got(scenario: Scenario, path: str, cache: str, answer: Answer, before: list[str]) -> str:
    if scenario.kind == LATE:
        return WAITED
    has_copy = path in before if path else cache == "warm"
    if has_copy and set(answer["files"]) <= set(before):
        return CACHED
    if scenario.name == "hidden" and path not in answer["files"]:
        return WITHOUT
    return CACHED if scenario.kind == OUTAGE and cache == "warm" else BAD


def is_pending(answer: Answer) -> bool:
    """Was the user told to come again?"""
    return not answer["ok"] and "Not yet: " in plain(answer["top"])


def says(scenario: Scenario, text: str) -> bool:
    """Are the gateway's words in the text, whole: reason, rule, decision, next step, and the link that explains it?"""
    flat = " ".join(plain(text).replace("\nremote: ", " ").split())
    if scenario.kind in (OUTAGE, LATE):
        return re.search(scenario.says, flat) is not None
    if "Next step: " not in flat or _LINK.search(flat) is None:
        return False
    if "(route/git)" in flat and "remote: " in flat:  # never served, whoever asks and whatever the repo is
        return True
    if re.search(rf"Rule {scenario.says}\b", flat) is None:
        return False
    return scenario.says.startswith("identity/") or re.search(r"Decision d-[0-9a-f]{20}", flat) is not None


def shortened(text: str, names: dict[str, str]) -> str:
    """What the user read, on one line: the gateway's sentence is replaced by its rule, the rest is the client's own."""
    text = _ADVICE.sub("", plain(text))
    text = _LINE.sub(r"«\1»", text)
    text = _PENDING.sub(r"«not yet: \1»", text)
    text = _FAILURE.sub("«upstream»", text)  # at once, or after several: which code is a matter of order
    text = re.sub(r"logs/\d{8}T[\d.]+\.log", "logs/<time>.log", text)
    text = re.sub(r"this gateway serves no git: [^\n]*", "«route/git»", text)
    text = _REFUSED.sub(r"«\1»", text)
    text = re.sub(r"\b\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?", "<time>", text)
    text = re.sub(r"\b\d\d/\d\d \d\d:\d\d:\d\d", "<time>", text)
    return normalised(text, names)
