"""What a user can run into: the scenarios of the refusal matrix, and the operations that run into them."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.refusals_states import BEFORE, CLOSED, DOWN, ENGINE, NOW
from conformance.refusals_world import PICKLE, TABLE

DENIED, ABSENT, LATE, OUTAGE = "denied", "absent", "late", "outage"
COLD, WARM = "cold", "warm"
STRANGER, READER, PUBLIC, WRONG = "stranger", "reader", "public", "wrong"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation. `repo`: whose it is; `state`: the gateway that answers; `kind`: what a good end is.

    `says`: a pattern that the gateway's own words must match. `of_weights`: only who asks for the weights meets it.
    `token`: what the client sends, `warm_token` what it sent while its cache was filled.
    """

    name: str
    title: str
    repo: str
    state: str
    kind: str
    says: str
    of_weights: bool = False
    token: str = ""
    warm_token: str = ""
    caches: tuple[str, ...] = (COLD, WARM)


SCENARIOS = (
    Scenario("repo", "repo denied", "denied", NOW, DENIED, "denylist/repo"),
    Scenario("file", "one file denied", "one-file", NOW, DENIED, "denylist/digest", of_weights=True),
    Scenario("file-of-two", "one file denied, a pickle beside it", "one-of-two", NOW, DENIED, "denylist/digest", of_weights=True),
    Scenario("hidden", "hidden file", "hidden", NOW, DENIED, "format/twin", of_weights=True),
    Scenario("young", "quarantined by age", "young", NOW, DENIED, "age/quarantine"),
    Scenario("late-allowed", "pending, then allowed", "late", NOW, LATE, "Not yet: ", of_weights=True, caches=(COLD,)),
    Scenario("late-denied", "pending, then denied", "late-bad", NOW, DENIED, "scan/[a-z-]+", of_weights=True, caches=(COLD,)),
    Scenario("recalled", "recalled", "recalled", NOW, DENIED, "denylist/repo", caches=(WARM,)),
    Scenario("private", "not entitled: private", "private", NOW, ABSENT, "", token=STRANGER, warm_token=READER),
    Scenario("gated", "not entitled: gated", "gated", NOW, DENIED, "entitlement/gated", token=STRANGER, warm_token=READER),
    Scenario("nobody", "no credential", "plain", CLOSED, DENIED, "identity/missing"),
    Scenario("public-token", "a token of the public hub", "plain", NOW, DENIED, "identity/public-hub-token", token=PUBLIC),
    Scenario("wrong-token", "an unknown token", "plain", NOW, DENIED, "identity/unknown-token", token=WRONG),
    Scenario("hub-down", "the hub is down", "plain", DOWN, OUTAGE, r"The hub cannot be asked now: .*\(upstream/[a-z-]+\)"),
    Scenario("engine-down", "the policy engine is down", "known", ENGINE, OUTAGE, r"Not yet: .*\(pdp/[a-z-]+\)"),
    Scenario("engine-down-new", "the same, for a repo never asked for", "plain", ENGINE, OUTAGE, r"Not yet: .*\(pdp/[a-z-]+\)"),
)  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
assert BEFORE not in {scenario.state for scenario in SCENARIOS}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a user does with a client. `path`: the file that it needs, in a repo of this `kind` ("model" or "dataset").

    `reads_weights`: it asks for the file's bytes (else for the config's only). `takes_hidden`: it can be told to take the
    pickle. `waits`: the pending scenarios are tried with it. `resumes`: a warm cache is the first half of the file.
    `keeps_names`: its cache holds the file under its own name. `outages`: the outages tried with it; each can cost a
    client more than a minute of retries.
    """

    name: str
    title: str
    path: str = "model.safetensors"
    kind: str = "model"
    reads_weights: bool = True
    takes_hidden: bool = False
    has_cache: bool = True
    sends_token: bool = True
    waits: bool = False
    resumes: bool = False
    keeps_names: bool = True
    outages: tuple[str, ...] = ("hub-down", "engine-down", "engine-down-new")

    def meets(self, scenario: Scenario) -> bool:
        """Can this operation run into the scenario at all?"""
        if scenario.of_weights and not self.reads_weights:
            return False
        if scenario.name == "hidden" and not self.takes_hidden:
            return False
        if scenario.name.startswith("late-") and not (self.waits and self.kind == "model"):
            return False
        if scenario.name == "file-of-two" and self.kind == "dataset":
            return False
        if self.name == "clone" and scenario.name not in ("repo", "private", "nobody", "public-token", "wrong-token"):
            return False  # never served, so no state of the repo matters
        if scenario.kind == OUTAGE and scenario.name not in self.outages:
            return False
        return self.sends_token or not scenario.token

    def caches(self, scenario: Scenario) -> tuple[str, ...]:
        return scenario.caches if self.has_cache else tuple(cache for cache in scenario.caches if cache == COLD)

    def path_in(self, scenario: Scenario) -> str:
        return PICKLE if scenario.name == "hidden" else self.path


FILE = Operation("file", "`hf_hub_download`", takes_hidden=True, waits=True)
SNAPSHOT = Operation("snapshot", "`snapshot_download`")
COMMAND = Operation("command", "`download` command", takes_hidden=True, outages=("hub-down", "engine-down"))
FILESYSTEM = Operation("filesystem", "`HfFileSystem` read", takes_hidden=True, has_cache=False)
CONFIG = Operation("config", "`AutoConfig`", path="config.json", reads_weights=False)
TOKENIZER = Operation("tokenizer", "`AutoTokenizer`", path="tokenizer.json", reads_weights=False, outages=())
MODEL = Operation("model", "`AutoModel`", takes_hidden=True, waits=True, outages=())
DATASET = Operation("dataset", "`load_dataset`", TABLE, "dataset", keeps_names=False, outages=("hub-down",))
STREAM = Operation("stream", "`load_dataset(streaming=True)`", TABLE, "dataset", has_cache=False)
PIPELINE = Operation("pipeline", "`DiffusionPipeline.download`", "unet/diffusion_pytorch_model.safetensors")
SENTENCES = Operation("sentences", "`SentenceTransformer`", outages=("engine-down",))
