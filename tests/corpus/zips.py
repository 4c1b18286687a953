"""Zip archives written byte by byte, so that each rule can be broken on its own. Payloads are inert and never loaded."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field, replace

from tests.corpus.pickles import BENIGN, SYSTEM

DESCRIPTOR, UTF8 = 0x0008, 0x0800


@dataclass(frozen=True)
class Entry:
    """One member; the `local_*` and `central_*` values override what an honest writer would put there."""

    name: str
    data: bytes
    method: int = 0
    flags: int = 0
    central_flags: int | None = None
    local_name: str | None = None
    local_method: int | None = None
    crc: int | None = None
    external: int = 0
    made_by: int = 0
    extra: bytes = b""
    local_extra: bytes = b""


@dataclass(frozen=True)
class Archive:
    """A whole archive and the lies of its end record."""

    entries: list[Entry] = field(default_factory=list)
    prefix: bytes = b""
    between: bytes = b""
    comment: bytes = b""
    suffix: bytes = b""
    count: int | None = None
    zip64: bool = False
    zip64_count: int | None = None
    before_end: bytes = b""

    def build(self) -> bytes:
        out, central = bytearray(self.prefix), bytearray()
        for entry in self.entries:
            offset = len(out)
            body = _deflate(entry.data) if entry.method == 8 else entry.data
            crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
            deferred = bool(entry.flags & DESCRIPTOR)
            sizes = (0, 0, 0) if deferred else (crc, len(body), len(entry.data))
            local_name = (entry.local_name or entry.name).encode()
            method = entry.method if entry.local_method is None else entry.local_method
            out += struct.pack(
                "<4s5H3I2H",
                b"PK\x03\x04",
                20,
                entry.flags,
                method,
                0,
                0,
                *sizes,
                len(local_name),
                len(entry.local_extra),
            )
            out += local_name + entry.local_extra + body
            if deferred:
                out += struct.pack("<4s3I", b"PK\x07\x08", crc, len(body), len(entry.data))
            out += self.between
            flags = entry.flags if entry.central_flags is None else entry.central_flags
            name = entry.name.encode()
            central += struct.pack(
                "<4s6H3I5H2I", b"PK\x01\x02", entry.made_by << 8 | 20, 20, flags, entry.method, 0, 0, crc, len(body), len(entry.data),
                len(name), len(entry.extra), 0, 0, 0, entry.external, offset,
            ) + name + entry.extra  # fmt: skip
        directory = len(out)
        out += central + self.before_end
        count = len(self.entries) if self.count is None else self.count
        if self.zip64:
            end64 = len(out)
            count64 = count if self.zip64_count is None else self.zip64_count
            out += struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count64, count64, len(central), directory)
            out += struct.pack("<4sIQI", b"PK\x06\x07", 0, end64, 1)
        out += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(central), directory, len(self.comment))
        return bytes(out + self.comment + self.suffix)


def _deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


# A state dict as torch writes it: OrderedDict of tensors over storages named by persistent ids.
STATE_DICT = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x06\x00\x00\x00weightq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03"
    b"((X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07K\x04tq\x08Q"
    b"K\x00K\x02K\x02\x86q\tK\x02K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\rs."
)
WEIGHTS = struct.pack("<4f", 1, 2, 3, 4)


def checkpoint(data_pkl: bytes = STATE_DICT, root: str = "archive", flags: int = DESCRIPTOR | UTF8) -> list[Entry]:
    """The members of a torch checkpoint, with torch's flags, padding and descriptors."""
    padding = b"FB" + struct.pack("<H", 20) + b"Z" * 20
    return [
        Entry(f"{root}/data.pkl", data_pkl, flags=flags, local_extra=padding),
        Entry(f"{root}/.format_version", b"1", flags=flags),
        Entry(f"{root}/byteorder", b"little", flags=flags),
        Entry(f"{root}/data/0", WEIGHTS, flags=flags, local_extra=padding),
        Entry(f"{root}/version", b"3\n", flags=flags),
        Entry(f"{root}/.data/serialization_id", b"0" * 40, flags=flags),
    ]


