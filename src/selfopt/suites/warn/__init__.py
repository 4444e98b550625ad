"""Warnings about usable suites whose figures are worth less; docs/SUITES.md lists the codes.

`find_warnings(suite, passes)` collects them all. The caller hands in `passes`, which tells whether
calls pass a prompt, because suites can't import the scorer.
"""

from selfopt.records import Suite

from .answers import outside_schema, to_review, unreachable
from .balance import unbalanced
from .base import CODES, Passes, SuiteWarning
from .duplicates import duplicates
from .leaks import leaks
from .trivial import PolicyScore, trivial_policy, trivial_scores

__all__ = ["CODES", "Passes", "PolicyScore", "SuiteWarning", "find_warnings", "trivial_scores"]

_ORDER = {code: place for place, code in enumerate(CODES)}


def find_warnings(suite: Suite, passes: Passes) -> list[SuiteWarning]:
    """List all warnings about a suite that has no problems, in the order of CODES."""
    found = [
        *to_review(suite),
        *duplicates(suite),
        *unbalanced(suite),
        *unreachable(suite, passes),
        *outside_schema(suite),
        *leaks(suite),
        *trivial_policy(suite, passes),
    ]
    return sorted(found, key=lambda warning: _ORDER[warning.code])
