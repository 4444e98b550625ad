"""Searches the space of variants: what to ask next, and which point is best so far. Pure: it asks
no model and keeps nothing.
"""

from .archive import Archive, Look, Seen, Standing, joined, reading_text
from .foresight import Foresight, foresight
from .marks import Mark, Objective
from .proposers import SEARCHERS, Given, Proposal, WayProposer
from .search import Batch, Search, SearchPlan, spread

__all__ = [
    "SEARCHERS",
    "Archive",
    "Batch",
    "Foresight",
    "Given",
    "Look",
    "Mark",
    "Objective",
    "Proposal",
    "Search",
    "SearchPlan",
    "Seen",
    "Standing",
    "WayProposer",
    "foresight",
    "joined",
    "reading_text",
    "spread",
]
