"""What does not make a suite unusable but its figures worth less; docs/SUITES.md lists the codes.

find_warnings(suite, passes) collects all; `passes` says whether calls would pass a prompt (the scorer's word, handed in
because parts do not import each other).
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
    """Every warning about a usable suite (one without problems), each in one line with the fix."""
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
