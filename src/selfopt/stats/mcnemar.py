"""McNemar's exact test, for comparison with the e-process over prompts."""

from __future__ import annotations

from .beta import incomplete_beta


def mcnemar_p(wins: int, losses: int) -> float:
    """One-sided p-value of "the candidate wins no more prompts than it loses": P(X >= wins), X ~ Binomial(wins + losses, 1/2).

    Exact given the number of prompts on which the two differ; 1 where they differ on none. Domain: counts of at least 0, one
    pair a prompt. One look at a number of prompts that was fixed beforehand: no peeking, and no adding prompts after a look.
    Source: McNemar (1947), Psychometrika 12. ValueError for negative counts.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins and {losses} losses: need counts of at least 0")
    # P(X >= w) = I_{1/2}(w, n - w + 1).
    return 1.0 if wins == 0 else incomplete_beta(wins, losses + 1, 0.5)
