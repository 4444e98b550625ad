"""The held-out gate: does the winner of a search hold up on prompts that nothing was tuned on?

A stochastic winner races once more, alone, on fresh trials of the held-out split
(`heldout_settings`). A deterministic winner answers each held-out prompt once, and a stochastic one
that was chosen by a screening a planned number of times (`prompt_test`). All spend a share of the
alpha of the held-out family (`next_share`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Literal

from selfopt.errors import EvidenceError
from selfopt.records import EvidenceKey, PromptTest, RaceSettings
from selfopt.stats import FINAL_SHARE, PROMPT_BETS, Interval, PromptDifferences, planned_log_e, prompt_evidence

from .spending import AlphaShare

MIN_HELDOUT_PROMPTS = 100

Outcomes = Mapping[str, float]
"""What a spec made of each prompt, by prompt id: whether it passes, or the share of its answers that pass."""


def heldout_claim(scope: str, n_heldout: int) -> Literal["this_suite", "prompts_like_these"]:
    """What a decision can claim.

    A suite with the scope `whole` has no other prompts, and fewer than 100 held-out prompts say too
    little about others.
    """
    return "prompts_like_these" if scope == "sample" and n_heldout >= MIN_HELDOUT_PROMPTS else "this_suite"


def heldout_settings(settings: RaceSettings, margin: float, *, better: bool = False) -> RaceSettings:
    """The settings of the winner's race on the held-out prompts.

    By default the race shows that the winner is not worse by the margin, and drops it once it is
    shown to be worse at all.

    Args:
        margin: in (0, 1).
        better: the race must show that the winner is better.

    Raises:
        EvidenceError: the margin is outside (0, 1).
    """
    if better:
        return settings
    if not 0 < margin < 1:
        raise EvidenceError(f"held-out margin {margin}: need a share strictly between 0 and 1, such as 0.03 for 3 points")
    return settings.model_copy(update={"null_mean": -margin, "smallest_gain": margin})


def prompt_test(
    key: EvidenceKey,
    outcomes: tuple[Outcomes, Outcomes],
    *,
    clusters: Mapping[str, str],
    share: AlphaShare,
    order_seed: str,
    at: str,
    repeats: int = 1,
    cycle_id: str | None = None,
) -> PromptTest:
    """Tests two specs on their outcomes per held-out prompt.

    It asks whether the candidate is better, not whether it is "not worse": after a screening, and
    for deterministic specs, a search gives no evidence about other prompts, so this test alone
    carries the promise. The prompts come in an order drawn with order_seed, and the evidence is
    looked at after each: by `prompt_evidence` where each side answered once, else by
    `planned_log_e`.

    Args:
        outcomes: per prompt, of the candidate and of the baseline: whether it passes, or the share
            of its answers that pass.
        clusters: the tool set of each prompt. share: its level is what the test spends.
        repeats: how many answers a share is of, fixed before the first. 1: outcomes are yes or no.

    Raises:
        EvidenceError: only one side answered a prompt, there are no outcomes, or alpha is used up.
    """
    if share.used_up:
        raise EvidenceError(share.detail)
    pairs = _in_order(outcomes, order_seed, clusters)
    alpha, needed = share.level, -math.log(share.level)
    log_e = _highest(pairs, alpha, repeats)
    passed = log_e >= needed
    interval = _interval(pairs, alpha, passed, repeats)
    beside = pairs.clustered()
    return PromptTest(
        test_id=f"prompt-test-{key.key_id}-{share.number}",
        cycle_id=cycle_id,
        key=key,
        order_seed=order_seed,
        family=share.family,
        number=share.number,
        alpha=alpha,
        null_mean=0.0,
        n=pairs.n,
        repeats=repeats,
        wins=pairs.wins,
        losses=pairs.losses,
        log_e=log_e,
        log_e_needed=needed,
        estimate=pairs.gain,
        interval=(interval.low, interval.high),
        confidence=max(0.0, 1 - 2 * alpha),
        clustered=(beside.low, beside.high) if beside and beside.low is not None and beside.high is not None else None,
        clusters=beside.clusters if beside else 0,
        p_mcnemar=pairs.mcnemar,
        passed=passed,
        at=at,
    )


def prompt_steps(test: PromptTest, outcomes: tuple[Outcomes, Outcomes]) -> Iterator[tuple[PromptDifferences, float]]:
    """Replays a test: yields what was seen and log E, before the first prompt and after each one.

    Raises:
        EvidenceError: these are not the outcomes of the test.
    """
    pairs = _in_order(outcomes, test.order_seed, {})
    if (pairs.n, pairs.wins, pairs.losses) != (test.n, test.wins, test.losses):
        raise EvidenceError(
            f"{pairs.n} held-out outcomes, {pairs.wins} won and {pairs.losses} lost, where {test.test_id} saw {test.n}, {test.wins} and {test.losses}"
        )
    for n in range(pairs.n + 1):
        so_far = PromptDifferences(pairs.differences[:n])
        yield so_far, _evidence(so_far, pairs.n, test.alpha, test.repeats)


def _evidence(so_far: PromptDifferences, planned: int, alpha: float, repeats: int) -> float:
    if repeats == 1:
        return prompt_evidence(so_far, planned=planned, alpha=alpha, bets=PROMPT_BETS)
    return planned_log_e(so_far.differences, planned=planned, alpha=alpha)[-1]


def _in_order(outcomes: tuple[Outcomes, Outcomes], order_seed: str, clusters: Mapping[str, str]) -> PromptDifferences:
    ours, theirs = outcomes
    if ours.keys() != theirs.keys() or not ours:
        odd = sorted(ours.keys() ^ theirs.keys())
        raise EvidenceError(
            f"held-out outcomes are missing ({', '.join(odd[:5]) or 'there are none'}): candidate and baseline each need one for every prompt"
        )
    order = sorted(ours)
    random.Random(order_seed).shuffle(order)
    return PromptDifferences(tuple(ours[p] - theirs[p] for p in order), tuple(clusters.get(p, p) for p in order))


def _interval(pairs: PromptDifferences, alpha: float, passed: bool, repeats: int) -> Interval:
    """The gains that this test does not refute.

    The deciding test, with its waiting capital, refutes gains of at most 0. Bets with the whole
    capital refute larger gains. Each value has a test of its own at level alpha, so each side of
    the interval covers with probability 1 - alpha.
    """
    whole = pairs.interval(alpha)
    if passed:
        return Interval(max(0.0, whole.low), whole.high)
    if repeats > 1:
        return Interval(min(0.0, whole.low), whole.high)
    return Interval(min(0.0, pairs.interval(alpha * (1 - FINAL_SHARE)).low), whole.high)


def _highest(pairs: PromptDifferences, alpha: float, repeats: int) -> float:
    """The largest evidence on the way.

    By Ville's inequality, it may be compared with the border.
    """
    if repeats > 1:
        return max(planned_log_e(pairs.differences, planned=pairs.n, alpha=alpha)[1:])
    return max(
        _evidence(PromptDifferences(pairs.differences[:n]), pairs.n, alpha, repeats)
        for n in range(1, pairs.n + 1)
        if n == pairs.n or pairs.differences[n - 1] > 0  # it can only rise there
    )
