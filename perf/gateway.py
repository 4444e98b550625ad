"""The gateway's figures beside those of other gateways, in one run on this machine.

    python perf/gateway.py [--quick | --full] [--part NAME ...] [--no-peers] [--json]

A fixed upstream (perf/gateway_parts/upstream.py) stands behind all of them. Ours runs as anybody starts it, with keys, rules, a promoted variant, records on
disk and metrics; the peers come from their registries into environments of their own in the cache folder (LiteLLM and TensorZero from PyPI, Portkey from npm), once. Load is made by wrk
(Debian: `apt-get install wrk`). The gateway under measurement has one core, upstream and load generator the other.

--quick, the default, takes two to three minutes; --full about half an hour, with 200,000 requests and a soak of ten minutes. Parts: memory, load, latency, commit, metrics, faults, soak, and, with --full or by name, hostile.
A figure that could not be measured is listed as open with the reason, and an aim that is missed is said; neither is a failure. CPU time a request and the ratios hardly depend on
what else the machine does; requests a second and latencies do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from gateway_parts.ours import fixed_world, our_gateway
from gateway_parts.parts import PARTS, Bench, Sizes
from gateway_parts.peers import PEERS, Peer, running
from gateway_parts.processes import GATEWAY_CORE, OTHER_CORE, start_upstream
from gateway_parts.table import Table

NEED_PEERS = ("memory", "load", "latency")


def measured(parts: list[str], sizes: Sizes, *, with_peers: bool) -> Table:
    """All parts in the order of PARTS."""
    table = Table()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="selfopt-perf-")))
        upstream, url = start_upstream(folder)
        stack.callback(upstream.end)
        peers: dict[str, Peer] = {}
        for name in PEERS if with_peers and any(part in NEED_PEERS for part in parts) else ():
            try:
                peers[name] = stack.enter_context(running(name, folder / name, url))
            except RuntimeError as error:
                table.open[name] = str(error)
        ours = stack.enter_context(our_gateway(folder / "ours", fixed_world(url)))
        bench = Bench(folder, sizes, upstream, url, ours, peers, table)
        for name, part in PARTS.items():
            if name in parts:
                try:
                    part(bench)
                except RuntimeError as error:
                    table.open[name] = str(error)
    return table


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="figures of the gateway beside those of others")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the default")
    size.add_argument("--full", action="store_true", help="everything as long as the figures ask for: about half an hour")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--no-peers", action="store_true", help="install and run no other gateway")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args()
    os.sched_setaffinity(0, {OTHER_CORE})
    usual = list(PARTS) if options.full else [part for part in PARTS if part != "hostile"]
    sizes = Sizes.full() if options.full else Sizes()
    table = measured(options.part or usual, sizes, with_peers=not options.no_peers)
    load_average = [round(x, 2) for x in os.getloadavg()]
    if options.json:
        rows = [row.as_json() for row in table.rows]
        print(json.dumps({"rows": rows, "open": table.open, "load_average": load_average}, indent=2))
        return 0
    print(table.text(list(PEERS)))
    alone = "" if GATEWAY_CORE != OTHER_CORE else "; one core only: gateway, upstream and load generator share it"
    print(f"load average {load_average[0]:g} at the end{alone}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