def torch_zip(data_pkl: bytes = STATE_DICT, **archive: object) -> bytes:
    return Archive(checkpoint(data_pkl), zip64=True, **archive).build()  # type: ignore[arg-type]


def _with(index: int, **changes: object) -> bytes:
    entries = checkpoint()
    entries[index] = replace(entries[index], **changes)  # type: ignore[arg-type]
    return Archive(entries, zip64=True).build()


def _plus(*entries: Entry, data_pkl: bytes = STATE_DICT) -> bytes:
    return Archive([*checkpoint(data_pkl), *entries], zip64=True).build()


def malicious_torch() -> dict[str, bytes]:
    """Checkpoints that run something in torch, or that readers disagree about."""
    bad = torch_zip(SYSTEM)
    sep = "archive/"
    return {
        "data-pkl": bad,
        "data-pkl-deflated": Archive([replace(e, method=8, flags=0) for e in checkpoint(SYSTEM)]).build(),
        "hex-int": torch_zip(b"I0x10\n0" + SYSTEM),
        "runs-then-breaks": torch_zip(SYSTEM[:-1] + b"\xff"),
        "utf8-string": torch_zip(b"S'\xc3\xa9'\n0" + SYSTEM),
        "second-stream": torch_zip(STATE_DICT + SYSTEM),
        "bad-crc": _with(0, crc=1, data=SYSTEM),
        "bad-crc-benign": _with(0, crc=1),
        "bad-crc-version": _with(4, crc=1),
        **{f"flag-{bit:#x}": _with(0, flags=DESCRIPTOR | UTF8 | bit) for bit in (0x1, 0x10, 0x20, 0x40, 0x2000)},
        **{f"central-flag-{bit:#x}": _with(0, central_flags=DESCRIPTOR | UTF8 | bit) for bit in (0x1, 0x20, 0x40)},
        "local-flags-differ": _with(0, central_flags=UTF8),
        "local-name-differs": _with(0, local_name="archive/date.pkl"),
        "local-method-differs": _with(0, local_method=8),
        "duplicate-first": Archive([*checkpoint(SYSTEM), checkpoint()[0], checkpoint()[1]], zip64=True).build(),
        "duplicate-last": _plus(Entry(sep + "data.pkl", SYSTEM)),
        "case-shadow": _plus(Entry(sep + "DATA.PKL", SYSTEM)),
        "upper-case-only": Archive([Entry("archive/DATA.PKL", SYSTEM), *checkpoint()[1:]], zip64=True).build(),
        "upper-case-only-protocol-4": Archive([Entry("archive/DATA.PKL", b"\x80\x04" + SYSTEM)]).build(),
        "benign-appended": bad + torch_zip(),
        "benign-in-comment": Archive(checkpoint(SYSTEM), comment=torch_zip()).build(),
        "malicious-appended": torch_zip() + bad,
        "pickle-prefix": SYSTEM + torch_zip(),
        "pickle-prefix-rebased": Archive(checkpoint(), prefix=SYSTEM, zip64=True).build(),
        "prefix": Archive(checkpoint(), prefix=bytes(16), zip64=True).build(),
        "suffix": torch_zip(suffix=bytes(10)),
        "between": torch_zip(between=SYSTEM),
        "before-end": torch_zip(before_end=bytes(8)),
        "count-too-small": Archive(checkpoint(), count=3).build(),
        "count-too-large": Archive(checkpoint(), count=9).build(),
        "zip64-disagrees": torch_zip(zip64_count=2),
        "two-roots": _plus(Entry("other/data.pkl", SYSTEM)),
        "backslash": _plus(Entry("archive\\data.pkl", SYSTEM)),
        "traversal": _plus(Entry("archive/../../etc/x", b"x")),
        "absolute": _plus(Entry("/etc/cron.d/x", b"x")),
        "symlink": _plus(Entry(sep + "version2", b"/etc/passwd", made_by=3, external=0o120777 << 16)),
        "extra-pickle": _plus(Entry(sep + "extra.pkl", SYSTEM)),
        "unknown-member": _plus(Entry(sep + "hook.bin", SYSTEM)),
        "pickle-in-storage-name": _plus(Entry(sep + "data/evil.pkl", SYSTEM)),
        "compressed-storage": Archive([replace(e, method=8, flags=0) for e in checkpoint()]).build(),
        "missing-storage": Archive([e for e in checkpoint() if e.name != sep + "data/0"], zip64=True).build(),
        "bad-persistent-id": torch_zip(b"\x80\x02X\x03\x00\x00\x00fooQ."),
        "callable-persistent-id": torch_zip(STATE_DICT.replace(b"ctorch\nFloatStorage\n", b"cposix\nsystem\n")),
        "traversal-key": torch_zip(STATE_DICT.replace(b"X\x01\x00\x00\x000q\x06", b"X\x05\x00\x00\x00../..q\x06")),
        "bomb": Archive([Entry("archive/data.pkl", bytes(300 << 20), method=8)]).build(),
        "bomb-stored-by-ratio": Archive([Entry("archive/data.pkl", b"\x80\x02" + b"N0" * (8 << 20) + b"N.", method=8)]).build(),
        "script-io": _plus(Entry(sep + "code/__torch__.py", b"x = torch.from_file('/etc/passwd')"), Entry(sep + "constants.pkl", BENIGN)),
        "constants-pkl": _plus(Entry(sep + "constants.pkl", SYSTEM)),
        "zip-trailer": torch_zip() + b"PK\x05\x06" + bytes(18),
        "member-outside-directory": Archive(checkpoint(), between=Archive([Entry("archive/data.pkl", SYSTEM)]).build()[:80]).build(),
    }  # fmt: skip


