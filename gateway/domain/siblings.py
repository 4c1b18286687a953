"""Facts about a file that its name and its neighbours tell: the format guess, and the safetensors twin.

A guess only orders the work and words the policy's question; the format that counts is read from the bytes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.artifact import FileEntry
from gateway.domain.evidence import FileFacts

_SUFFIXES: Final[Mapping[str, str]] = {
    "safetensors": ".safetensors",
    "gguf": ".gguf",
    "torch-zip": ".bin .pt .pth .ckpt .pt2 .ptl .t7",
    "pickle": ".pkl .pickle .pck .pcl .dill .cloudpickle",
    "joblib": ".joblib",
    "zip": ".zip .whl .egg .jar .mar",
    "json": ".json .jsonl .ndjson .ipynb .geojson",
    "python": ".py .pyw .pyi",
    "markdown": ".md .markdown",
    "csv": ".csv .tsv",
    "yaml": ".yaml .yml",
    "parquet": ".parquet",
    "arrow": ".arrow .feather",
    "image": ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .ico",
    "audio": ".wav .mp3 .flac .ogg .opus .m4a",
    "sentencepiece": ".model .spm",
    "numpy": ".npy",
    "npz": ".npz",
    "keras": ".keras",
    "hdf5": ".h5 .hdf5 .hdf",
    "onnx": ".onnx .ort",
    "tensorflow": ".pb",
    "tflite": ".tflite .lite",
    "tar": ".tar .nemo",
    "gzip": ".gz .tgz",
    "7z": ".7z",
    "executable": ".exe .dll .so .dylib .com .msi .scr .pyd .node",
    "text": ".txt .jinja .jinja2 .toml .cfg .ini .log .rst .tex .bib .vocab .merges .html .htm .xml .svg .css .js "
    ".mjs .ts .sh .bash .bat .ps1 .c .h .cc .cpp .cu .rs .go .java .rb .pl .lock .tmpl .template .gitignore "
    ".gitattributes",
}
_BY_SUFFIX: Final = {suffix: word for word, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_TEXT_NAMES: Final = frozenset(
    {"license", "licence", "readme", "notice", "authors", "makefile", "dockerfile", "merges"}
)

# `pytorch_model[.variant][-00001-of-00002].bin`, also with the variant after the shard number.
_WEIGHTS = re.compile(
    r"(?P<base>pytorch_model|model|adapter_model|diffusion_pytorch_model)"
    r"(?:\.(?P<before>[A-Za-z][\w-]*?))?"
    r"(?:-(?P<shard>\d{5})-of-(?P<total>\d{5}))?"
    r"(?:\.(?P<after>[A-Za-z]\w*))?"
    r"\.(?P<suffix>bin|safetensors)"
)
_TWIN_BASE: Final = {
    "pytorch_model": "model",
    "adapter_model": "adapter_model",
    "diffusion_pytorch_model": "diffusion_pytorch_model",
}
_EMPTY_SAFETENSORS_BYTES: Final = 8  # the length word alone: such a file carries no weights


@dataclass(frozen=True, slots=True)
class _Weights:
    """A weight file's name, taken apart. `shard` and `total` are 0 for an unsharded file."""

    folder: str
    base: str
    variant: str
    shard: int
    total: int
    is_safetensors: bool


def format_guess(path: str) -> str:
    """The format word that the name suggests; "unknown" where it suggests none."""
    name = path.rpartition("/")[2].lower()
    if name.startswith("openvino_") and name.endswith(".bin"):
        return "unknown"
    dot = name.rfind(".")
    if dot < 0:
        return "text" if name in _TEXT_NAMES else "unknown"
    return _BY_SUFFIX.get(name[dot:], "unknown")


def file_facts(entries: Iterable[FileEntry]) -> tuple[FileFacts, ...]:
    """Every file with its guess ("empty" for a file of 0 bytes) and its twin, in the order given."""
    entries = tuple(entries)
    twins = _twins(entries)
    return tuple(
        FileFacts(e, format_guess(e.path) if e.size_bytes else "empty", twins.get(e.path, "")) for e in entries
    )


def _twins(entries: tuple[FileEntry, ...]) -> dict[str, str]:
    """Pickled weights → the safetensors file of the same folder that carries the same load."""
    paths = {entry.path for entry in entries}
    named = [(entry, weights) for entry in entries if (weights := _weights(entry.path)) is not None]
    loads: dict[tuple[str, str, str], dict[tuple[int, int], str]] = defaultdict(dict)
    for entry, weights in named:
        if weights.is_safetensors and entry.size_bytes > _EMPTY_SAFETENSORS_BYTES:
            loads[weights.folder, weights.base, weights.variant][weights.shard, weights.total] = entry.path
    twins = {}
    for entry, weights in named:
        if weights.is_safetensors or weights.base not in _TWIN_BASE:
            continue
        base = _TWIN_BASE[weights.base]
        load = loads.get((weights.folder, base, weights.variant), {})
        if twin := _twin(weights, load, _index_path(weights.folder, base, weights.variant) in paths):
            twins[entry.path] = twin
    return twins


def _twin(weights: _Weights, load: Mapping[tuple[int, int], str], is_indexed: bool) -> str:
    """The unsharded file, else the shard of a full, indexed set: a load with a gap would fall back to the pickle."""
    if (0, 0) in load:
        return load[0, 0]
    if not is_indexed:
        return ""
    totals = sorted({total for _, total in load}, key=lambda total: (total != weights.total, total))
    for total in totals:
        if total and sum(1 for shard, of in load if of == total and 1 <= shard <= total) == total:
            return load[weights.shard if weights.total == total and weights.shard else 1, total]
    return ""


def _weights(path: str) -> _Weights | None:
    folder, _, name = path.rpartition("/")
    match = _WEIGHTS.fullmatch(name)
    if match is None or (match["before"] and match["after"]):
        return None
    shard, total = int(match["shard"] or 0), int(match["total"] or 0)
    if match["total"] and not 1 <= shard <= total:
        return None
    variant = match["before"] or match["after"] or ""
    return _Weights(folder, match["base"], variant, shard, total, match["suffix"] == "safetensors")


def _index_path(folder: str, base: str, variant: str) -> str:
    name = f"{base}.safetensors.index.{variant}.json" if variant else f"{base}.safetensors.index.json"
    return f"{folder}/{name}" if folder else name
