"""The detectors, one per file. Each finds one kind of cause in the evaluations of one spec."""

from __future__ import annotations

from selfopt.extensions import Registry
from selfopt.records import Detector

_HERE = "selfopt.feedback.detectors"

DETECTORS: Registry[Detector] = Registry(
    "selfopt.detectors",
    {
        "refused": f"{_HERE}.refused:DETECTOR",
        "infrastructure": f"{_HERE}.infrastructure:DETECTOR",
        "cold_start": f"{_HERE}.cold_start:DETECTOR",
        "unread_format": f"{_HERE}.unread_format:DETECTOR",
        "call_in_thinking": f"{_HERE}.call_in_thinking:DETECTOR",
        "truncation": f"{_HERE}.truncation:DETECTOR",
        "capability_limit": f"{_HERE}.capability_limit:DETECTOR",
        "flaky": f"{_HERE}.flaky:DETECTOR",
        "drift": f"{_HERE}.drift:DETECTOR",
        "ceiling": f"{_HERE}.ceiling:DETECTOR",
    },
    Detector,
)
"""The detectors that examine every model. Ours come first, named by the kind of their findings and
ordered so that causes which hide others come first. Installed ones follow."""
