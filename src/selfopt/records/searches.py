"""Searches: what one set out from, and what it found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record
from .suite import Phase, Split

Capability = Literal["tools", "grammar", "json_schema", "logprobs"]
"""What a server must have for a part of a variant: tools of its own, limits on the output, or the log
probabilities of its replies.
"""


class SearchStart(Record, ledger_kind="search_start", id_field="search_id", index_fields=("cycle_id", "model", "phase")):
    """The beginning of a search for what a cycle tries.

    The search is repeated from this record and the trials of its batches, so that a killed one goes
    on where it was. Batch `n` has the group `SEARCH_ID/n`.

    Attributes:
        prompt_ids: the prompts of the search split, in the order in which ways to ask climb.
        capabilities: what the server has.
        start: the points that come first.
        most_requests: how many trials the search may make.
    """

    search_id: str
    cycle_id: str
    model: str
    phase: Phase
    baseline_spec_id: str
    suite_hash: str
    split: Split
    prompt_ids: tuple[str, ...] = Field(min_length=1)
    capabilities: tuple[Capability, ...]
    start: tuple[dict[str, str], ...]
    seed: int
    most_requests: int = Field(ge=1)
    at: str


class SearchStanding(Record):
    """A point that a search looked at.

    Attributes:
        point: its choices.
        spec_id: of the spec that it makes with the baseline's model and limits.
        value: what it is thought to be worth under the objective. At most 1.
        n: on how many prompts it was asked.
        by: who proposed it.
    """

    point: dict[str, str]
    spec_id: str
    value: float
    n: int
    by: str


class SearchEnd(Record, ledger_kind="search_end", id_field="search_id"):
    """What a search found: the best reading of each way to ask, the best first.

    Attributes:
        requests: how many trials it made.
        compared: how many points it ranked, every reading of every way to ask.
        stopped: the cap that ended it; None if every way was asked.
    """

    search_id: str
    ranking: tuple[SearchStanding, ...]
    requests: int
    compared: int = Field(ge=1)
    stopped: str | None = None
    at: str
