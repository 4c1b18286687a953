"""The simulator as a process of its own, so that a benchmark does not share its interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Self
from urllib.request import Request, urlopen


class SimulatorProcess:
    """`with SimulatorProcess("--large-mib", "2048") as sim:` runs `python -m gateway.simulator` with these options.

    Raises RuntimeError where it ends before it is ready.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self.hub_url = ""
        self.cdn_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "gateway.simulator", "--control", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.stdout.close()
            msg = f"the hub simulator ended with code {self._process.wait()} before it was ready"
            raise RuntimeError(msg)
        urls = json.loads(line)
        self.hub_url, self.cdn_url = urls["hub_url"], urls["cdn_url"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def requests(self) -> list[dict[str, Any]]:
        """The requests seen, as `SeenRequest.as_json` gives them."""
        with urlopen(f"{self.hub_url}/.simulator/requests") as answer:  # noqa: S310 - our own loopback URL
            return list(json.load(answer))

    def clear(self) -> None:
        """Forget the requests seen."""
        with urlopen(Request(f"{self.hub_url}/.simulator/clear", method="POST")):  # noqa: S310 - our own loopback URL
            pass
