"""The parts of the space of variants that leave tools out, and those that ask more than once."""

from __future__ import annotations

from .part import PartChoice, VariantPart

STEP_PARTS: tuple[VariantPart, ...] = (
    VariantPart(
        "keep_tools",
        "how many tools are shown, those with most words in common with the request",
        (
            PartChoice("all", "all"),
            PartChoice("five", "five", options={"keep_tools": 5}),
            PartChoice("three", "three", options={"keep_tools": 3}),
            PartChoice("one", "one", options={"keep_tools": 1}),
        ),
    ),
)
"""These parts, in the order in which a point is written."""
