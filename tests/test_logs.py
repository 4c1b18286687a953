"""Logs are one JSON object per line whatever is logged, by whichever library, and hold no secret."""

import json
import subprocess
import sys

SCRIPT = """
import asyncio, logging, structlog, warnings
from gateway import logs
lines = logs.configure({level!r}, {form!r})
log = structlog.get_logger("t")
secret = "hf_" + "Zz9" * 11
log.info("plain", path="a\\nb\\u202e\\x00", raw=b"\\xff\\n" + secret.encode(), value=object, number=1 << 70, key={{1: secret}})
log.warning("secrets", authorization="Bearer abc", url=f"https://u:{{secret}}@h/?token={{secret}}", text=f"Bearer {{secret}}")
log.debug("quiet")
try:
    raise RuntimeError(f"line one\\nline two {{secret}}")
except RuntimeError:
    log.exception("broke")
    logging.getLogger("aiohttp.server").exception("unhandled\\nin two lines %s", secret)
logging.getLogger("some.library").warning("a warning of a library\\nwith %s", secret)
logging.getLogger("some.library").info("chatter")
surrogate = "\\ud800 lone"
log.info("surrogate", path=surrogate)
async def main():
    log.info("inside a loop")
    asyncio.get_running_loop().call_exception_handler({{"message": "task failed\\nbadly", "exception": ValueError(secret)}})
asyncio.run(main())
lines.drain()
"""


def run(level="info", form="json"):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(level=level, form=form)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()


def test_every_line_is_one_json_object_without_a_secret():
    text = run()
    events = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(event, dict) and event["event"] and event["level"] and event["timestamp"] for event in events)
    assert "Zz9Zz9" not in text
    names = [event["event"] for event in events]
    for name in ("plain", "secrets", "broke", "surrogate", "inside a loop"):
        assert name in names
    assert "quiet" not in names
    assert not any("chatter" in str(event) for event in events)
    broke = next(event for event in events if event["event"] == "broke")
    assert "RuntimeError" in broke["exception"]


def test_what_libraries_log_is_kept_in_the_same_form():
    events = [json.loads(line) for line in run().splitlines()]
    found = {event.get("logger"): event for event in events if event.get("logger")}
    assert "unhandled" in str(found["aiohttp.server"])
    assert "RuntimeError" in found["aiohttp.server"]["exception"]
    assert "a warning of a library" in str(found["some.library"])
    assert "task failed" in str(found["asyncio"])


def test_the_level_is_kept():
    names = [json.loads(line)["event"] for line in run(level="error").splitlines()]
    assert "plain" not in names
    assert "broke" in names


def test_the_console_form_holds_no_secret_either():
    text = run(form="console")
    assert "plain" in text
    assert "Zz9Zz9" not in text
