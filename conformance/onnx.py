"""An ONNX file small enough to write by hand (onnx.proto; protocol buffers, lengths below 128)."""

from __future__ import annotations


def identity(name: str) -> bytes:
    """The smallest graph that a runtime takes: one Identity. Written by hand after onnx.proto."""

    def part(number: int, value: bytes | int) -> bytes:
        if isinstance(value, int):
            return bytes([number << 3, value])
        return bytes([number << 3 | 2, len(value)]) + value

    def value_info(label: str) -> bytes:
        shape = part(1, part(1, 1))
        tensor = part(1, 1) + part(2, shape)
        return part(1, label.encode()) + part(2, part(1, tensor))

    node = part(1, b"input_ids") + part(2, b"last_hidden_state") + part(4, b"Identity")
    graph = (
        part(1, node) + part(2, name.encode()) + part(11, value_info("input_ids"))
        + part(12, value_info("last_hidden_state"))
    )  # fmt: skip
    return part(1, 8) + part(2, b"gateway") + part(7, graph) + part(8, part(1, b"") + part(2, 13))
