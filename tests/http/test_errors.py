import json

import pytest
from aiohttp import web

from gateway.domain.errors import LedgerError
from gateway.http.errors import guarded


async def nothing():
    return None


async def test_an_answer_passes_through():
    async def answer():
        return web.Response(status=204)

    assert (await guarded("r-1", answer, nothing)).status == 204


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, RecursionError, MemoryError, AssertionError])
async def test_what_nobody_foresaw_gives_nothing_away(error, capsys):
    async def answer():
        raise error("the secret is hf_abcdefghijklmnop at /srv/state")

    response = await guarded("r-1", answer, nothing)
    assert response.status == 500
    wire = str(response.headers) + response.text
    assert "hf_" not in wire
    assert "/srv" not in wire
    assert error.__name__ not in wire
    assert "r-1" in json.loads(response.text)["error"]
    assert json.loads(response.text)["error"] == response.headers["X-Error-Message"]
    assert "r-1" in "".join(capsys.readouterr())


@pytest.mark.parametrize("error", [ConnectionResetError(), web.HTTPRequestEntityTooLarge(1, 2)])
async def test_a_client_that_left_is_no_fault(error):
    async def answer():
        raise error

    with pytest.raises(type(error)):
        await guarded("r-1", answer, nothing)


async def test_a_fault_is_on_record_before_the_answer_and_a_ledger_that_fails_too_hides_nothing(capsys):
    seen = []

    async def answer():
        raise RuntimeError

    async def record():
        seen.append("on record")

    async def unwritable():
        raise LedgerError("the disk is full")

    assert (await guarded("r-1", answer, record)).status == 500
    assert seen == ["on record"]
    assert (await guarded("r-2", answer, unwritable)).status == 500
    assert "the disk is full" in "".join(capsys.readouterr())
