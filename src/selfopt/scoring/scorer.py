"""How the calls of a suite are compared with what it expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfopt.records import Fault, Judging, ParsedReply, Prompt, ToolDefinition

from .bfcl import BFCL_SCORER_HASH, judge_as_bfcl
from .judge import SCORER_HASH, Scored, judge

Judge = Callable[[Prompt, Sequence[ToolDefinition], ParsedReply, Fault | None], Scored]


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way of judging. scorer_hash: under which its verdicts are kept; it changes whenever the same reply could be judged
    differently. judge(prompt, tools, parsed, fault) never raises."""

    scorer_hash: str
    judge: Judge


_SCORERS: Mapping[Judging, Scorer] = {
    "standard": Scorer(SCORER_HASH, judge),
    "bfcl": Scorer(BFCL_SCORER_HASH, judge_as_bfcl),
}


def scorer_of(judging: Judging) -> Scorer:
    """The scorer of suites that are judged this way (`Suite.judging`)."""
    return _SCORERS[judging]
