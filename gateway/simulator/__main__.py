"""`python -m gateway.simulator`: the hub simulator with the sample repos, until it is told to end.

Prints one JSON line when ready: `{"hub_url": …, "cdn_url": …}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from gateway.simulator.faults import Fault
from gateway.simulator.large import large_gguf, large_safetensors, large_torch
from gateway.simulator.samples import sample_world
from gateway.simulator.server import Simulator
from gateway.simulator.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gateway.simulator", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--port", type=int, default=0, help="port of the hub (default: any free one)")
    parser.add_argument("--cdn-port", type=int, default=0, help="port of the CDN (default: any free one)")
    parser.add_argument("--latency-ms", type=float, default=0, help="wait before each answer")
    parser.add_argument("--bandwidth-mb-s", type=float, default=0, help="speed of each CDN answer, in 10^6 bytes/s")
    parser.add_argument(
        "--large-mib",
        type=int,
        action="append",
        default=[],
        metavar="MIB",
        help="also hold bench/torch-MIB, bench/safetensors-MIB and bench/gguf-MIB, generated; may repeat",
    )
    parser.add_argument(
        "--small-files",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="also hold bench/files-N, a repo of N small files; may repeat",
    )
    parser.add_argument("--control", action="store_true", help="answer /.simulator/requests and /.simulator/clear")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(args: argparse.Namespace) -> None:
    world = sample_world()
    for mib in args.large_mib:
        add_large(world, mib)
    for count in args.small_files:
        add_small_files(world, count)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(world, port=args.port, cdn_port=args.cdn_port, control=args.control)
    if args.latency_ms:
        simulator.faults.add(Fault(latency_s=args.latency_ms / 1000))
    if args.bandwidth_mb_s:
        simulator.faults.add(Fault(host="cdn", bandwidth_bytes_s=args.bandwidth_mb_s * 1e6))
    async with simulator:
        print(json.dumps({"hub_url": simulator.hub_url, "cdn_url": simulator.cdn_url}), flush=True)
        await stop.wait()


def add_large(world: World, mib: int) -> None:
    """Add one generated repo per format, each with a weights file of at least `mib` MiB."""
    size = mib << 20
    made = {
        "torch": ("pytorch_model.bin", large_torch(size)),
        "safetensors": ("model.safetensors", large_safetensors(size)),
        "gguf": ("model.gguf", large_gguf(size)),
    }
    for name, (path, content) in made.items():
        repo = world.repo(f"bench/{name}-{mib}", card={"license": "apache-2.0"})
        repo.commit({"README.md": repo.readme(), "config.json": "{}", path: content})


def add_small_files(world: World, count: int) -> None:
    """Add a repo of `count` small text files of 1 to 20 KB."""
    repo = world.repo(f"bench/files-{count}", card={"license": "apache-2.0"})
    files: dict[str, bytes | str] = {f"part-{n:05d}.txt": f"line {n}\n" * (100 + n % 1900) for n in range(count - 1)}
    repo.commit({"README.md": repo.readme(), **files})


if __name__ == "__main__":
    main()
