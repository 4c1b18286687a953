"""Import paths in configurations that run commands or code when called."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MODULES = _words(
    "os posix nt subprocess sys builtins __builtin__ runpy importlib pty shutil socket ctypes _ctypes pickle _pickle "
    "cPickle dill cloudpickle joblib marshal shelve code codeop pdb timeit platform webbrowser http urllib requests "
    "pip multiprocessing threading asyncio operator functools types _posixsubprocess commands popen2 pydoc tempfile "
    "io _io"
)
_NAMES = _words("system popen exec eval compile execfile __import__ run_module check_output spawn loads read_pickle")


def runs_commands(target: str) -> bool:
    """True where a dotted import path begins in a module that reaches the system, or ends in a name that runs code."""
    parts = target.replace(":", ".").strip().split(".")
    return parts[0] in _MODULES or parts[-1] in _NAMES or any(part.startswith("__") for part in parts)
