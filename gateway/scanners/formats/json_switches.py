"""What a JSON file may make a loader do: import code, call a name, render a template, open a path.

The names are those that transformers, diffusers, sentence-transformers, peft, hydra, keras, kernels and jsonpickle
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gateway.domain.evidence import Finding, FindingClass, Severity
from gateway.scanners.formats.import_targets import runs_commands
from gateway.scanners.formats.printable import printable
from gateway.scanners.formats.shard_index import weight_map_findings
from gateway.scanners.formats.templates import check_template

_MAX_TEMPLATES = 64
_MAX_FINDINGS = 200

_SENTENCE_MODULE = re.compile(r"sentence_transformers(?:\.[A-Za-z_]\w*)+\Z")
_TRUSTED_PARENT = re.compile(
    r"(?:transformers|diffusers|peft|torch|timm|sentence_transformers|__main__)(?:\.[A-Za-z_]\w*)*\Z"
)
# Whole libraries and the folders of diffusers.pipelines that a model_index.json may name.
_PIPELINE_LIBRARY_NAMES = """
    diffusers transformers onnxruntime.training peft
    stable_diffusion stable_diffusion_xl stable_diffusion_safe stable_diffusion_k_diffusion stable_unclip unclip
    deepfloyd_if shap_e kandinsky kandinsky2_2 audioldm audioldm2 musicldm paint_by_example wuerstchen unidiffuser
    stable_cascade latent_diffusion latent_consistency_models alt_diffusion versatile_diffusion spectrogram_diffusion
    controlnet controlnet_xs text_to_video_synthesis blip_diffusion ledits_pp semantic_stable_diffusion ltx ltx2 flux
    hunyuandit stable_audio cogvideo cogview3 lumina
"""
_PIPELINE_LIBRARIES = frozenset(_PIPELINE_LIBRARY_NAMES.split())
_JSONPICKLE = frozenset({"py/object", "py/reduce", "py/type", "py/function", "py/newargs", "py/newargsex", "py/repr"})
_ATTENTION = frozenset(
    {"attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation"}
)
_PIPELINE_INDEXES = frozenset({"model_index.json", "modular_model_index.json"})
EVERY_VALUE = "\0every value"


def _strings(value: Any) -> Iterator[str]:
    """All strings in a value, however nested."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _remote(rule: str, message: str, symbol: str) -> Finding:
    return Finding(f"json.{rule}", FindingClass.REMOTE_CODE, Severity.HIGH, message, symbol=printable(symbol))


def _auto_map(value: Any, _where: str) -> Iterator[Finding]:
    if isinstance(value, dict | list | str):
        targets = sorted(set(_strings(value)))
        for target in targets:
            foreign = "--" in target
            message = (
                "auto_map names code of another repository" if foreign else "auto_map names code of the repository"
            )
            yield _remote("auto-map-foreign" if foreign else "auto-map", message, target)
        if not targets and value:
            yield _remote("auto-map", "auto_map in a shape that no loader writes", "")


def _switch(rule: str, message: str) -> Callable[[Any, str], Iterator[Finding]]:
    def find(value: Any, _where: str) -> Iterator[Finding]:
        if isinstance(value, str | dict | list) and value:
            for symbol in sorted(set(_strings(value)))[:20] or [""]:
                yield _remote(rule, message, symbol)
        elif value is True or (type(value) in (int, float) and rule == "trust-remote-code" and value):
            yield _remote(rule, message, "")

    return find


def _target(value: Any, _where: str) -> Iterator[Finding]:
    for name in sorted(set(_strings(value))):
        if runs_commands(name):
            message = "a `_target_` that runs commands or code"
            yield Finding("json.target", FindingClass.CODE_EXEC, Severity.CRITICAL, message, symbol=printable(name))
        else:
            yield _remote("target", "a `_target_`: the loader imports and calls what it names", name)


def _class_name(value: Any, _where: str) -> Iterator[Finding]:
    if isinstance(value, list) or (isinstance(value, str) and not value.isidentifier()):
        yield _remote("custom-pipeline", "`_class_name` names a class outside the library", " ".join(_strings(value)))


def _keras_class(value: Any, _where: str) -> Iterator[Finding]:
    if value in ("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda"):
        message = "a Keras layer that carries code"
        yield Finding("json.keras-lambda", FindingClass.CODE_EXEC, Severity.CRITICAL, message, symbol=printable(value))


def _parent_library(value: Any, _where: str) -> Iterator[Finding]:
    if isinstance(value, str) and not _TRUSTED_PARENT.match(value):
        yield _remote("parent-library", "the adapter makes the loader import a module by name", value)


def _attention(value: Any, _where: str) -> Iterator[Finding]:
    for name in _strings(value):
        if "/" in name:
            yield _remote("kernel", "names a kernel repository, whose code the loader fetches and runs", name)


def _jsonpickle(_value: Any, where: str) -> Iterator[Finding]:
    message = "a jsonpickle mark: the loader builds any class it names"
    yield Finding("json.jsonpickle", FindingClass.CODE_EXEC, Severity.CRITICAL, message, symbol=where)


