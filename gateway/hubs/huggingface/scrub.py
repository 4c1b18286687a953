"""What of the hub's JSON may leave: known keys, no Xet hashes, no link that leads round the gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# Info keys that clients know (hub-protocol §13.1); a key that the hub invents tomorrow stays here.
INFO_KEYS: Final = frozenset(
    """_id id modelId author sha lastModified createdAt private gated disabled downloads downloadsAllTime likes tags
    pipeline_tag library_name cardData config transformersInfo siblings safetensors gguf spaces usedStorage widgetData
    model-index mask_token inference inferenceProviderMapping baseModels childrenModelCount evalResults trendingScore
    securityRepoStatus description citation paperswithcode_id sdk models datasets""".split()  # noqa: SIM905 - a list of words reads best as words
)
HUB_ORIGINS: Final = ("https://huggingface.co", "https://hf.co")


class Scrub:
    """Cleans JSON values: keys that speak of Xet go, links to the hub become links to `public_url`."""

    def __init__(self, public_url: str, origins: tuple[str, ...] = HUB_ORIGINS) -> None:
        self._public_url = public_url.rstrip("/")
        hosts = sorted({origin.partition("://")[2].rstrip("/") for origin in origins}, key=len, reverse=True)
        # A link without a scheme, or with a name before the host, leads as far as a plain one.
        start = r"(?:https?:)?//(?:[^\s/@\"'<>]*@)?"
        self._own = re.compile(rf"{start}(?:{'|'.join(map(re.escape, hosts))})(?![\w.:-])", re.IGNORECASE)
        self._delivery = re.compile(
            start + r"[\w.-]*\.(?:huggingface\.co|hf\.co|hf\.space)(?::\d+)?[^\s\"'<>)]*", re.IGNORECASE
        )

    def json(self, value: Any) -> Any:
        """A cleaned copy. Its depth is bounded by the reader that took the value from the hub."""
        if isinstance(value, Mapping):
            return {key: self.json(item) for key, item in value.items() if not _speaks_of_xet(key)}
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        if "//" not in value:
            return value
        return self._delivery.sub(self._public_url, self._own.sub(self._public_url, value))


def _speaks_of_xet(key: str) -> bool:
    return key.lower().startswith("xet")
