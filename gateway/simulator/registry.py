"""The hub's `/v2/` registry, through which Ollama and older llama.cpp fetch GGUF files (hub-protocol §7.3)."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from gateway.simulator import answers
from gateway.simulator.answers import Answer, json_answer
from gateway.simulator.call import granted
from gateway.simulator.cdn import Cdn
from gateway.simulator.content import Bytes
from gateway.simulator.delivery import ranged
from gateway.simulator.repo import File, Repo
from gateway.simulator.world import World

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
OLLAMA = "application/vnd.ollama.image."
_SHAPE = re.compile(r"/v2/([^/]+/[^/]+|[^/]+)/(manifests|blobs)/([^/]+)")
_TEMPLATE = b"{{ if .System }}{{ .System }}\n{{ end }}{{ .Prompt }}\n"
_PARAMS = b'{"stop":["<|end|>"]}'


class Registry:
    """Answers from the head of the default branch; the small layers are made here, unless `world.layers` names them."""

    def __init__(self, world: World, cdn: Cdn) -> None:
        self._world = world
        self._cdn = cdn

    def answer(self, method: str, raw_target: str, headers: dict[str, str]) -> Answer | None:
        """None where the target is none of the registry's."""
        path = unquote(raw_target.partition("?")[0])
        if path in ("/v2", "/v2/"):
            return json_answer({})
        match = _SHAPE.fullmatch(path)
        if match is None:
            return None
        account = self._world.tokens.get(headers.get("authorization", "").removeprefix("Bearer ").strip())
        repo = self._world.repos.get(self._world.canonical(match[1]))
        if repo is None or (repo.private and not granted(repo, account)):
            return answers.repo_missing(has_token=account is not None)
        if repo.gated and not granted(repo, account):
            return answers.gated(repo.id, anonymous=account is None)
        if match[2] == "manifests":
            return self._manifest(repo, match[3], headers)
        return self._blob(repo, match[3].removeprefix("sha256:"), method, headers)

    def _manifest(self, repo: Repo, tag: str, headers: dict[str, str]) -> Answer:
        file = _named(repo, tag)
        if file is None:
            return answers.refusal(404, "The specified tag is not available in the repository")
        layers = [(f"{OLLAMA}model", file.content.sha256, file.size)]
        layers += [(kind, Bytes(data).sha256, len(data)) for kind, data in self._small(repo) if kind != CONFIG]
        for projector in (f for f in repo.main.files.values() if f.path.startswith("mmproj")):
            layers.append((f"{OLLAMA}projector", projector.content.sha256, projector.size))
        config = next(data for kind, data in self._small(repo) if kind == CONFIG)
        value = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _row((CONFIG, Bytes(config).sha256, len(config))),
            "layers": [_row(layer) for layer in layers],
        }
        if headers.get("user-agent", "").startswith("llama-cpp"):
            value["ggufFile"] = _gguf_file(file)
        return json_answer(value, headers={"Content-Type": MANIFEST})

    def _small(self, repo: Repo) -> list[tuple[str, bytes]]:
        config = {"model_format": "gguf", "model_family": "llama", "os": "linux", "architecture": "amd64"}
        made = {
            CONFIG: json.dumps(config).encode(),
            f"{OLLAMA}template": _TEMPLATE,
            f"{OLLAMA}params": _PARAMS,
            **self._world.layers.get(repo.name, {}),
        }
        return list(made.items())

    def _blob(self, repo: Repo, sha256: str, method: str, headers: dict[str, str]) -> Answer:
        file = next((f for f in repo.main.files.values() if f.lfs and f.content.sha256 == sha256), None)
        if file is not None and method == "GET":
            return Answer(307, {"Location": self._cdn.link(repo, file), "Content-Type": "text/plain"})
        contents = [Bytes(data) for _, data in self._small(repo)]
        content = file.content if file else next((c for c in contents if c.sha256 == sha256), None)
        if content is None:
            return answers.refusal(404, "The blob is not part of the repository")
        return ranged(content, headers.get("range", ""), {"Content-Type": "application/octet-stream"})


def _named(repo: Repo, tag: str) -> File | None:
    """The GGUF file that a tag means: `latest` is the first, any other is part of a name (a quantization)."""
    files = [file for path, file in sorted(repo.main.files.items()) if path.endswith(".gguf") and "mmproj" not in path]
    wanted = [file for file in files if tag == "latest" or tag.lower() in file.path.lower()]
    return wanted[0] if wanted else None


def _row(layer: tuple[str, str, int]) -> dict[str, object]:
    return {"digest": f"sha256:{layer[1]}", "mediaType": layer[0], "size": layer[2]}


def _gguf_file(file: File) -> dict[str, object]:
    lfs = {"sha256": file.content.sha256, "size": file.size, "pointerSize": 134}
    return {"rfilename": file.path, "blobId": file.oid, "size": file.size, "lfs": lfs}
