"""What people call the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from selfopt.records import MetricName

METRICS: Mapping[MetricName, str] = MappingProxyType(
    {
        "accuracy": "accuracy",
        "call_accuracy": "call accuracy",
        "restraint": "restraint",
        "capability": "capability",
        "variance": "variance between runs",
        "p50_ms": "p50",
        "p95_ms": "p95",
        "first_call_ms": "first call",
    }
)
