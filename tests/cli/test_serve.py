"""The line that `gateway serve` prints once it serves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXPOSED = "[server]\nunsafe_allow_exposed = true\n"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--listen", "127.0.0.1:0"], r"gateway: serving on (http://127\.0\.0\.1:\d+)  \(HF_ENDPOINT=\1\)"),
        (
            ["--listen", "0.0.0.0:0"],
            r"gateway: serving on http://0\.0\.0\.0:\d+  \(name the address .* --public-url\)",
        ),
        (
            ["--listen", "0.0.0.0:0", "--public-url", "https://models.example"],
            r"gateway: serving on http://0\.0\.0\.0:\d+  \(HF_ENDPOINT=https://models\.example\)",
        ),
    ],
)
def test_it_names_what_developers_can_set(tmp_path: Path, flags: list[str], line: str) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(EXPOSED)
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config), "--state", str(tmp_path / "state")]
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert re.fullmatch(line, said), said
