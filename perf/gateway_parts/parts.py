"""Each part measures one kind of figure and adds its rows to the table."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import timeit
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from selfopt.gateway.metrics import LiveCounters
from selfopt.gateway.ticket import LiveAttempt, RequestRecord, Ticket

from .hostile import attacked
from .latency import Asker, added_ms, first_added_ms, in_turn, quantile
from .load import Load, measure, wrk_missing
from .ours import HANG_S, Ours
from .peers import Peer
from .processes import Child
from .requests import SHAPES, Shape, Target
from .soak import soak
from .table import Row, Table

__all__ = ["PARTS", "Bench", "Sizes"]

AIM_CPU_MS, AIM_P50_MS, AIM_P99_MS, AIM_FALLBACK_MS, AIM_COMMIT_MS, AIM_READY_S, AIM_MB = 0.55, 1.0, 4.0, 5.0, 100.0, 1.0, 100.0
FLAT_MB = 5.0
WORDS: dict[Shape, str] = {"plain": "plain chat", "tools": "tools through the variant", "stream": "streamed chat"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. seconds, rounds: of a load; turns: requests of each on one connection; soak_s: of the soak;
    requests: after which memory is looked at."""

    seconds: float = 2.0
    rounds: int = 1
    turns: int = 400
    soak_s: float = 15.0
    requests: int = 15_000
    hangs: int = 3

    @classmethod
    def full(cls) -> Sizes:
        """The figures as the issue asks for them: some 25 minutes."""
        return cls(seconds=10.0, rounds=3, turns=3000, soak_s=600.0, requests=200_000, hangs=10)


@dataclass(slots=True)
class Bench:
    """What runs while parts measure. loads: by gateway and shape."""

    folder: Path
    sizes: Sizes
    upstream: Child
    url: str
    ours: Ours
    peers: dict[str, Peer]
    table: Table = field(default_factory=Table)
    loads: dict[tuple[str, Shape], Load] = field(default_factory=dict)

    def direct(self, shape: Shape) -> Target:
        """The upstream itself."""
        return Target("direct", f"{self.url}/v1/chat/completions", shape, "fixed")

    def load(self, target: Target, child: Child) -> Load:
        """As much of it as the sizes say."""
        return measure(target, child, self.folder, seconds=self.sizes.seconds, rounds=self.sizes.rounds)


def load(bench: Bench) -> None:
    """16 connections: requests a second and CPU a request of everybody, in turn."""
    missing = wrk_missing()
    if missing:
        bench.table.open["load"] = missing
        return
    for shape in SHAPES:
        bench.loads["direct", shape] = bench.load(bench.direct(shape), bench.upstream)
        bench.loads["selfopt", shape] = bench.load(bench.ours.target(shape), bench.ours.child)
        for name, peer in bench.peers.items():
            try:
                bench.loads[name, shape] = bench.load(peer.target(shape), peer.child)
            except RuntimeError as error:
                bench.table.open[f"{name}, {shape}"] = str(error)
    bench.loads["selfopt off", "tools"] = bench.load(bench.ours.target("tools", "fixed/plain"), bench.ours.child)
    for shape in SHAPES:
        _load_rows(bench, shape)
    through, past = bench.loads["selfopt", "tools"], bench.loads["selfopt off", "tools"]
    bench.table.add(Row("tools, without the variant: CPU ms/request", f"{past.cpu_ms:.3f}"))
    bench.table.add(Row("what the variant costs, CPU ms/request", f"{through.cpu_ms - past.cpu_ms:.3f}"))


def _load_rows(bench: Bench, shape: Shape) -> None:
    words = WORDS[shape]
    own = bench.loads["selfopt", shape]
    others = {name: found for (name, one), found in bench.loads.items() if one == shape and name in bench.peers}
    note = f"{own.errors} answers were errors" if own.errors else ""
    rows = {name: f"{found.rps:,.0f}" for name, found in others.items()}
    bench.table.add(Row(f"{words}: requests/s", f"{own.rps:,.0f}", peers=rows, note=note))
    aims = {"tensorzero": 5.0, "litellm": 50.0} if shape == "stream" else {"tensorzero": 0.5, "litellm": 40.0}
    for name, factor in aims.items():
        what = f"{words}: times the requests/s of {name}"
        if name in others:
            ratio = own.rps / max(others[name].rps, 1e-9)
            bench.table.add(Row(what, f"{ratio:.2f}", f"at least {factor:g}", ratio >= factor))
        else:
            bench.table.open.setdefault(what, "that gateway was not run")
    cpu = {name: f"{found.cpu_ms:.3f}" for name, found in others.items()}
    judged = shape != "stream"
    aim = f"at most {AIM_CPU_MS}" if judged else ""
    met = own.cpu_ms <= AIM_CPU_MS if judged else None
    bench.table.add(Row(f"{words}: CPU ms/request", f"{own.cpu_ms:.3f}", aim, met, cpu))
    direct = bench.loads["direct", shape]
    bench.table.add(Row(f"{words}: the upstream by itself, requests/s", f"{direct.rps:,.0f}"))
    best = max([own.rps, *(found.rps for found in others.values())])
    if direct.rps < 2 * best:
        bench.table.rows[-1].note = "less than twice the fastest gateway: it may hold that one up"


