"""How many records a second `audit verify` checks: the audit trail and the files of live requests. Limit: at least 100,000 a second
over both, on one core. Missing it is said, and ends with exit code 1.

    python perf/audit_verify.py [--json] [--records 200000]

Half of the records are of the trail (diverted requests, as the gateway writes them), half of the files (served requests, in files
of 8 MB). The time is of the checks that the command does, without starting Python; the best of three.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from selfopt.gateway.ticket import RequestRecord, Ticket
from selfopt.home import (
    GENESIS_HASH,
    SEGMENT_SCHEMA_VERSION,
    AuditEvent,
    ChainedFile,
    Seal,
    chain_line,
    read_seals,
    segment_name,
    verify_segments,
)

LIMIT_PER_S = 100_000
SEGMENT_BYTES = 8_000_000
WRITER = "0123456789"


def served(number: int) -> RequestRecord:
    """One request's record, as long as usual."""
    ticket = Ticket(0.0)
    ticket.model = ticket.served = "local/qwen2.5-coder-0.5b"
    ticket.phase, ticket.variant, ticket.outcome = "atomic", "few_shot_constrained", "served"
    ticket.input_tokens, ticket.output_tokens = 300 + number % 100, 20 + number % 10
    return ticket.record("2026-01-02T03:04:05.678Z", 0.123456, 200)


def write_requests(folder: Path, n: int) -> list[Seal]:
    """Files of n records in all, and their seals."""
    head, seals, number, left = GENESIS_HASH, [], 0, n
    while left:
        number += 1
        told = {"kind": "segment", "schema_version": SEGMENT_SCHEMA_VERSION, "writer": WRITER, "number": number}
        line, head = chain_line(msgspec.json.encode(told), head)
        lines, size = [line], len(line)
        while left and size < SEGMENT_BYTES:
            line, head = chain_line(msgspec.json.encode(served(left)), head)
            lines.append(line)
            size += len(line)
            left -= 1
        (folder / segment_name(WRITER, number)).write_bytes(b"".join(lines))
        seals.append(Seal(segment_name(WRITER, number), len(lines), head, True))
    return seals


def diverted(number: int) -> AuditEvent:
    """One diverted request, as the gateway tells the trail."""
    details = {
        "request_id": f"req-0123456789{number:014x}",
        "attempts": [{"model": "local/smollm2-135m", "ms": 12.345, "fault": "timeout"}],
        "stream": False,
    }
    return AuditEvent(
        "diverted",
        {
            "original_model": "local/smollm2-135m",
            "fallback": "local/qwen2.5-coder-0.5b",
            "phase": "atomic",
            "reason": "local/smollm2-135m failed: timeout",
            "rule_id": "rule-0123456789abcdef",
            "config_version": 7,
            "evidence": ("rec-0123456789abcdef",),
            "details": details,
        },
    )


def measure(n: int) -> dict[str, object]:
    """Write n records, check them three times."""
    with tempfile.TemporaryDirectory() as name:
        trail = ChainedFile(Path(name) / "routing_decisions.jsonl")
        folder = Path(name) / "requests"
        folder.mkdir()
        seals = write_requests(folder, n // 2)
        trail.append_all([*map(diverted, range(n - n // 2 - len(seals))), *(seal.event("rotation") for seal in seals)])
        trail_s, files_s = [], []
        for _ in range(3):
            began = time.perf_counter()
            report = trail.verify()
            between = time.perf_counter()
            requests = verify_segments(folder, read_seals(trail))
            files_s.append(time.perf_counter() - between)
            trail_s.append(between - began)
            assert report.ok, report
            assert requests.ok, requests
    rate = (report.n + requests.n) / min(map(sum, zip(trail_s, files_s, strict=True)))
    return {
        "records": report.n + requests.n,
        "trail_per_s": round(report.n / min(trail_s)),
        "requests_per_s": round(requests.n / min(files_s)),
        "both_per_s": round(rate),
        "limit_per_s": LIMIT_PER_S,
        "met": rate >= LIMIT_PER_S,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--records", type=int, default=200_000)
    arguments = parser.parse_args()
    figures = measure(max(arguments.records, 10))
    if arguments.as_json:
        print(json.dumps(figures))
    else:
        print(f"audit trail: {figures['trail_per_s']:,} records/s; live requests: {figures['requests_per_s']:,} records/s")
        verdict = "met" if figures["met"] else "MISSED"
        print(f"both: {figures['both_per_s']:,} records/s over {figures['records']:,} (limit {LIMIT_PER_S:,}: {verdict})")
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
