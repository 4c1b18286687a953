"""Each fault bends the answer as it says, on the wire and for the real client."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
import requests
from huggingface_hub import errors

from gateway.simulator import Bytes, Fault, Gate, Simulator, SimulatorThread
from gateway.simulator.faults import (
    deep_json,
    failing,
    huge_json,
    redirected,
    second_read_differs,
    throttled,
)
from tests.simulator.conftest import WEIGHTS, Client

FILE = "demo/tiny/model.safetensors"


def get(sim: SimulatorThread, path: str = f"{FILE}", **options) -> requests.Response:
    url = f"{sim.hub_url}/{path.replace('demo/tiny/', 'demo/tiny/resolve/main/')}"
    return requests.get(url, timeout=20, **options)


def test_corrupt_bytes_have_the_right_length_in_every_range(sim) -> None:
    sim.faults.add(Fault(path=FILE, corrupt_at=1000))
    data = get(sim).content
    assert len(data) == len(WEIGHTS)
    assert data[:1000] == WEIGHTS[:1000]
    assert data[1000] == WEIGHTS[1000] ^ 0xFF
    assert data[1016:] == WEIGHTS[1016:]
    part = get(sim, headers={"Range": "bytes=1008-1019"})
    assert (part.status_code, part.content) == (206, data[1008:1020])


def test_the_real_client_installs_corrupt_bytes(client: Client, sim) -> None:
    """Trap 28 of the protocol notes: nobody but the gateway will notice."""
    sim.faults.add(Fault(path=FILE, corrupt_at=0))
    assert client.download("demo/tiny", "model.safetensors") != WEIGHTS


def test_other_bytes_on_the_second_read(sim) -> None:
    sim.faults.add(second_read_differs(FILE))
    assert get(sim).content == WEIGHTS
    assert get(sim).content != WEIGHTS


def test_other_content_with_an_honest_length(client: Client, sim) -> None:
    sim.faults.add(Fault(path=FILE, content=Bytes(b"short")))
    assert get(sim).content == b"short"
    assert get(sim, headers={"Range": "bytes=1-2"}).headers["Content-Range"] == "bytes 1-2/5"
    with pytest.raises(OSError, match="Consistency check failed"):
        client.download("demo/tiny", "model.safetensors")


def test_truncation_sends_exactly_so_much_then_closes(sim) -> None:
    sim.faults.add(Fault(path=FILE, truncate_at=5000))
    answer = get(sim, stream=True)
    assert answer.headers["Content-Length"] == str(len(WEIGHTS))
    assert len(answer.raw.read(5000)) == 5000
    with pytest.raises(Exception, match="IncompleteRead"):
        answer.raw.read()
    assert sim.bytes_sent(FILE, host="cdn") == 5000


def test_the_real_client_resumes_after_a_cut(client: Client, sim) -> None:
    fault = sim.faults.add(Fault(path="demo/big/big.bin", truncate_at=15 << 20, times=1))
    assert len(client.download("demo/big", "big.bin")) == 25 << 20
    assert fault.hits > 1
    assert [seen.range for seen in sim.traffic.matching(host="cdn")][-1].startswith("bytes=")


def test_reset_breaks_the_connection(sim) -> None:
    sim.faults.add(Fault(path=FILE, reset_at=5000))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(sim)
    assert sim.bytes_sent(FILE, host="cdn") == 5000


def test_drop_answers_nothing(sim) -> None:
    sim.faults.add(Fault(path="/api/models/demo/tiny", drop=True, times=1))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sim.hub_url}/api/models/demo/tiny", timeout=20)
    assert sim.requests[0].status == 0
    assert requests.get(f"{sim.hub_url}/api/models/demo/tiny", timeout=20).status_code == 200


def test_a_gate_holds_the_first_byte_until_it_is_opened(sim) -> None:
    gate = Gate()
    sim.faults.add(Fault(path=FILE, host="cdn", gate=gate))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, sim)
        gate.wait_reached()
        assert not answer.done()
        assert sim.bytes_sent(host="cdn") == 0
        gate.open()
        assert answer.result().content == WEIGHTS


def test_a_stall_gate_holds_the_body_where_it_says(sim) -> None:
    gate = Gate()
    sim.faults.add(Fault(path=FILE, stall_at=4096, stall_gate=gate))
    answer = get(sim, stream=True)
    assert answer.raw.read(4096) == WEIGHTS[:4096]
    gate.wait_reached()
    assert sim.bytes_sent(FILE, host="cdn") == 4096
    gate.open()
    assert answer.raw.read() == WEIGHTS[4096:]


def test_delays_make_the_client_time_out(sim) -> None:
    sim.faults.add(Fault(path="/api/models/demo/tiny", delay_s=60))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sim.hub_url}/api/models/demo/tiny", timeout=0.2)
    sim.faults.clear()
    sim.faults.add(Fault(path=FILE, stall_at=10, stall_s=60))
    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        requests.get(f"{sim.hub_url}/demo/tiny/resolve/main/model.safetensors", timeout=0.2)


def test_an_unreached_gate_says_so() -> None:
    with pytest.raises(TimeoutError, match="no request reached"):
        Gate().wait_reached(0.01)


def test_range_ignored(sim) -> None:
    sim.faults.add(Fault(path=FILE, ignore_range=True))
    answer = get(sim, headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert "Content-Range" not in answer.headers


def test_etag_change(sim) -> None:
    sim.faults.add(Fault(path=FILE, etag="e" * 64))
    head = get(sim, allow_redirects=False)
    assert head.headers["X-Linked-Etag"] == f'"{"e" * 64}"'
    assert get(sim).headers["ETag"] == f'"{"e" * 64}"'


def test_a_swapped_file_changes_under_the_same_commit(sim, world) -> None:
    before = world["demo/tiny"].main.id
    sim.edit(lambda w: w["demo/tiny"].swap("model.safetensors", b"other"))
    answer = get(sim)
    assert answer.content == b"other"
    assert answer.history[0].headers["X-Repo-Commit"] == before


def test_chunked_answers_have_no_length(sim) -> None:
    sim.faults.add(Fault(path=FILE, chunked=True, host="cdn"))
    answer = get(sim)
    assert answer.content == WEIGHTS
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers


def test_throttling_storm_then_service(sim) -> None:
    fault = sim.faults.add(throttled("/api/*", wait_s=7, times=2))
    url = f"{sim.hub_url}/api/models/demo/tiny"
    first = requests.get(url, timeout=20)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert first.headers["RateLimit"] == '"resolvers";r=0;t=7'
    assert "rate limit" in first.json()["error"]
    assert [requests.get(url, timeout=20).status_code for _ in range(2)] == [429, 200]
    assert fault.hits == 3


def test_server_errors(sim, client: Client) -> None:
    with sim.faults.during(failing("/api/*", status=502)), pytest.raises(errors.HfHubHTTPError, match="502"):
        client.api.model_info("demo/tiny")
    assert client.api.model_info("demo/tiny").id == "demo/tiny"


def test_outage_refuses_connections_and_ends(sim) -> None:
    url = f"{sim.hub_url}/api/models/demo/tiny"
    sim.down()
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(url, timeout=20)
    sim.up()
    assert requests.get(url, timeout=20).status_code == 200


def test_an_outage_of_the_cdn_alone_cuts_running_answers(sim) -> None:
    gate = Gate()
    sim.faults.add(Fault(path=FILE, stall_at=4096, stall_gate=gate))
    answer = get(sim, stream=True)
    gate.wait_reached()
    sim.down("cdn")
    with pytest.raises(Exception, match=r"IncompleteRead|reset"):
        answer.raw.read()
    assert get(sim, allow_redirects=False).status_code == 302
    with pytest.raises(requests.ConnectionError):
        get(sim)
    sim.up()
    sim.faults.clear()
    assert get(sim).content == WEIGHTS


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "http://evil.example/x", "file:///etc/passwd"]
)
def test_redirects_anywhere(sim, location: str) -> None:
    sim.faults.add(redirected(FILE, location))
    answer = get(sim, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, location)


def test_the_location_of_a_real_redirect_can_be_replaced(sim) -> None:
    sim.faults.add(Fault(path=FILE, location="http://10.0.0.1/x"))
    answer = get(sim, allow_redirects=False)
    assert answer.headers["Location"] == "http://10.0.0.1/x"
    assert answer.headers["X-Linked-Size"] == str(len(WEIGHTS))


def test_headers_are_set_and_removed(sim) -> None:
    sim.faults.add(Fault(path=FILE, host="hub", headers={"X-Repo-Commit": None, "X-Linked-Size": "7"}))
    answer = get(sim, allow_redirects=False)
    assert "X-Repo-Commit" not in answer.headers
    assert answer.headers["X-Linked-Size"] == "7"


def test_deep_json(sim) -> None:
    sim.faults.add(deep_json("/api/models/demo/tiny", depth=50_000))
    answer = requests.get(f"{sim.hub_url}/api/models/demo/tiny", timeout=20)
    assert answer.headers["Content-Type"].startswith("application/json")
    with pytest.raises(RecursionError):
        json.loads(answer.content)


def test_huge_json_streams_without_a_length(sim) -> None:
    sim.faults.add(huge_json("/api/models/demo/tiny", 300 << 20))
    answer = requests.get(f"{sim.hub_url}/api/models/demo/tiny", stream=True, timeout=20)
    assert "Content-Length" not in answer.headers
    assert len(answer.raw.read(100 << 20)) == 100 << 20
    answer.close()


def test_bandwidth_and_latency_pace_the_body(sim) -> None:
    """Pacing is asserted by what the answer may not have done yet, never by how long a machine took."""
    sim.faults.add(Fault(path="demo/big/big.bin", host="cdn", bandwidth_bytes_s=100_000, latency_s=0.01))
    answer = requests.get(f"{sim.hub_url}/demo/big/resolve/main/big.bin", stream=True, timeout=20)
    assert len(answer.raw.read(10_000)) == 10_000
    answer.close()
    (seen,) = sim.traffic.matching(host="cdn")
    assert 10_000 <= seen.bytes_sent < 25 << 20


def test_faults_count_only_answers_that_carry_the_bytes(sim) -> None:
    fault = sim.faults.add(Fault(path=FILE, truncate_at=1, times=1))
    requests.head(f"{sim.hub_url}/demo/tiny/resolve/main/model.safetensors", allow_redirects=True, timeout=20)
    assert fault.hits == 0
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(sim)
    assert get(sim).content == WEIGHTS


def test_later_faults_win_and_removal_is_exact(sim) -> None:
    first, second = Fault(path="*", status=500), Fault(path="/api/*", status=503)
    sim.faults.add(first, second)
    url = f"{sim.hub_url}/api/models/demo/tiny"
    assert requests.get(url, timeout=20).status_code == 503
    sim.faults.remove(second)
    assert requests.get(url, timeout=20).status_code == 500
    sim.faults.clear()
    assert requests.get(url, timeout=20).status_code == 200


async def test_the_async_simulator_shares_the_tests_loop(world) -> None:
    gate = Gate()
    async with Simulator(world) as sim, aiohttp.ClientSession() as session:
        sim.faults.add(Fault(path=FILE, host="cdn", gate=gate))

        async def read() -> bytes:
            async with session.get(f"{sim.hub_url}/demo/tiny/resolve/main/model.safetensors") as answer:
                return await answer.read()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read()) for _ in range(3)]
            await gate.reached()
            assert not any(task.done() for task in tasks)
            gate.open()
        assert {task.result() for task in tasks} == {WEIGHTS}
        world["demo/tiny"].commit({"config.json": "moved"})
        async with session.get(f"{sim.hub_url}/demo/tiny/resolve/main/config.json") as answer:
            assert await answer.text() == "moved"
        assert len(sim.traffic.matching(host="cdn")) == 3


def test_leaving_the_simulator_ends_its_thread_even_with_a_request_at_a_gate(world) -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        with SimulatorThread(world) as sim:
            sim.faults.add(Fault(path=FILE, gate=gate))
            answer = pool.submit(get, sim)
            gate.wait_reached()
        # What the client saw depends on how far the last answer came; that it saw an end is the point.
        answer.exception(timeout=20)
    assert "hub simulator" not in {thread.name for thread in threading.enumerate()}
