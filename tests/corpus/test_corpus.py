"""0 malicious samples may be judged complete without a blocking finding; benign ones must be, with none.

Each sample goes through the same entry that a worker runs. `LYING` repeats pickles under names that promise data.
"""

from __future__ import annotations

import io

import numpy as np
import pytest

from gateway.domain.evidence import FindingClass, Surface
from gateway.scanners.budget import READ_BYTES
from gateway.scanners.reader import BytesReader, Inspection
from gateway.scanners.registry import inspect
from tests.corpus import hidden, other_formats, pickles, torch_legacy, zips

BLOCKING = {
    FindingClass.CODE_EXEC,
    FindingClass.UNKNOWN_GLOBAL,
    FindingClass.AMBIGUITY,
    FindingClass.FILE,
    FindingClass.NETWORK,
    FindingClass.TRAVERSAL,
}
EXTENSIONS = ["bin", "pt", "pth", "ckpt", "pkl", "pickle", "joblib", "dat", "model", "th", "npy", "h5", "onnx", "dill"]
PROMISES = ["safetensors", "gguf", "json", "txt", "md", "csv", "yaml", "png", "parquet", "onnx", "npy", "py"]

MALICIOUS = {
    **{f"pickle/{name}.pkl": data for name, data in pickles.malicious().items()},
    **{f"extension/model.{ext}": pickles.call("posix", "system", "true") for ext in EXTENSIONS},
    **{f"extension/text.{ext}": pickles.SYSTEM for ext in [*EXTENSIONS, "noext"]},
    **{f"lying/model.{ext}": pickles.SYSTEM for ext in PROMISES},
    **{f"lying/binary.{ext}": pickles.call("posix", "system", "true") for ext in PROMISES},
    **{f"torch/{name}.pt": data for name, data in zips.malicious_torch().items()},
    **{f"torch-legacy/{name}.bin": data for name, data in torch_legacy.malicious().items()},
    **{f"zip/{name}.zip": data for name, data in zips.hostile_zip().items()},
    **{f"safetensors/{name}.safetensors": data for name, data in other_formats.hostile_safetensors().items()},
    **{f"polyglot/{name}": data for name, data in other_formats.polyglots().items()},
    **{f"other/{name}": data for name, data in other_formats.not_judged().items()},
}


def _array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(10.0))
    return out.getvalue()


BENIGN = {
    **{f"pickle/{name}.pkl": data for name, data in pickles.benign().items()},
    **{f"torch/{name}.pt": data for name, data in zips.benign_torch().items()},
    **{f"torch-legacy/{name}.bin": data for name, data in torch_legacy.benign().items()},
    **{f"safetensors/{name}.safetensors": data for name, data in other_formats.benign_safetensors().items()},
    "numpy/plain.npy": _array(),
}


def look(path: str, data: bytes) -> Inspection:
    return inspect(BytesReader(data), path, READ_BYTES)


@pytest.mark.parametrize("path", MALICIOUS)
def test_no_malicious_sample_is_judged_clean(path: str) -> None:
    seen = look(path, MALICIOUS[path])
    blocked = seen.coverage.surface is not Surface.COMPLETE or any(f.cls in BLOCKING for f in seen.findings)
    assert blocked, seen


@pytest.mark.parametrize("path", hidden.samples())
def test_a_hidden_pickle_is_refused_even_where_formats_that_nobody_judges_are_let_through(path: str) -> None:
    seen = look(path, hidden.samples()[path])
    begun = seen.coverage.surface in {Surface.PARTIAL, Surface.FAILED}
    assert begun or any(f.cls in BLOCKING for f in seen.findings), seen


@pytest.mark.parametrize("path", hidden.harmless())
def test_compressed_data_without_a_pickle_is_only_not_judged(path: str) -> None:
    seen = look(path, hidden.harmless()[path])
    assert seen.coverage.surface is Surface.NOT_RUN
    assert seen.findings == ()


@pytest.mark.parametrize("path", BENIGN)
def test_benign_samples_are_complete_and_without_findings(path: str) -> None:
    seen = look(path, BENIGN[path])
    assert seen.coverage.surface is Surface.COMPLETE, seen
    assert seen.findings == ()


