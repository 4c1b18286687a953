"""What the runner knows of a client."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DRIVERS = Path(__file__).resolve().parent / "drivers"


@dataclass(frozen=True, slots=True)
class Client:
    """One client in one configuration.

    `driver`: the argument list that starts it; `{python}` is the interpreter of the environment `venv` (of this
    process where there is none), `{drivers}` the folder of the drivers, `{root}` the project. `env` is added to a
    clean environment. `also`: an environment whose packages are visible after its own. `needs`: programs on PATH.
    `via`: "" for the plain endpoints, or the way in front of the gateway that it is sent through ("tls-path").
    `limit_s`: the whole driver is ended then.
    """

    name: str
    title: str
    family: str
    driver: tuple[str, ...]
    features: tuple[str, ...]
    venv: str = ""
    env: dict[str, str] = field(default_factory=dict)
    also: str = ""
    needs: tuple[str, ...] = ()
    limit_s: float = 300.0
    via: str = ""

    @property
    def python(self) -> Path:
        return ROOT / ".venvs" / self.venv / "bin/python"

    def missing(self) -> str:
        """What it cannot run without and is not here, in words; "" where all is there."""
        for venv in filter(None, (self.venv, self.also)):
            if not (ROOT / f".venvs/{venv}/bin/python").exists():
                return f"its environment .venvs/{venv} is not built (make clients)"
        lost = [program for program in self.needs if not on_path(program)]
        return f"{', '.join(lost)} is not installed (make tools)" if lost else ""

    def command(self, interpreter: str) -> list[str]:
        python = str(self.python) if self.venv else interpreter
        return [part.format(python=python, drivers=DRIVERS, root=ROOT) for part in self.driver]


def on_path(program: str) -> str | None:
    """Where a program is: in .tools/bin or on PATH. With a slash it is a file or folder of the project."""
    if "/" in program:
        return program if (ROOT / program).exists() else None
    own = ROOT / ".tools/bin" / program
    return str(own) if own.is_file() else shutil.which(program)
