"""Restraint in a race: does a better candidate call tools where it should not?"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from selfopt.records import RaceBlock, RaceStart, RestraintEvidence
from selfopt.stats import PROMPT_BETS, EProcess, Pairs, non_inferiority


def restraint_evidence(
    start: RaceStart,
    blocks: Sequence[RaceBlock],
    spec_id: str,
    no_call: Collection[str],
    *,
    margin: float,
    alpha: float,
    baseline_call_accuracy: float | None,
) -> RestraintEvidence | None:
    """What the blocks of a race say about a candidate's restraint.

    The draws of other prompts are left out. The rest, with the same weights, is a race over the
    prompts that need no call: their weights still have equal expected sums, so both e-processes are
    valid after every block. No centres are used.

    Args:
        no_call: the ids of the prompts that need no call.
        margin: in (0, 1).

    Returns:
        None if no such prompt was drawn, or if the baseline gets no call right: its perfect
        restraint would block every useful candidate.

    Raises:
        ValueError: the margin is outside (0, 1).
    """
    if not baseline_call_accuracy:
        return None
    known = next((e.known for e in start.entrants if e.spec_id == spec_id), None)
    pairs: list[Pairs] = []
    for block in blocks:
        chosen = [i for i, prompt_id in enumerate(block.prompts) if prompt_id in no_call]
        if not chosen or (known is None and spec_id not in block.asked):
            continue
        weights = tuple(block.weights[i] for i in chosen)
        ours = [_share(block, spec_id, known, i) for i in chosen]
        theirs = [_share(block, start.baseline_spec_id, start.baseline_known, i) for i in chosen]
        pairs.append(Pairs(tuple(x - b for x, b in zip(ours, theirs, strict=True)), weights, block.max_weight))
    if not pairs:
        return None
    return RestraintEvidence(
        log_e=non_inferiority(pairs, margin, PROMPT_BETS),
        log_worse=EProcess.of(pairs, PROMPT_BETS, -margin, below=True).log_e,
        log_e_needed=math.log(1 / alpha),
        margin=margin,
        n_pairs=sum(len(p.gains) for p in pairs),
    )


def _share(block: RaceBlock, spec_id: str, known: dict[str, bool] | None, draw: int) -> float:
    """The share of a spec's answers to one draw that passed."""
    if known is not None:
        return float(known[block.prompts[draw]])
    return block.passes[spec_id][draw] / block.asked[spec_id]
