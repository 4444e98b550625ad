"""The ways of judging the replies to a suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfopt.records import Fault, Judging, ParsedReply, Prompt, ToolDefinition

from .bfcl import BFCL_SCORER_HASH, judge_as_bfcl
from .judge import SCORER_HASH, Scored, judge

Judge = Callable[[Prompt, Sequence[ToolDefinition], ParsedReply, Fault | None], Scored]


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way of judging.

    Attributes:
        scorer_hash: the hash in its verdicts. It changes whenever the same reply could be judged
            differently.
        judge: called with (prompt, tools, parsed, fault). Never raises.
    """

    scorer_hash: str
    judge: Judge


_SCORERS: Mapping[Judging, Scorer] = {
    "standard": Scorer(SCORER_HASH, judge),
    "bfcl": Scorer(BFCL_SCORER_HASH, judge_as_bfcl),
}


def scorer_of(judging: Judging) -> Scorer:
    """The scorer for a value of `Suite.judging`."""
    return _SCORERS[judging]
