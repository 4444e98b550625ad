"""All warnings about a suite, in the order of the documentation."""

from __future__ import annotations

from selfopt.records import Suite

from .answers import outside_schema, to_review, unreachable
from .balance import unbalanced
from .base import CODES, Passes, SuiteWarning
from .duplicates import duplicates
from .leaks import leaks
from .trivial import trivial_policy

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