def latency(bench: Bench) -> None:
    """One connection, all in turn."""
    peers = [peer for peer in bench.peers.values() if _answers(bench, peer)]
    kinds: tuple[Shape, ...] = ("plain", "tools")
    for kind in kinds:
        word = WORDS[kind]
        times = in_turn([bench.direct(kind), bench.ours.target(kind), *(p.target(kind) for p in peers)], bench.sizes.turns)
        for label, share, aim in (("p50", 0.5, AIM_P50_MS), ("p99", 0.99, AIM_P99_MS)):
            own = added_ms(times, "selfopt", share)
            rows = {p.name: f"{added_ms(times, p.name, share):.2f}" for p in peers}
            bench.table.add(Row(f"{word}: ms added, {label}", f"{own:.2f}", f"at most {aim:g}", own <= aim, rows))
    times = in_turn([bench.direct("beat"), bench.ours.target("beat"), *(p.target("beat") for p in peers)], bench.sizes.turns // 4)
    own = first_added_ms(times, "selfopt")
    rows = {p.name: f"{first_added_ms(times, p.name):.2f}" for p in peers}
    bench.table.add(Row("streamed chat: first byte later by ms, p50", f"{own:.2f}", "at most 1", own <= 1.0, rows))


def _answers(bench: Bench, peer: Peer) -> bool:
    """Whether it answers every shape; else what it adds stays open."""
    try:
        for shape in SHAPES:
            peer.target(shape).check()
    except RuntimeError as error:
        bench.table.open[f"{peer.name}, latency"] = str(error)
        return False
    return True


def memory(bench: Bench) -> None:
    """At the start, and after many requests. Has to come first: the gateway is idle only once."""
    idle, ready = bench.ours.child.memory(), bench.ours.ready_s
    peers = {name: peer.child.memory() for name, peer in bench.peers.items()}
    rows = {name: f"{m.rss_mb:.0f}" for name, m in peers.items()}
    bench.table.add(Row("memory when idle, MB (RSS)", f"{idle.rss_mb:.0f}", f"under {AIM_MB:g}", idle.rss_mb < AIM_MB, rows))
    rows = {name: f"{m.pss_mb:.0f}" for name, m in peers.items()}
    bench.table.add(Row("memory when idle, MB (PSS)", f"{idle.pss_mb:.0f}", peers=rows))
    rows = {name: f"{peer.ready_s:.2f}" for name, peer in bench.peers.items()}
    bench.table.add(Row("ready after s", f"{ready:.2f}", f"under {AIM_READY_S:g}", ready < AIM_READY_S, rows))
    missing = wrk_missing()
    if missing:
        bench.table.open["memory after many requests"] = missing
        return
    done, warm = 0, None
    while done < bench.sizes.requests:
        for shape in SHAPES:
            done += measure(
                bench.ours.target(shape), bench.ours.child, bench.folder, seconds=bench.sizes.seconds, rounds=1
            ).requests
        warm = warm or (done, bench.ours.child.memory().rss_mb)
    assert warm is not None
    grown = bench.ours.child.memory().rss_mb - warm[1]
    what = f"memory after {done:,} requests, MB (RSS)"
    bench.table.add(Row(what, f"{warm[1] + grown:.0f}"))
    if done > warm[0]:
        what = f"grown by MB from {warm[0]:,} to {done:,} requests"
        bench.table.add(Row(what, f"{grown:.1f}", f"flat (under {FLAT_MB:g})", grown < FLAT_MB))


def commit(bench: Bench) -> None:
    """How old the oldest record gets that is not on disk yet, under load."""
    missing = wrk_missing()
    if missing:
        bench.table.open["commit"] = missing
        return
    ages: list[float] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(bench.ours, ages, over))
    watcher.start()
    try:
        bench.load(bench.ours.target("plain"), bench.ours.child)
    finally:
        over.set()
        watcher.join()
    worst, p99 = max(ages), quantile(ages, 0.99)
    note = f"seen in /metrics {len(ages)} times, p99 {p99:.0f}"
    bench.table.add(
        Row(
            "oldest record not on disk under load, ms",
            f"{worst:.0f}",
            f"under {AIM_COMMIT_MS:g}",
            worst < AIM_COMMIT_MS,
            note=note,
        )
    )


def _watch(gateway: Ours, ages: list[float], over: threading.Event) -> None:
    request = urllib.request.Request(f"{gateway.url}/metrics", headers={"Authorization": f"Bearer {gateway.key}"})
    while not over.wait(0.02):
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        ages += [float(line.split()[1]) * 1000 for line in text.splitlines() if line.startswith("selfopt_audit_lag_seconds ")]


