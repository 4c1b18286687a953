"""What the Python drivers share: the plan, the bytes' digests, one JSON line per feature. Standard library only."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

PLAN = json.loads(Path(os.environ["CONFORMANCE_PLAN"]).read_text("utf-8"))
MOST_S = 90  # one feature
_FEATURES = {}


class Repo:
    """The repo of a role. Checks bytes against what the registry should serve."""

    def __init__(self, told):
        self.told = told
        self.id, self.type, self.commit, self.files = told["id"], told["type"], told["commit"], dict(told["files"])

    def check(self, path, got):
        """Compare the file at `got` (a path, or its bytes) with file `path` of the repo."""
        data = got if isinstance(got, bytes) else Path(got).read_bytes()
        want = self.files[path]
        assert len(data) == want["size"], f"{path}: {len(data)} bytes instead of {want['size']}"
        assert digest(data, want["digest"]) == want["digest"], f"{path}: other bytes than the registry's"
        return data

    def check_folder(self, folder, paths=None):
        """Every file of the repo (or those of `paths`), and no other, lies in `folder` byte by byte."""
        root = Path(folder)
        found = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
        found = {p for p in found if not p.startswith(".cache/")}
        want = set(self.files if paths is None else paths)
        assert found == want, f"missing {sorted(want - found)[:3]}, too many {sorted(found - want)[:3]}"
        for path in want:
            self.check(path, root / path)

    @property
    def weights(self):
        return next(p for p in self.files if p.endswith(".safetensors"))

    @property
    def small(self):
        return "config.json" if "config.json" in self.files else "README.md"


def repo(role):
    return Repo(PLAN["repos"][role])


def digest(data, like):
    """The digest of the bytes in the form of `like`: a sha256, or a git blob id."""
    if len(like) == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def folder():
    """A new, empty folder."""
    return tempfile.mkdtemp(dir=PLAN["scratch"])


def child(code, *arguments, **env):
    """Run Python code in this environment with other variables; what it prints. A failure is an AssertionError with its text."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        check=False,
    )
    last = done.stderr.rsplit("Traceback (most recent call last):", 1)[-1]
    words = "\n".join(line for line in last.splitlines() if line and not line.startswith("  "))
    assert done.returncode == 0, words or f"exit code {done.returncode}"
    return done.stdout


def feature(name):
    """Register the code of a feature. What it returns, if anything, is the detail of a pass; what it raises, a failure."""

    def keep(code):
        _FEATURES[name] = code
        return code

    return keep


def raises(code, *names):
    """Run `code` and return what it raises; it must be one of the exception classes named (of any base class)."""
    try:
        code()
    except BaseException as error:
        classes = {c.__name__ for c in type(error).__mro__}
        if classes & set(names):
            return error
        raise AssertionError(f"{type(error).__name__} instead of {' or '.join(names)}: {error}") from error
    raise AssertionError(f"nothing was raised, {' or '.join(names)} was due")


def shown(error):
    """What a user reads of an exception: its own class and text, not its causes."""
    return f"{type(error).__name__}: {error}".strip()


def say(**line):
    print("\n" + json.dumps(line), file=_OUT, flush=True)


def main(version):
    """Run the features of the plan and say how each went."""
    say(version=version)
    signal.signal(signal.SIGALRM, _too_long)
    for name in PLAN["features"]:
        signal.alarm(MOST_S)
        try:
            detail = _FEATURES[name]() if name in _FEATURES else _unknown(name)
            say(feature=name, ok=True, detail=detail or "")
        except BaseException as error:
            traceback.print_exc()
            say(feature=name, ok=False, detail=shown(error))
        finally:
            signal.alarm(0)


def _too_long(*_):
    raise TimeoutError(f"not done after {MOST_S} s")


def _unknown(name):
    raise LookupError(f"this driver has no code for {name}")


# The lines of the driver go to the real stdout; whatever the client prints goes to stderr.
_OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
with contextlib.suppress(ValueError):
    sys.stdout.reconfigure(line_buffering=True)
