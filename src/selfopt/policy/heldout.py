"""The held-out gate: what won on the prompts it was tuned on has to hold on prompts that nothing was tuned on.

Stochastic specs race once more, the winner alone, on the held-out split with fresh trials (`heldout_settings`). Deterministic ones
answer each held-out prompt once (`prompt_test`). Either spends a share of the held-out family's alpha (`next_share`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Literal

from selfopt.errors import EvidenceError
from selfopt.records import EvidenceKey, PromptTest, RaceSettings
from selfopt.stats import FINAL_SHARE, PROMPT_BETS, Interval, PromptDifferences, prompt_evidence

from .spending import AlphaShare

MIN_HELDOUT_PROMPTS = 100


def heldout_claim(scope: str, n_heldout: int) -> Literal["this_suite", "prompts_like_these"]:
    """What a decision can be about. A suite that is the whole work has no other prompts; fewer than 100 held-out ones tell too little
    about others."""
    return "prompts_like_these" if scope == "sample" and n_heldout >= MIN_HELDOUT_PROMPTS else "this_suite"


def heldout_settings(settings: RaceSettings, margin: float, *, better: bool = False) -> RaceSettings:
    """How the winner of a race runs on the held-out prompts: to show that it is not worse by the margin (dropped when it is shown
    to be worse at all), or, asked for `better`, that it is better. EvidenceError for a margin outside (0, 1)."""
    if better:
        return settings
    if not 0 < margin < 1:
        raise EvidenceError(f"held-out margin {margin}: need a share strictly between 0 and 1, such as 0.03 for 3 points")
    return settings.model_copy(update={"null_mean": -margin, "smallest_gain": margin})


def prompt_test(
    key: EvidenceKey,
    outcomes: tuple[Mapping[str, bool], Mapping[str, bool]],
    *,
    clusters: Mapping[str, str],
    share: AlphaShare,
    order_seed: str,
    at: str,
    null_mean: float = 0.0,
    cycle_id: str | None = None,
) -> PromptTest:
    """Test two deterministic specs on their outcomes per held-out prompt, (candidate's, baseline's). clusters: tool set by prompt.

    By default for "better", not "not worse": on these specs a search gives exact figures and no evidence about other prompts, so
    this test alone carries the promise. Prompts are taken in an order drawn with order_seed; the evidence is looked at after each,
    and most of the capital waits for all of them (see `prompt_evidence`). EvidenceError for prompts that only one has answered,
    for none at all, and for an alpha that is used up.
    """
    if share.used_up:
        raise EvidenceError(share.detail)
    pairs = _in_order(outcomes, order_seed, clusters)
    needed = math.log(1 / share.alpha)
    log_e = _highest(pairs, null_mean, share.alpha)
    passed = log_e >= needed
    interval = _interval(pairs, share.alpha, passed) if null_mean == 0 else pairs.interval(share.alpha)
    beside = pairs.clustered()
    return PromptTest(
        test_id=f"prompt-test-{key.key_id}-{share.number}",
        cycle_id=cycle_id,
        key=key,
        order_seed=order_seed,
        family=share.family,
        number=share.number,
        alpha=share.alpha,
        null_mean=null_mean,
        n=pairs.n,
        wins=pairs.wins,
        losses=pairs.losses,
        log_e=log_e,
        log_e_needed=needed,
        estimate=pairs.gain,
        interval=(interval.low, interval.high),
        confidence=max(0.0, 1 - 2 * share.alpha),
        clustered=(beside.low, beside.high) if beside and beside.low is not None and beside.high is not None else None,
        clusters=beside.clusters if beside else 0,
        p_mcnemar=pairs.mcnemar,
        passed=passed,
        at=at,
    )


def prompt_steps(
    test: PromptTest, outcomes: tuple[Mapping[str, bool], Mapping[str, bool]]
) -> Iterator[tuple[PromptDifferences, float]]:
    """A test once more, prompt by prompt: what was seen so far, and log E then, beginning with nothing. outcomes: as the test had them.
    EvidenceError when these are others."""
    pairs = _in_order(outcomes, test.order_seed, {})
    if (pairs.n, pairs.wins, pairs.losses) != (test.n, test.wins, test.losses):
        raise EvidenceError(
            f"{pairs.n} held-out outcomes, {pairs.wins} won and {pairs.losses} lost, where {test.test_id} saw {test.n}, {test.wins} and {test.losses}"
        )
    for n in range(pairs.n + 1):
        so_far = PromptDifferences(pairs.differences[:n])
        yield so_far, prompt_evidence(so_far, mean=test.null_mean, planned=pairs.n, alpha=test.alpha, bets=PROMPT_BETS)


def _in_order(
    outcomes: tuple[Mapping[str, bool], Mapping[str, bool]], order_seed: str, clusters: Mapping[str, str]
) -> PromptDifferences:
    ours, theirs = outcomes
    if ours.keys() != theirs.keys() or not ours:
        odd = sorted(ours.keys() ^ theirs.keys())
        raise EvidenceError(
            f"held-out outcomes are missing ({', '.join(odd[:5]) or 'there are none'}): candidate and baseline each need one for every prompt"
        )
    order = sorted(ours)
    random.Random(order_seed).shuffle(order)
    return PromptDifferences(tuple(int(ours[p]) - int(theirs[p]) for p in order), tuple(clusters.get(p, p) for p in order))


def _interval(pairs: PromptDifferences, alpha: float, passed: bool) -> Interval:
    """The gains that this test does not refute. Gains of at most 0 are refuted by what decides, waiting capital included; larger
    ones by the bets with the whole capital: each value has its own test at level alpha, so the set covers with 1 - alpha a side."""
    whole = pairs.interval(alpha)
    if passed:
        return Interval(max(0.0, whole.low), whole.high)
    return Interval(min(0.0, pairs.interval(alpha * (1 - FINAL_SHARE)).low), whole.high)


def _highest(pairs: PromptDifferences, null_mean: float, alpha: float) -> float:
    """The largest evidence seen on the way: by Ville's inequality it may be compared with the border like any other."""
    return max(
        prompt_evidence(PromptDifferences(pairs.differences[:n]), mean=null_mean, planned=pairs.n, alpha=alpha, bets=PROMPT_BETS)
        for n in range(1, pairs.n + 1)
        if n == pairs.n or pairs.differences[n - 1] > null_mean  # it can only rise there
    )