def metrics(bench: Bench) -> None:
    """What counting a request costs, and what share of a request that is."""
    record = RequestRecord(
        at="2026-01-01T00:00:00.000Z", id="req-0", outcome="served", status=200, model="fixed/plain", served="fixed/plain",
        phase="atomic", rule="r", version=1, variant=None, key=None, stream=False, attempts=(LiveAttempt("fixed/plain", 1.0),),
        latency_ms=1.0, first_byte_ms=1.0, input_tokens=21, output_tokens=8, reason="",
    )  # fmt: skip
    counters, ticket, number = LiveCounters(), Ticket(0.0), 20_000
    cost_us = min(timeit.repeat(lambda: counters.add(record, ticket), number=number, repeat=5)) / number * 1e6
    bench.table.add(Row("counting a request in /metrics, microseconds", f"{cost_us:.2f}"))
    found = bench.loads.get(("selfopt", "plain"))
    if found is not None and found.cpu_ms:
        bench.table.add(Row("share of that in a plain chat's CPU", f"{cost_us / 10 / found.cpu_ms:.1f} %"))


def faults(bench: Bench) -> None:
    """What a fallback costs: on a refused connection, and on an upstream that hangs."""
    targets = {
        "plain": bench.ours.target("plain"),
        "gone": Target("gone", f"{bench.ours.url}/v1/chat/completions", "plain", "gone/any", bench.ours.key),
    }
    times = in_turn([targets["plain"], targets["gone"]], min(bench.sizes.turns, 900))  # fewer faults than the breaker takes
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        cost = quantile(times["gone"].whole_ms, share) - quantile(times["selfopt"].whole_ms, share)
        met = cost < AIM_FALLBACK_MS if label == "p50" else None
        aim = f"under {AIM_FALLBACK_MS:g}" if label == "p50" else ""
        bench.table.add(Row(f"fallback on a refused connection adds ms, {label}", f"{cost:.2f}", aim, met))
    asker = Asker(Target("hang", f"{bench.ours.url}/v1/chat/completions", "plain", "hangs/any", bench.ours.key))
    late = []
    for _ in range(bench.sizes.hangs):
        _, whole_ms, got = asker.ask()
        if not got.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"no fallback served a hang: {got[:200]!r}")
        late.append(whole_ms - HANG_S * 1000)
    asker.close()
    worst, least = max(late), min(late)
    met = least >= 0 and statistics.median(late) < AIM_FALLBACK_MS
    shown = f"{statistics.median(late):.1f} ({least:.1f} to {worst:.1f})"
    bench.table.add(Row(f"fallback on a hang: ms beyond the timeout of {HANG_S:g} s", shown, f"0 to {AIM_FALLBACK_MS:g}", met))
    alone = statistics.median(asyncio.run(_bare_timer()) for _ in range(bench.sizes.hangs))
    bench.table.add(Row(f"a timer of {HANG_S:g} s by itself on this machine: ms late", f"{alone:.1f}"))


async def _bare_timer() -> float:
    """Milliseconds by which an event loop that does nothing else wakes up late."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    began = time.perf_counter()
    loop.call_later(HANG_S, woken.set_result, None)
    await woken
    return (time.perf_counter() - began - HANG_S) * 1000


def soaking(bench: Bench) -> None:
    """A soak with faults in a gateway of its own."""
    found = soak(bench.folder / "soak", bench.sizes.soak_s)
    seen = ", ".join(f"{what}: {count}" for what, count in sorted(found.statuses.items()))
    what = f"soak of {found.seconds:.0f} s with faults, {found.asked:,} requests"
    wrong, lost = len(found.wrong), len(found.lost)
    bench.table.add(Row(f"{what}: wrong answers", str(wrong), "0", wrong == 0, note="; ".join([seen, *found.wrong[:3]])))
    bench.table.add(Row("soak: lost or untrue records", str(lost), "0", lost == 0, note="; ".join(found.lost[:3])))
    verified = "verifies" if not found.verified else "does not verify"
    bench.table.add(Row("soak: the records", verified, "verifies", not found.verified, note=found.verified))


def hostile(bench: Bench) -> None:
    """Hostile clients against a gateway of their own: without its key, then with it. Takes some eight minutes."""
    for knows_key in (False, True):
        who = "with the key" if knows_key else "without a key"
        for found in attacked(bench.folder / f"hostile-{knows_key}", bench.url, knows_key=knows_key):
            what = f"{found.name}, {who}"
            note = f"{found.asked:,} times asked; {found.idle_mb:.0f} MB before, {found.peak_mb:.0f} at most, {found.left_mb:.0f} a minute after"
            health, ratio = found.health_s * 1000, found.ratio
            bench.table.add(Row(f"{what}: longest wait for /health, ms", f"{health:.0f}", "under 250", health < 250, note=note))
            bench.table.add(Row(f"{what}: memory a minute after, times idle", f"{ratio:.2f}", "at most 1.5", ratio <= 1.5))


PARTS: dict[str, Callable[[Bench], None]] = {
    "memory": memory,
    "load": load,
    "latency": latency,
    "commit": commit,
    "metrics": metrics,
    "faults": faults,
    "soak": soaking,
    "hostile": hostile,
}
