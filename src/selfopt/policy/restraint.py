"""Restraint in a race: may a candidate be called in when it is better, but less able to keep quiet?"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from selfopt.records import RaceBlock, RaceStart
from selfopt.stats import PROMPT_BETS, EProcess, FloorEvidence, Pairs, against_floor, non_inferiority, share_block

__all__ = ["RestraintEvidence", "restraint_evidence"]


@dataclass(frozen=True, slots=True)
class RestraintEvidence:
    """floor: the candidate's restraint rate against the floor. log_e: natural log of the evidence against "restraint is worse than
    the baseline's by the margin or more", compare with log_e_needed; log_worse: of that against "it is not". None where the question
    does not arise (a baseline that calls nothing right keeps perfect restraint, and would block every useful candidate)."""

    floor: FloorEvidence | None
    log_e: float | None
    log_e_needed: float
    n_pairs: int
    log_worse: float = 0.0
    margin: float = 0.03


def restraint_evidence(
    start: RaceStart,
    blocks: Sequence[RaceBlock],
    spec_id: str,
    no_call: Collection[str],
    *,
    floor: float,
    margin: float,
    alpha: float,
    baseline_call_accuracy: float | None,
) -> RestraintEvidence:
    """What a race's blocks say about a candidate's restraint. no_call: ids of the prompts that need no call.

    The draws of other prompts take no part; with the same weights the rest is a race over the prompts without a call (their
    weights still have equal expected sums), so both e-processes are valid at every block end. No centres are used. floor in (0, 1),
    margin in (0, 1), alpha in (0, 0.5]; ValueError otherwise. Without such prompts floor and log_e are None.
    """
    known = next((e.known for e in start.entrants if e.spec_id == spec_id), None)
    pairs: list[Pairs] = []
    shares: list[Pairs] = []
    for block in blocks:
        chosen = [i for i, prompt_id in enumerate(block.prompts) if prompt_id in no_call]
        if not chosen or (known is None and spec_id not in block.asked):
            continue
        weights = tuple(block.weights[i] for i in chosen)
        ours = [_share(block, spec_id, known, i) for i in chosen]
        theirs = [_share(block, start.baseline_spec_id, start.baseline_known, i) for i in chosen]
        pairs.append(Pairs(tuple(x - b for x, b in zip(ours, theirs, strict=True)), weights, block.max_weight))
        shares.append(share_block(ours, weights, block.max_weight))
    compares = bool(pairs) and baseline_call_accuracy is not None and baseline_call_accuracy > 0
    return RestraintEvidence(
        floor=against_floor(shares, floor, alpha) if shares else None,
        log_e=non_inferiority(pairs, margin, PROMPT_BETS) if compares else None,
        log_e_needed=math.log(1 / alpha),
        n_pairs=sum(len(p.gains) for p in pairs),
        log_worse=EProcess.of(pairs, PROMPT_BETS, -margin, below=True).log_e if compares else 0.0,
        margin=margin,
    )


def _share(block: RaceBlock, spec_id: str, known: dict[str, bool] | None, draw: int) -> float:
    """Of the answers to one draw, the share that passed."""
    if known is not None:
        return float(known[block.prompts[draw]])
    return block.passes[spec_id][draw] / block.asked[spec_id]
