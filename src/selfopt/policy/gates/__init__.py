"""The gates that a candidate must pass.

Each asks one question; docs/EXTENDING.md shows how to add one.
"""

from __future__ import annotations

from selfopt.extensions import Registry

from .base import Gate, GateCase, Look, PlainGate

__all__ = ["GATES", "Gate", "GateCase", "Look", "PlainGate"]

_HERE = "selfopt.policy.gates"
GATES: Registry[Gate] = Registry(
    "selfopt.gates",
    {
        # Reasons are given in this order: whether there is enough data, what the evidence says,
        # and only then what the figures of the passes look like.
        "data": f"{_HERE}.enough:DATA",
        "comparable": f"{_HERE}.enough:COMPARABLE",
        "errors": f"{_HERE}.enough:ERRORS",
        "evidence": f"{_HERE}.evidence:EVIDENCE",
        "heldout": f"{_HERE}.evidence:HELDOUT",
        "restraint_evidence": f"{_HERE}.evidence:RESTRAINT_EVIDENCE",
        "min_runs": f"{_HERE}.enough:MIN_RUNS",
        "baseline_min_runs": f"{_HERE}.enough:BASELINE_MIN_RUNS",
        "no_regression": f"{_HERE}.gain:NO_REGRESSION",
        "restraint": f"{_HERE}.floors:RESTRAINT",
        "extended_minimum": f"{_HERE}.floors:EXTENDED_MINIMUM",
        "beats_silent": f"{_HERE}.floors:BEATS_SILENT",
        "beats_always_calling": f"{_HERE}.floors:BEATS_ALWAYS_CALLING",
        "variance": f"{_HERE}.gain:VARIANCE",
        "ceiling": f"{_HERE}.gain:CEILING",
        "promote_margin": f"{_HERE}.gain:PROMOTE_MARGIN",
    },
    Gate,
)
"""Every gate by name. Under the plain policy, the gates about evidence are silent."""