# What each technique must be seen as: the class, not only that something was odd.
EXPECTED = {
    **{f"pickle/system-protocol-{p}.pkl": FindingClass.CODE_EXEC for p in range(6)},
    "pickle/gadget-_io.open.pkl": FindingClass.FILE,
    "pickle/gadget-urllib.request.urlopen.pkl": FindingClass.NETWORK,
    "pickle/gadget-evil.payload.pkl": FindingClass.UNKNOWN_GLOBAL,
    "pickle/gadget-py2-__builtin__.eval.pkl": FindingClass.CODE_EXEC,
    "pickle/build-on-function.pkl": FindingClass.CODE_EXEC,
    "pickle/computed-callable.pkl": FindingClass.CODE_EXEC,
    "pickle/computed-module.pkl": FindingClass.CODE_EXEC,
    "pickle/extension-1.pkl": FindingClass.CODE_EXEC,
    "pickle/hex-int.pkl": FindingClass.CODE_EXEC,
    "pickle/hex-long.pkl": FindingClass.CODE_EXEC,
    "pickle/runs-then-breaks.pkl": FindingClass.CODE_EXEC,
    "pickle/no-op-flood.pkl": FindingClass.CODE_EXEC,
    "pickle/padding-3-mib.pkl": FindingClass.CODE_EXEC,
    "pickle/second-stream.pkl": FindingClass.CODE_EXEC,
    "pickle/benign-with-zip-trailer.pkl": FindingClass.AMBIGUITY,
    "pickle/inst.pkl": FindingClass.CODE_EXEC,
    "pickle/obj.pkl": FindingClass.CODE_EXEC,
    "pickle/memo-overwrite.pkl": FindingClass.CODE_EXEC,
    "pickle/pop-decoy.pkl": FindingClass.CODE_EXEC,
    "torch/data-pkl.pt": FindingClass.CODE_EXEC,
    "torch/duplicate-first.pt": FindingClass.AMBIGUITY,
    "torch/case-shadow.pt": FindingClass.AMBIGUITY,
    "torch/benign-appended.pt": FindingClass.AMBIGUITY,
    "torch/benign-in-comment.pt": FindingClass.AMBIGUITY,
    "torch/local-name-differs.pt": FindingClass.AMBIGUITY,
    "torch/traversal.pt": FindingClass.TRAVERSAL,
    "torch/symlink.pt": FindingClass.TRAVERSAL,
    "torch/bad-crc-benign.pt": FindingClass.AMBIGUITY,
    "torch/callable-persistent-id.pt": FindingClass.CODE_EXEC,
    "torch/script-io.pt": FindingClass.FILE,
    "torch/bomb.pt": FindingClass.DOS,
    "torch-legacy/pickle-2.bin": FindingClass.CODE_EXEC,
    "torch-legacy/pickle-5.bin": FindingClass.CODE_EXEC,
    "torch-legacy/sixth-pickle.bin": FindingClass.AMBIGUITY,
    "lying/model.safetensors": FindingClass.AMBIGUITY,
    "lying/model.txt": FindingClass.AMBIGUITY,
    "polyglot/tar.bin": FindingClass.AMBIGUITY,
    "polyglot/pickle.bin": FindingClass.AMBIGUITY,
    **{f"other/model.pkl.{ext}": FindingClass.CODE_EXEC for ext in ("gz", "z", "bz2", "xz", "lzma")},
    "other/double.pkl.gz": FindingClass.CODE_EXEC,
    "zip/mar.zip": FindingClass.CODE_EXEC,
    "zip/other-name.zip": FindingClass.CODE_EXEC,
    "other/evil-object.npy": FindingClass.CODE_EXEC,
    "other/evil-objects.npz": FindingClass.CODE_EXEC,
    "other/torch-tar.pt": FindingClass.AMBIGUITY,
    "other/program": FindingClass.EMBEDDED_EXE,
    "zip/slip.zip": FindingClass.TRAVERSAL,
    "safetensors/duplicate-key.safetensors": FindingClass.AMBIGUITY,
}


@pytest.mark.parametrize(("path", "expected"), EXPECTED.items())
def test_each_technique_is_seen_as_what_it_is(path: str, expected: FindingClass) -> None:
    assert expected in {finding.cls for finding in look(path, MALICIOUS[path]).findings}


def test_findings_are_one_short_printable_line() -> None:
    for path, data in MALICIOUS.items():
        for finding in look(path, data).findings:
            assert len(finding.message) <= 200
            assert (finding.message + finding.location + finding.symbol).isprintable()
