"""The symbolic machine against CPython's own unpicklers, and against streams made to mislead it."""

from __future__ import annotations

import pickle
import struct

import pytest

from gateway.scanners.formats.pickle_machine import OpcodeBudget, Program, run
from gateway.scanners.reader import BytesReader
from tests.corpus.pickles import SYSTEM, glob, short, stack_global
from tests.scanners.formats import pickle_streams

HARD = {"malformed", "limit", "opcode-budget"}


def straddles(program: Program) -> bool:
    """Frames that operands cross mean different things to different unpicklers; that itself is the finding."""
    return any(event.rule == "pickle.frame-straddle" for event in program.events)


def follow(data: bytes, opcodes: int = 4_000_000) -> Program:
    return run(BytesReader(data), 0, OpcodeBudget(opcodes))


@pytest.mark.parametrize("block", range(20))
def test_every_name_that_a_real_unpickler_asks_for_is_seen(block: int) -> None:
    asked = 0
    for seed in range(block * 500, (block + 1) * 500):
        data = pickle_streams.stream(seed)
        program = follow(data)
        seen = set(program.globals)
        for load in (pickle_streams.load_c, pickle_streams.load_python):
            names, _ = load(data)
            asked += len(names)
            assert set(names) <= seen or straddles(program), (seed, load.__name__, data)
    assert asked > 100


def test_the_c_unpickler_and_the_machine_stop_at_the_same_byte() -> None:
    agreed = 0
    for seed in range(20_000, 24_000):
        data = pickle_streams.stream(seed)
        _, stopped = pickle_streams.load_c(data + b"tail")
        if not stopped:
            continue
        program = follow(data + b"tail")
        if program.end == "stopped":
            agreed += 1
            assert data[program.end_offset - 1 : program.end_offset] == b"."
    assert agreed > 20


@pytest.mark.parametrize("protocol", range(6))
def test_real_pickles_of_every_protocol_end_with_stopped(protocol: int) -> None:
    import pickle

    data = pickle.dumps([{"a": (1, 2.5, None, True)}, {3}, b"x" * 300, "é", 1 << 90, frozenset([1])], protocol)
    program = follow(data)
    assert (program.end, program.end_offset) == ("stopped", len(data))


@pytest.mark.parametrize(
    ("data", "uses"),
    [
        (glob("a", "b") + b".", {"import"}),
        (glob("a", "b") + b")R.", {"import", "call"}),
        (glob("a", "b") + b")\x81.", {"import", "new"}),
        (b"\x80\x04" + stack_global("a", "b") + b")}\x92.", {"import", "new"}),
        (glob("a", "b") + b")\x81}b.", {"import", "new", "build"}),
        (glob("c", "d") + b"(" + glob("a", "b") + b"tR.", {"import", "arg"}),
        (b"]" + glob("a", "b") + b"a.", {"import", "arg"}),
        (b"(ia\nb\n.", {"import", "call"}),
        (b"(" + glob("a", "b") + b"o.", {"import", "call"}),
    ],
)
def test_each_global_is_recorded_with_its_use(data: bytes, uses: set[str]) -> None:
    assert follow(data).globals["a", "b"].uses == uses


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (glob("a", "b") + b"}b.", "pickle.build-on-global"),
        (glob("a", "b") + b")R)R.", "pickle.computed-callable"),
        (b"Px\n)R.", "pickle.computed-callable"),
        (b"\x80\x04" + glob("a", "b") + b")R" + short("x") + b"\x93.", "pickle.computed-name"),
        (b"\x80\x02\x82\x01.", "pickle.extension"),
        (b"\x80\x02\x83\x01\x00.", "pickle.extension"),
        (b"\x80\x05\x97.", "pickle.out-of-band"),
        (glob("a", "b") + b"Na.", "pickle.method-on-global"),
        (b"Nr\xff\xff\xff\xff.", "pickle.memo-index"),
        (glob("_codecs", "encode") + b"(Vx\nVzlib\ntR.", "pickle.codec"),
        (glob("builtins", "bytearray") + b"J\xff\xff\xff\x7f\x85R.", "pickle.allocation"),
    ],
)
def test_what_plain_data_does_not_do_is_an_event(data: bytes, rule: str) -> None:
    assert rule in {event.rule for event in follow(data).events}


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"(", b"0.", b"N", b"R.", b"a.", b"]Na", b"(1", b"t.", b"1.", b"(.", b"N(a.", b"\x80\x06N.",
        b"\x80", b"h\x00.", b"g5\n.", b"g-1\n.", b"Izz\n.", b"I\n.", b"Fx\n.", b"S'a\n.", b"Sa\n.", b"S'\\x'\n.",
        b"T\xff\xff\xff\xff.", b"\x8b\xff\xff\xff\xff.", b"X\x05\x00\x00\x00ab.", b"C\xffab.", b"B\xff\xff\xff\xff.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x8c\x02\xff\xff.",
        b"K\x01K\x02\x93.", b"NNs.", b"\xffN.",
        b"cos\n", b"c\xff\xff\nx\n.", b"(o.", b"V\\u12\n.", b"P\xff\n.",
    ],
)  # fmt: skip
def test_a_broken_stream_is_malformed_and_never_raises(data: bytes) -> None:
    assert follow(data).end == "malformed"