def _template(value: Any, where: str) -> Iterator[Finding]:
    texts = list(_strings(value))
    if len(texts) > 2 * _MAX_TEMPLATES:
        yield Finding("template.count", FindingClass.DOS, Severity.HIGH, "more than 64 chat templates", where)
    for text in texts[: 2 * _MAX_TEMPLATES]:
        yield from check_template(text, where)


_BY_KEY: dict[str, Callable[[Any, str], Iterator[Finding]]] = {
    "auto_map": _auto_map,
    "custom_pipelines": _switch("custom-pipeline", "names a custom pipeline"),
    "custom_pipeline": _switch("custom-pipeline", "names a custom pipeline"),
    "trust_remote_code": _switch("trust-remote-code", "asks the loader to trust code of the repository"),
    "custom_generate": _switch("custom-generate", "names custom generation code"),
    "_target_": _target,
    "_class_name": _class_name,
    "class_name": _keras_class,
    "parent_library": _parent_library,
    "use_kernels": _switch("kernel", "asks the loader for kernels of the hub"),
    "kernel_config": _switch("kernel", "names a kernel repository, whose code the loader fetches and runs"),
    "weight_map": weight_map_findings,
    **dict.fromkeys(_ATTENTION, _attention),
    **dict.fromkeys(_JSONPICKLE, _jsonpickle),
}


def findings_of(value: Any, path: str) -> list[Finding]:
    """Findings of a parsed JSON value, by content alone, but for two files known by name (model_index, notebooks)."""
    found: dict[tuple[str, str, str, str], Finding] = {}
    for finding in _all_findings(value, path):
        if len(found) >= _MAX_FINDINGS:
            break
        found.setdefault((finding.rule, finding.symbol, finding.location, finding.message), finding)
    worst_first = {Severity.CRITICAL: 0, Severity.HIGH: 1}
    return sorted(found.values(), key=lambda f: worst_first.get(f.severity, 2))


def _all_findings(value: Any, path: str) -> Iterator[Finding]:
    yield from _root_findings(value, path)
    pending = [value]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            yield from _object_findings(item)
            pending.extend(v for v in item.values() if type(v) is dict or type(v) is list)
        elif type(item) is list:
            pending.extend(v for v in item if type(v) is dict or type(v) is list)


def _object_findings(item: dict[str, Any]) -> Iterator[Finding]:
    if EVERY_VALUE in item:  # a key stands twice: judge every value under every key, whichever a reader takes
        keys = [key for key in item if key in _BY_KEY or "chat_template" in key]
        for key in keys:
            for value in item[EVERY_VALUE]:
                yield from _by_key(key, value)
        return
    if len(item) > len(_BY_KEY):
        keys = [key for key in _BY_KEY if key in item]
        keys += [key for key in item if "chat_template" in key]
    else:
        keys = [key for key in item if key in _BY_KEY or "chat_template" in key]
    for key in keys:
        yield from _by_key(key, item[key])


def _by_key(key: str, value: Any) -> Iterator[Finding]:
    find = _BY_KEY.get(key, _template)
    yield from find(value, printable(key))


def _root_findings(value: Any, path: str) -> Iterator[Finding]:
    name = path.rsplit("/", 1)[-1].lower()
    if name.endswith(".ipynb") or (isinstance(value, dict) and "nbformat" in value and "cells" in value):
        yield _remote("notebook", "a notebook: its cells are code, approve by sha256", "")
    if isinstance(value, list):
        yield from _sentence_modules(value)
    if isinstance(value, dict) and ("_diffusers_version" in value or name in _PIPELINE_INDEXES):
        yield from _pipeline_parts(value)


def _sentence_modules(value: list[Any]) -> Iterator[Finding]:
    """modules.json of sentence-transformers: a list of {idx, name, path, type}; the loader imports each `type`."""
    for module in value:
        if isinstance(module, dict) and "type" in module and ("idx" in module or "path" in module):
            kind = module["type"]
            if not isinstance(kind, str) or not _SENTENCE_MODULE.match(kind):
                message = "a module type outside sentence_transformers: the loader imports it"
                yield _remote("sentence-module", message, str(kind)[:200])
            folder = module.get("path", "")
            if isinstance(folder, str) and (folder.startswith(("/", "\\")) or ".." in folder or ":" in folder):
                message = "a module path that leads out of the repository"
                yield Finding(
                    "json.module-path", FindingClass.TRAVERSAL, Severity.CRITICAL, message, symbol=printable(folder)
                )


def _pipeline_parts(value: dict[str, Any]) -> Iterator[Finding]:
    """Indexes of diffusers: each part is [library, class(, spec)]; another library is a module that is imported."""
    for key, part in value.items():
        if key.startswith("_") or not (isinstance(part, list) and len(part) in {2, 3}):
            continue
        library = part[0]
        if isinstance(library, str) and isinstance(part[1], str) and library not in _PIPELINE_LIBRARIES:
            yield _remote(
                "pipeline-part", "a pipeline part of a library that is not diffusers or transformers", library
            )
