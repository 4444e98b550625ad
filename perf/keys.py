"""What API keys with budgets add to a request, and how long a gateway adds up what they spent before it listens.

    python perf/keys.py [--requests 20000] [--records 1000000] [--json]

One process, one core, no network. A request of a thousand keys with budgets and rates is found by its key, let in, held for one
attempt and settled, beside the same request of one key without any terms, of a thousand such keys, and without keys. Rounds take
turns in one run, and the median round counts. Targets: a thousand keys with budgets add at most 5 microseconds to a request of one key
without terms, and a million records are added up within ten seconds. Missing one is said, not failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from selfopt.gateway import Allowances, CostBook, FileKeys, KeyCounters, SpentElsewhere
from selfopt.gateway.journal import encode_record
from selfopt.gateway.live_request import LiveRequest
from selfopt.gateway.ticket import LiveAttempt, RequestRecord, Ticket
from selfopt.home import GENESIS_HASH, NO_TERMS, CheckedKeys, GatewayKey, KeyFile, KeyTerms, chain_line
from selfopt.records import Price

TARGET_US = 5.0
TARGET_S = 10.0
ROUNDS = 9
KEYS = 1000
BUDGETS = KeyTerms(budget_day=1e9, budget_month=1e9, labels={"team": "blue"})
RATES = BUDGETS.model_copy(update={"requests_per_minute": 10**9, "tokens_per_minute": 10**12})
RECORD = RequestRecord(
    at="2026-01-01T00:00:00.000Z", id="req-0123456789000000000000aa", outcome="served", status=200, model="up/good", served="up/good",
    phase="atomic", rule="rule-0123456789abcdef", version=3, variant="native_api", key="key-00000000", stream=False,
    attempts=(LiveAttempt("up/good", 12.5),), latency_ms=13.1, first_byte_ms=None, input_tokens=120, output_tokens=30, reason="",
    cost=0.00018,
)  # fmt: skip


class _File:
    """A file of keys that never changes."""

    def __init__(self, count: int, terms: KeyTerms) -> None:
        self.path = Path("/nonexistent")
        self.presented = [f"sk-selfopt-{number:043d}" for number in range(count)]
        keys = tuple(
            GatewayKey(
                id=f"key-{number:08x}",
                name=f"key {number}",
                sha256=hashlib.sha256(presented.encode()).hexdigest(),
                created_at="2026-01-01T00:00:00.000Z",
                terms=terms,
            )
            for number, presented in enumerate(self.presented)
        )
        self._checked = CheckedKeys(keys, required=True, numbers={entry.id: number for number, entry in enumerate(keys)})

    def check(self) -> CheckedKeys:
        """The keys."""
        return self._checked


@dataclass(frozen=True)
class Arm:
    """One way to be asked. again: does all that a key costs, for one request."""

    name: str
    again: Callable[[], None]


def arm(name: str, count: int, terms: KeyTerms, workers: int = 1) -> Arm:
    """A gateway's part for requests of so many keys, each in turn."""
    allowances = Allowances(CostBook({"up/good": Price(input=1.0, output=2.0)}.get), KeyCounters(workers))
    file = _File(count, terms)
    keys = FileKeys(cast(KeyFile, file), changed=allowances.follow)
    chat = SimpleNamespace(size=480, fields={})
    presented = random.Random(1).choices(file.presented, k=4096) if count else []
    turn = 0

    def again() -> None:
        nonlocal turn
        turn = (turn + 1) % 4096
        caller = keys.find(presented[turn]) if presented else None
        key = caller.key if caller is not None else None
        allowances.enter(key)
        ticket = Ticket(0.0, "req-0", key=key)
        exchange = cast(LiveRequest, SimpleNamespace(ticket=ticket, chat=chat))
        allowances.hold(exchange, "up/good")
        ticket.bill.told(120, 30, None)
        ticket.bill.close("up/good", 0.01, "")
        allowances.settle(RECORD, ticket)

    return Arm(name, again)


def figures(requests: int) -> dict[str, float]:
    """Microseconds a request of each arm: the median of the rounds."""
    arms = (
        arm("without keys", 0, NO_TERMS),
        arm("1 key without terms", 1, NO_TERMS),
        arm("1000 keys without terms", KEYS, NO_TERMS),
        arm("1000 keys with budgets", KEYS, BUDGETS),
        arm("1000 keys with budgets, 4 workers", KEYS, BUDGETS, workers=4),
        arm("1000 keys with budgets and rates", KEYS, RATES),
    )
    rounds: dict[str, list[float]] = {one.name: [] for one in arms}
    for _ in range(ROUNDS):
        for one in arms:
            began = time.process_time()
            for _ in range(requests // ROUNDS):
                one.again()
            rounds[one.name].append((time.process_time() - began) / (requests // ROUNDS) * 1e6)
    return {name: statistics.median(times) for name, times in rounds.items()}


def added_up_s(records: int) -> float:
    """How long so many records of a month take to be added up, with all their writers' files in the system's cache."""
    with tempfile.TemporaryDirectory() as folder:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        lines, previous = [], GENESIS_HASH
        for number in range(10_000):
            told: dict[str, Any] = {"at": f"{today}T00:00:00.000Z", "key": f"key-{number % KEYS:08x}"}
            body = json.loads(encode_record(RECORD)) | told
            line, previous = chain_line(json.dumps(body, separators=(",", ":")).encode(), previous)
            lines.append(line)
        block, whole = b"".join(lines), max(1, records // 10_000)
        for file, begin in enumerate(range(0, whole, 10), 1):
            Path(folder, f"00000000aa-{file}.jsonl").write_bytes(block * min(10, whole - begin))
        allowances = Allowances()
        allowances.follow(_File(KEYS, BUDGETS).check())
        began = time.process_time()
        SpentElsewhere(Path(folder), allowances).look()
        took = time.process_time() - began
        spent = allowances.spent("key-00000000")[0]
        assert abs(spent - whole * 10 * 0.00018) < 1e-6, spent
        return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = figures(options.requests)
    base = found["1 key without terms"]
    added, took = found["1000 keys with budgets"] - base, added_up_s(options.records)
    if options.json:
        print(
            json.dumps({"us": found, "added_us": added, "target_us": TARGET_US, "records": options.records, "added_up_s": took})
        )
        return
    for name, us in found.items():
        print(f"{name:34} {us:7.2f} us a request   {us / base:5.2f} x")
    print(f"1000 keys with budgets add {added:.2f} us to a request: {'' if added <= TARGET_US else 'NOT '}within {TARGET_US:g}")
    within = took <= TARGET_S * options.records / 1e6
    print(f"{options.records} records were added up in {took:.2f} s: {'' if within else 'NOT '}within {TARGET_S:g} s a million")


if __name__ == "__main__":
    main()
