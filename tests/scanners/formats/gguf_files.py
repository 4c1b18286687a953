"""Builds GGUF files for tests, well-formed and hostile."""

import struct


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def kv(key, value):
    """A metadata pair; the type follows from the Python value."""
    if isinstance(value, bool):
        return text(key) + struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, list):
        if value and isinstance(value[0], float):
            return text(key) + struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return text(key) + struct.pack("<I", 8) + text(value)


def tensor(name, shape, kind, offset):
    return (
        text(name)
        + struct.pack("<I", len(shape))
        + struct.pack(f"<{len(shape)}Q", *shape)
        + struct.pack("<IQ", kind, offset)
    )


def gguf(pairs=(), infos=(), data=b"", *, version=3, alignment=32, keys=None, tensors=None):
    head = b"GGUF" + struct.pack(
        "<IQQ", version, len(infos) if tensors is None else tensors, len(pairs) if keys is None else keys
    )
    meta = head + b"".join(pairs) + b"".join(infos)
    pad = b"\0" * (-len(meta) % alignment) if data else b""
    return meta + pad + data


def model(template="{{ messages[0].content }}", extra=(), **options):
    pairs = [
        kv("general.architecture", "llama"),
        kv("llama.block_count", 2),
        kv("tokenizer.ggml.tokens", [f"tok{i}" for i in range(100)]),
        kv("tokenizer.ggml.scores", [0.5] * 100),
        kv("tokenizer.ggml.add_bos_token", True),
        kv("llama.rope.freq_base", 10000.0),
        kv("tokenizer.chat_template", template),
        *extra,
    ]
    infos = [tensor("token_embd.weight", (4, 8), 0, 0), tensor("output.weight", (32, 2), 8, 128)]
    return gguf(pairs, infos, b"\1" * (128 + 68 + 28), **options)
