"""Figures as people read them. A missing figure says that it was not measured."""

from __future__ import annotations

from selfopt.records import Evaluation

NOT_MEASURED = "not measured"


def share(value: float | None) -> str:
    """A share in [0, 1] with two decimals, or three if two would round it to 0 or 1."""
    if value is None:
        return NOT_MEASURED
    text = f"{value:.2f}"
    return f"{value:.3f}" if text in ("0.00", "1.00") and value not in (0.0, 1.0) else text


def signed(value: float | None) -> str:
    """A difference of shares, with its sign."""
    return NOT_MEASURED if value is None else f"{value:+.3f}".removesuffix("0")


def milliseconds(value: float | None) -> str:
    """A time in milliseconds, shown in seconds from ten seconds on."""
    if value is None:
        return NOT_MEASURED
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def arrow(before: str, after: str) -> str:
    """`before -> after`."""
    return f"{before} -> {after}"


def prompts(evaluation: Evaluation) -> str:
    """The number of prompts of an evaluation, such as `8 prompts`."""
    return f"{len(evaluation.rows)} prompt" + ("" if len(evaluation.rows) == 1 else "s")


def runs(evaluation: Evaluation) -> str:
    """The number of runs and prompts of an evaluation, and what is known about its determinism."""
    count = f"{evaluation.n_runs} run" + ("" if evaluation.n_runs == 1 else "s") + f" of {prompts(evaluation)}"
    words = {"sampled": ", determinism sampled", "complete": ", deterministic", "refused": ", refused by the server"}
    return count + words.get(evaluation.determinism, "")
