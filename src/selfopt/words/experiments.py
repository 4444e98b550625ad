"""Cycles, races and comparisons, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfopt.home import counted
from selfopt.records import RaceEnd, RaceStanding, RaceStart

from .evidence import ended_text, points


def measuring_sentence(running: Sequence[str]) -> str:
    """Which commands measure now, as a part of a sentence."""
    *others, last = [f"selfopt {one}" for one in running]
    return f"{', '.join(others)} and {last} are measuring now" if others else f"{last} is measuring now"


def experiments_sentence(cycles: int, promoted: int, running: Sequence[str]) -> str:
    """What the loop has done so far, in a sentence without a full stop.

    Args:
        cycles: how many there are. promoted: candidates that were promoted in those that are shown.
        running: the commands that measure now.
    """
    now = measuring_sentence(running) if running else "nothing is running now"
    if not cycles:
        return f"No cycle was begun yet; {now}"
    won = counted(promoted, "candidate") if promoted else "no candidate"
    return f"The loop has run {counted(cycles, 'cycle')}, and promoted {won} in the newest; {now}"


def race_sentence(start: RaceStart, end: RaceEnd | None, standings: Sequence[RaceStanding]) -> str:
    """How a race goes or ended, in a sentence without a full stop."""
    trials = max((one.trials for one in standings), default=0)
    where = "held-out prompts" if start.purpose == "heldout" else "search prompts"
    racing = f"{counted(len(start.entrants), 'candidate')} over {len(start.prompt_ids)} {where}"
    if end is None:
        return f"{racing}, {counted(trials, 'trial')} of each candidate so far"
    after = f"after {counted(end.blocks, 'block')}, {counted(end.trials, 'trial')}"
    if end.winner_spec_id is not None:
        return f"{racing}: one was promoted {after}"
    return f"{racing}: {ended_text(end.ended_by, end.detail)} {after}"


def standing_sentence(one: RaceStanding) -> str:
    """How far the evidence on a candidate is from its border, in a sentence without a full stop."""
    said = (
        f"the evidence for it is {_factor(one.log_e)} of {_factor(one.log_e_needed)} needed, against it {_factor(one.log_f)} of "
        f"{_factor(one.log_f_needed)}; {points(one.estimate)} after {counted(one.trials, 'trial')}"
    )
    return said if one.more_trials is None else f"{said}; about {one.more_trials} more trials would decide"


def _factor(log: float) -> str:
    return f"{math.exp(min(log, 700.0)):.3g}"


def pairs_sentence(better: int, worse: int, alike: int, one_sided: int) -> str:
    """Which of two evaluations passes more, in a sentence without a full stop.

    Args:
        better, worse, alike: how many prompts that both were asked the right one passes more often, less often, as often.
        one_sided: how many prompts only one of them was asked.
    """
    both = better + worse + alike
    if not both:
        return "The two were not asked a single prompt in common"
    if not better and not worse:
        said = f"Both do equally well on {counted(both, 'prompt')}"
    else:
        said = f"The right one does better on {counted(better, 'prompt')}, worse on {worse}, and equally well on {alike}"
    return (
        f"{said}; {counted(one_sided, 'other prompt')} {'was' if one_sided == 1 else 'were'} asked of one alone"
        if one_sided
        else said
    )