@pytest.mark.parametrize("data", [b"NNR.", b"]}b.", b"(Nd.", b"](Nu.", b"NNNs.", b"NN\x81.", b"NNN\x92.", b"NNa."])
def test_what_one_unpickler_refuses_and_another_may_not_is_a_doubt(data: bytes) -> None:
    assert follow(data).doubts > 0


def test_what_ran_before_the_break_stays() -> None:
    program = follow(SYSTEM[:-1] + b"\xff")
    assert program.end == "malformed"
    assert program.globals["posix", "system"].uses == {"import", "call"}


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 200_000])
def test_long_text_lines_are_stepped_over(length: int) -> None:
    for opcode, filler in ((b"V", b"x"), (b"I", b"0"), (b"L", b"0"), (b"F", b"0"), (b"S", b"'")):
        program = follow(opcode + filler * length + b"\n0" + SYSTEM)
        assert ("posix", "system") in program.globals, opcode


def test_a_name_longer_than_any_real_one_is_a_limit_not_a_break() -> None:
    assert follow(b"c" + b"a" * 200_000 + b"\nx\n.").end == "limit"
    assert follow(b"(" * 100_001 + SYSTEM).end == "limit"


def test_operands_are_hopped_not_read() -> None:
    class Counting(BytesReader):
        seen = 0

        def read(self, offset: int, length: int) -> bytes:
            data = super().read(offset, length)
            self.seen += len(data)
            return data

    data = b"\x80\x03B" + struct.pack("<I", 50_000_000) + bytes(50_000_000) + b"0" + SYSTEM
    reader = Counting(data)
    program = run(reader, 0, OpcodeBudget())
    assert ("posix", "system") in program.globals
    assert reader.seen < 200_000


def test_the_opcode_budget_is_shared_and_ends_the_look() -> None:
    budget = OpcodeBudget(10)
    assert run(BytesReader(b"N0N0N."), 0, budget).end == "stopped"
    assert run(BytesReader(b"N0N0N0N0N."), 0, budget).end == "opcode-budget"


def test_deep_nesting_does_not_recurse() -> None:
    assert follow(b")" + b"\x85" * 300_000 + b".").end == "stopped"
    assert follow(b"]" * 1 + b"2a" * 1 + b".").end == "stopped"


@pytest.mark.parametrize(
    "data",
    [
        b"})" + b"2\x86" * 40 + b"Ns.",
        b"}N\x85" + b"2\x86" * 40 + b"Ns.",
        b"}(" + b")" * 17 + b"t" + (b"2" * 1 + b"2\x87") * 40 + b"Ns.",
        b"cbuiltins\nlist\ncbuiltins\nrange\n\x8a\x06\x00\x00\x00\x00\x00\x10\x85R\x85R.",
        b"cbuiltins\nint\ncdecimal\nDecimal\nU\x0b1e999999999\x85R\x85R.",
    ],
)
def test_what_is_small_and_never_ends_in_a_loader_is_told(data: bytes) -> None:
    assert "pickle.expansion" in {event.rule for event in follow(data).events}


def test_nested_tuples_of_ordinary_size_are_plain() -> None:
    assert follow(pickle.dumps([((i, i), (i, (i, "x"))) for i in range(1000)])).events == []


def test_long_numbers_keep_their_value() -> None:
    assert follow(b"\x8a\x05\x00\x00\x00\x00\x01.").top == 1 << 32
