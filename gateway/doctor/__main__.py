"""`python -m gateway.doctor`, and `python path/to/gateway/doctor` where the package is only a folder."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # started as a folder: its own modules must not stand in for the standard library's
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from gateway.doctor.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
