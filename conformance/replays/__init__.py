"""Clients that cannot run here, by the requests that they send: `ALL`, each with `run(endpoint, subject, outcome)`.

The sequences are those of hub-protocol §4.2 and §7.3, read in the clients' sources or observed. A step that fails
names what that client would have missed. Standard library only: point it at any endpoint.
"""

from conformance.replays.gguf_runners import LLAMA_CPP, OLD_LLAMA_CPP, OLLAMA_PULL
from conformance.replays.python_servers import HF_TRANSFER, TGI, VLLM
from conformance.replays.replay import ALLOWED, FILE_DENIED, OUTCOMES, PENDING, REPO_DENIED, Ask, Replay, Step, Subject
from conformance.replays.rust_and_js import HF_HUB_0, HF_HUB_1, JS_HUB, TEI

ALL: tuple[Replay, ...] = (
    VLLM, TGI, LLAMA_CPP, OLD_LLAMA_CPP, OLLAMA_PULL, HF_HUB_0, HF_HUB_1, TEI, JS_HUB, HF_TRANSFER,
)  # fmt: skip
BY_NAME = {replay.name: replay for replay in ALL}

__all__ = [
    "ALL",
    "ALLOWED",
    "BY_NAME",
    "FILE_DENIED",
    "OUTCOMES",
    "PENDING",
    "REPO_DENIED",
    "Ask",
    "Replay",
    "Step",
    "Subject",
]