def hostile_zip() -> dict[str, bytes]:
    """Zips that are no checkpoints: they may never be judged complete."""
    inner = Archive([Entry("data.pkl.bak", SYSTEM)]).build()
    return {
        "mar": Archive([Entry("handler.py", b"import os"), Entry("MAR-INF/MANIFEST.json", b"{}"), Entry("model.pt", SYSTEM)]).build(),
        "other-name": Archive([Entry("notes.md", SYSTEM)]).build(),
        "slip": Archive([Entry("../../x", b"x")]).build(),
        "nested": Archive([Entry("inner.zip", inner, method=8)]).build(),
        "npz-object": Archive([Entry("a.npy", b"\x93NUMPY\x01\x00" + SYSTEM)]).build(),
        "keras": Archive([Entry("config.json", b"{}"), Entry("metadata.json", b"{}"), Entry("model.weights.h5", b"")]).build(),
        "many": Archive([Entry(f"m{i}", b"") for i in range(51_000)]).build(),
        "empty": b"PK\x05\x06" + bytes(18),
        "overlap": _overlap(),
        "broken": Archive(checkpoint()).build()[:-5],
    }  # fmt: skip


def _overlap() -> bytes:
    """Two entries over one member (the shape of an overlapping bomb)."""
    data = bytearray(Archive([Entry("a", b"x" * 50), Entry("b", b"x" * 50)]).build())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = bytes(4)
    return bytes(data)


def benign_torch() -> dict[str, bytes]:
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as file:
        for entry in checkpoint():
            file.writestr(entry.name, entry.data)
    return {
        "torch": torch_zip(),
        "torch-other-root": Archive(checkpoint(root="pytorch_model"), zip64=True).build(),
        "torch-no-zip64": Archive(checkpoint()).build(),
        "repacked-by-python": plain.getvalue(),
        "deflated-notes": Archive(
            [e if "/data/" in e.name else replace(e, method=8, flags=0) for e in checkpoint()]
        ).build(),
    }
