"""Files of any size in real formats, of which only headers are held: for tests and benchmarks of large files."""

from __future__ import annotations

import io
import zipfile

from gateway.simulator.builders import (
    FLOAT_BYTES,
    ZIP_DATE,
    gguf_head,
    safetensors_header,
    state_dict_pickle,
)
from gateway.simulator.content import PIECE_BYTES, Sparse, filler

_TENSOR_BYTES = 64 << 20


def large_safetensors(size_bytes: int, seed: int = 1) -> Sparse:
    """A valid safetensors file of at least `size_bytes` (up to 64 MiB of tensor more), tensor data as filler."""
    header = safetensors_header(_tensors(size_bytes))
    return Sparse(len(header) + _data_bytes(size_bytes), ((0, header),), seed)


def large_gguf(size_bytes: int, template: str = "{{ messages }}", seed: int = 2) -> Sparse:
    """A valid GGUF file of at least `size_bytes`."""
    metadata = {"general.architecture": "llama", "tokenizer.chat_template": template}
    head, sizes = gguf_head(metadata, _tensors(size_bytes))
    return Sparse(len(head) + sum(sizes), ((0, head),), seed)


def large_torch(size_bytes: int, data_pkl: bytes | None = None, seed: int = 3) -> Sparse:
    """A torch checkpoint of at least `size_bytes`, zip64 where needed, with right checksums: about 1 s per GiB.

    `data_pkl` replaces the honest pickle, as in `builders.torch_zip`.
    """
    tensors = _tensors(size_bytes)
    recorder = _Recorder(seed)
    with zipfile.ZipFile(recorder, "w", zipfile.ZIP_STORED) as archive:
        pickle = state_dict_pickle(tensors) if data_pkl is None else data_pkl
        for name, data in (("data.pkl", pickle), ("byteorder", b"little")):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", ZIP_DATE), data)
        for index in range(len(tensors)):
            with archive.open(zipfile.ZipInfo(f"archive/data/{index}", ZIP_DATE), "w") as member:
                for _ in range(0, _TENSOR_BYTES, PIECE_BYTES):
                    recorder.expect_filler = True
                    member.write(filler(seed, recorder.tell(), PIECE_BYTES))
        archive.writestr(zipfile.ZipInfo("archive/version", ZIP_DATE), b"3\n")
    return recorder.content()


def _tensors(size_bytes: int) -> dict[str, tuple[int, int]]:
    shape = (_TENSOR_BYTES // FLOAT_BYTES // 1024, 1024)
    return {f"layers.{index}.weight": shape for index in range(_data_bytes(size_bytes) // _TENSOR_BYTES)}


def _data_bytes(size_bytes: int) -> int:
    return -(-size_bytes // _TENSOR_BYTES) * _TENSOR_BYTES


class _Recorder(io.RawIOBase):
    """A file that keeps what is written to it, except announced filler, of which it only counts the bytes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.expect_filler = False
        self._seed = seed
        self._at = self._end = 0
        self._kept: dict[int, bytes] = {}

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        return self._at

    def write(self, data: object) -> int:
        raw = bytes(data)  # type: ignore[call-overload]
        if not self.expect_filler:
            self._kept[self._at] = raw
        self.expect_filler = False
        self._at += len(raw)
        self._end = max(self._end, self._at)
        return len(raw)

    def content(self) -> Sparse:
        return Sparse(self._end, tuple(self._kept.items()), self._seed)
