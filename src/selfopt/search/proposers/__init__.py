"""Proposers of a search: each names ways to ask that may be worth their requests."""

from __future__ import annotations

from selfopt.extensions import Registry

from .base import Given, Proposal, WayProposer

SEARCHERS: Registry[WayProposer] = Registry(
    "selfopt.searchers",
    {
        "random": "selfopt.search.proposers.anywhere:PROPOSER",
        "single change": "selfopt.search.proposers.nearby:PROPOSER",
        "crossover": "selfopt.search.proposers.crossed:PROPOSER",
        "likeness": "selfopt.search.proposers.foretold:PROPOSER",
    },
    WayProposer,
)
"""Every proposer that needs nothing but the archive: first ours, then those of installed packages.
`Optuna`, `Transfer` and those that ask a model are made for a search.
"""

__all__ = ["SEARCHERS", "Given", "Proposal", "WayProposer"]
