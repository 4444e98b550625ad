"""Searches the space of variants: what to ask next, and which point is best so far. Pure: it asks
no model and keeps nothing.
"""

from .archive import Archive, RankedPoint, Seen, SeenWay, joined, reading_text
from .foresight import Foresight, foresight
from .marks import Objective, ReplyMark, WayCost
from .proposers import SEARCHERS, Given, Proposal, WayProposer
from .search import Search, SearchPlan, WayBatch, spread

__all__ = [
    "SEARCHERS",
    "Archive",
    "Foresight",
    "Given",
    "Objective",
    "Proposal",
    "RankedPoint",
    "ReplyMark",
    "Search",
    "SearchPlan",
    "Seen",
    "SeenWay",
    "WayBatch",
    "WayCost",
    "WayProposer",
    "foresight",
    "joined",
    "reading_text",
    "spread",
]
