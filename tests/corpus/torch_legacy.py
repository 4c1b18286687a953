"""torch's legacy checkpoints: five stacked pickles and raw storages, benign and with a payload in each place."""

from __future__ import annotations

import pickle
import struct

from tests.corpus.pickles import SYSTEM

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
_ID = b"(X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05X\x03\x00\x00\x00keyq\x06X\x03\x00\x00\x00cpuq\x07K\x04Ntq\x08Q"
OBJECT = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x06\x00\x00\x00weightq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03("
    + _ID
    + b"K\x00K\x02K\x02\x86q\tK\x02K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\rs."
)
STORAGE = struct.pack("<q4f", 4, 1, 2, 3, 4)


def stack() -> list[bytes]:
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return [MAGIC, pickle.dumps(1001, 2), pickle.dumps(system, 2), OBJECT, pickle.dumps(["key"], 2)]


def benign() -> dict[str, bytes]:
    return {"legacy": b"".join(stack()) + STORAGE}


def malicious() -> dict[str, bytes]:
    samples: dict[str, bytes] = {}
    for place in range(1, 5):
        parts = stack()
        parts[place] = SYSTEM
        samples[f"pickle-{place + 1}"] = b"".join(parts) + STORAGE
    first = stack()
    first[0] = SYSTEM
    samples["pickle-1"] = b"".join(first) + STORAGE
    whole = benign()["legacy"]
    samples["sixth-pickle"] = whole + SYSTEM
    samples["trailing-zip"] = whole + b"PK\x05\x06" + bytes(18)
    samples["short-storage"] = whole[:-4]
    samples["truncated"] = b"".join(stack()[:3])
    samples["evil-storage-class"] = whole.replace(b"ctorch\nFloatStorage", b"cevil\nFloatStorage")
    return samples
