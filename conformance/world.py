"""The test repos, one per role, in a world of the simulated hub. All but `gated` and those denied pass the gateway's default policy."""

from __future__ import annotations

from conformance.models import Files, add_models, bert, model, weights
from conformance.tables import parquet
from gateway.simulator import Bytes, World

HUB_TOKEN = "hf_conformance"
MANY = 5000

UNUSUAL = (
    "with space.txt", "naïve-日本-é.txt", "percent 100%.txt", "hash#tag.txt", "question?.txt", "plus+and&.txt",
    "brackets [1] (2).txt", "semi;comma,quote'.txt", "deep/er/and deeper/file.txt",
)  # fmt: skip


def conformance_world() -> World:
    """A fresh world; `HUB_TOKEN` is a valid token that opens nothing."""
    world = World()
    add_models(world)
    _plain(world)
    _datasets(world)
    _revisions(world)
    world.token(HUB_TOKEN, name="conformance")
    return world


def roles() -> dict[str, str]:
    """Role -> name of its repo in file routes."""
    return {
        "model": "conformance/tiny-bert", "sharded": "conformance/sharded", "gguf": "conformance/gguf",
        "large": "conformance/large", "unusual": "conformance/unusual-names", "many": "conformance/many-files", "escaped": "conformance/escaped-names",
        "csv": "datasets/conformance/csv", "space": "spaces/conformance/space", "parquet": "datasets/conformance/parquet",
        "revisions": "conformance/revisions", "gated": "conformance/gated", "renamed": "conformance/renamed",
        "legacy": "conformance-legacy", "denied": "conformance/denied-weights", "denied-gguf": "conformance/denied-gguf",
        "sentences": "conformance/sentences", "pipeline": "conformance/pipeline", "onnx": "conformance/onnx",
    }  # fmt: skip


def _plain(world: World) -> None:
    unusual: Files = {path: f"the file {path}\n" for path in UNUSUAL}
    model(
        world, "conformance/unusual-names", {**unusual, "empty.txt": b"", "weights [1] ü.safetensors": weights(bert())}
    )
    model(world, "conformance/escaped-names", {"with%20escape.txt": "a name that would decode a second time\n"})
    many: Files = {f"part-{n // 500:02d}/{n:05d}.txt": Bytes(b"%d\n" % n) for n in range(MANY - 1)}
    repo = world.repo("conformance/many-files", card={"license": "apache-2.0"})
    repo.commit({"README.md": repo.readme("Many files."), **many})


def _datasets(world: World) -> None:
    space = world.repo("conformance/space", type="space", card={"license": "apache-2.0", "sdk": "static"})
    space.commit({"README.md": space.readme("A page."), "index.html": "<!doctype html>\n<p>Hello.</p>\n"})
    rows = [f"{n},line {n}" for n in range(100)]
    csv = world.repo("conformance/csv", type="dataset", card={"license": "cc-by-4.0"})
    csv.commit({
        "README.md": csv.readme("A table."),
        "data/train.csv": "\n".join(["id,text", *rows[:80]]) + "\n",
        "data/test.csv": "\n".join(["id,text", *rows[80:]]) + "\n",
    })  # fmt: skip
    table = parquet({"id": list(range(100)), "text": [f"line {n}" for n in range(100)]})
    csv.convert("parquet", {"default/train/0000.parquet": table})
    repo = world.repo("conformance/parquet", type="dataset", card={"license": "cc-by-4.0"})
    repo.commit({"README.md": repo.readme("A table."), "data/train-00000-of-00001.parquet": table})


def _revisions(world: World) -> None:
    repo = model(world, "conformance/revisions", {"version.txt": "first\n"})
    repo.tag("v1.0")
    repo.commit({"version.txt": "second\n"}, message="Second version")
    repo.branches["dev"] = repo.branches["main"]
    repo.commit({"version.txt": "in development\n"}, branch="dev", message="Work")
    repo.pull_request({"version.txt": "proposed\n"}, title="A proposal")
