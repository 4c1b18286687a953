"""Does a file that claims to be text begin like a pickle that imports and calls something?

Protocol 0 pickles are plain ASCII, so "is text" alone proves nothing. The rule is a stack-depth machine over the opcode
table of the standard library: it never builds a value, takes no argument apart, and so is as lenient as the C unpickler
is.
"""

from __future__ import annotations

import pickletools
import re

_MAX_OPCODES = 200_000  # a padded stream of more no-ops than this is no text either: see begins_like_pickle
_NAME = re.compile(rb"[A-Za-z_][\w.]*\Z")
_OPCODES = {op.code: op for op in pickletools.opcodes}
_CALLS = frozenset("Rob\x81\x92")
_IMPORTS = frozenset("\x93\x82\x83\x84")
_LINE, _ARG1, _ARG4, _ARG4U, _ARG8U = -1, -2, -3, -4, -5


def _argument_end(data: bytes, pos: int, kind: int, lines: int) -> int:
    """Offset after the argument that starts at `pos`; -1 where the bytes end first."""
    if kind >= 0:
        return pos + kind if pos + kind <= len(data) else -1
    if kind == _LINE:
        for _ in range(lines):
            pos = data.find(b"\n", pos) + 1
            if pos == 0:
                return -1
        return pos
    width = {_ARG1: 1, _ARG4: 4, _ARG4U: 4, _ARG8U: 8}[kind]
    end = pos + width + int.from_bytes(data[pos : pos + width], "little")
    return end if end <= len(data) else -1


def _apply(op: pickletools.OpcodeInfo, stack: list[bool]) -> bool:
    """Apply one opcode to a stack of "is a mark" flags. False where the opcode cannot run on that stack."""
    before = op.stack_before
    if pickletools.markobject in before:
        if True not in stack:
            return False
        while not stack.pop():
            pass
        below = before.index(pickletools.markobject)
    else:
        below = len(before)
    if below > len(stack) or (op.code != "0" and any(stack[len(stack) - below :])):
        return False
    del stack[len(stack) - below :]
    stack.extend(obj is pickletools.markobject for obj in op.stack_after)
    return True


def begins_like_pickle(data: bytes) -> bool:
    """True where `data`, read as a pickle from its first byte, imports a name and then calls, builds or stops.

    Also true for more than 200,000 valid opcodes in a row: no text reads like that, a padded pickle does.
    """
    pos, stack, imported = 0, list[bool](), False
    for _ in range(_MAX_OPCODES):
        op = _OPCODES.get(data[pos : pos + 1].decode("latin-1"))
        if op is None:
            return False
        start = pos + 1
        pos = start if op.arg is None else _argument_end(data, start, op.arg.n, 2 if op.code in "ci" else 1)
        if pos < 0 or (op.code in "ci" and not all(_NAME.match(part) for part in data[start:pos].split(b"\n")[:2])):
            return False
        if op.code == ".":
            return imported
        if not _apply(op, stack):
            return False
        imported = imported or op.code in "ci" or op.code in _IMPORTS
        if op.code == "i" or (imported and op.code in _CALLS):
            return True
    return True
