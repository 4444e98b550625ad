"""Writes figures in Prometheus's text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

BOUNDS_MS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0, 120000.0)


class Histogram:
    """Counts times in fixed buckets."""

    __slots__ = ("counts", "sum_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_MS, ms)] += 1
        self.sum_ms += ms

    def take(self, other: Histogram) -> None:
        """Add what another one counted."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum_ms += other.sum_ms

    def lines(self, name: str, text: str) -> Iterator[str]:
        """Yield the whole metric."""
        yield from head(name, "histogram", text)
        yield from self.series(name)

    def series(self, name: str, label: str = "") -> Iterator[str]:
        """Yield its series. label: of each, as `name="value"`."""
        total, before, alone = 0, f"{label}," if label else "", f"{{{label}}}" if label else ""
        for bound, count in zip(BOUNDS_MS, self.counts, strict=False):
            total += count
            yield f'{name}_bucket{{{before}le="{bound / 1000:g}"}} {total}'
        total += self.counts[-1]
        yield f'{name}_bucket{{{before}le="+Inf"}} {total}'
        yield f"{name}_sum{alone} {self.sum_ms / 1000:.6f}"
        yield f"{name}_count{alone} {total}"


def head(name: str, kind: str, text: str) -> tuple[str, str]:
    """Return the lines before the series of a metric."""
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def counter(name: str, text: str, label: str, values: Mapping[str, int]) -> list[str]:
    """Return a counter with one label."""
    return [*head(name, "counter", text), *(f"{name}{{{labels({label: v})}}} {n}" for v, n in sorted(values.items()))]


def labels(values: Mapping[str, str]) -> str:
    """Return what stands between the braces."""
    return ",".join(f'{name}="{quoted(value)}"' for name, value in values.items())


def quoted(value: str) -> str:
    """Return the value of a label as it stands between its quotation marks."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def with_label(line: str, name: str, value: str) -> str:
    """Return a line with one more label, unless it is a comment or the value is empty."""
    if not value or line.startswith("#"):
        return line
    series, _, number = line.rpartition(" ")
    label = labels({name: value})
    return f"{series[:-1]},{label}}} {number}" if series.endswith("}") else f"{series}{{{label}}} {number}"
