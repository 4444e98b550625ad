"""How often answers have to be repeated before a check takes them for exact.

Repeats that agree may be luck: a prompt that fails one time in ten passes twice in four of five tries. So a check
takes a figure for exact only where luck is ruled out, at a share of the chances of error that its criterion has.

The bound. Let prompt j pass with the probability p_j, and let X_j be its outcome, if all its k answers agree. Then
E[exp(s (X_j - p_j)); they agree] = exp(-s p_j) (p_j^k e^s + (1 - p_j)^k), which is at most 1 for s <= k and k >= 2.
So by Markov's inequality all n prompts agree, and their share of passes is off by t or more, with a chance of at
most exp(-s n t). With two sides the factors multiply, and the bound holds for their difference. Where each prompt is
asked a second time with the probability r, the factor is at most 1 for r >= (s - 1 + e^-s) / (1 + e^-s).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from selfopt.records import CheckSettings, CheckStart, Outcome

from .check import CheckRace
from .check_tracks import MeanTrack

EXACT_SHARE = 0.25
"""The part of alpha and beta that exact verdicts may spend. The rest is for the evidence where repeats differ."""
LEAST_RUNS = 7
"""How often each prompt has to be in a recorded state, unless its repeats are copies."""
MOST_RUNS = 1000
_CONFIRMED = 3  # the fewest answers that a difference, or a failure, rests on


def second_share(s: float) -> float:
    """The share of the prompts that have to be asked twice for a bound of exp(-s n t), with s in [0, 2]."""
    return (s - 1 + math.exp(-s)) / (1 + math.exp(-s))


def sample_size(n_prompts: int, settings: CheckSettings) -> int:
    """How many prompts to ask twice, as far as that is enough; else all of them."""
    s = _luck(settings.alpha, settings) / (n_prompts * min(settings.max_regression, settings.tolerance))
    return n_prompts if s >= 2 else math.ceil(second_share(s) * n_prompts)


def least_runs(n_prompts: int, settings: CheckSettings) -> int:
    """How many complete runs that agree are exact; 2 or more."""
    return max(2, math.ceil(_luck(settings.alpha, settings) / (n_prompts * settings.max_regression)))


def varying_runs(n_prompts: int, settings: CheckSettings) -> int:
    """How many complete runs of prompts that vary a check can be decided against, nearly always.

    Simulated (`selfopt.simulate.checks`): of unchanged builds of 6, 12, 30 and 100 prompts, 40 % of them flaky, 92 to 97 %
    pass against 900 to 1,000 recorded answers where a loss of 5 points has to be ruled out.
    """
    return min(MOST_RUNS, max(LEAST_RUNS, math.ceil(2.5 / settings.max_regression**2 / n_prompts)))


def answers_needed(start: CheckStart, twice: Collection[str]) -> tuple[dict[str, int], dict[str, int]]:
    """How many answers of each prompt have to agree before an exact verdict counts, now and before.

    Args:
        start: an exact check: the outcomes of all sides are known.
        twice: the prompts whose answers were repeated on every side.
    """
    race = CheckRace(start)
    now = dict.fromkeys(start.prompt_ids, 1) | dict.fromkeys(twice, 2)
    before = dict(now)
    for track in race.tracks:
        sides = (now, before) if track.is_loss else (now,)
        members = [start.prompt_ids[j] for j in sorted(track.members)]
        for side in sides:
            _raise_to(side, members, _against_luck(track, members, twice, start.settings))
        if track.verdict == "fail":
            _raise_to(now, *_failing(start, track, members))
    differing = [name for name in start.prompt_ids if start.before is not None and _differs(start, name)]
    for side in (now, before):
        _raise_to(side, differing, _CONFIRMED)
    for name in start.must_pass:
        _raise_to(now, [name], _prompt_answers(start, race, passes=_passes(start.now.known, name)))
    return now, before


def _raise_to(side: dict[str, int], names: Collection[str], answers: int) -> None:
    for name in names:
        side[name] = max(side[name], answers)


def _luck(alpha: float, settings: CheckSettings) -> float:
    """How unlikely luck has to be, as -ln of its chance."""
    return -math.log(EXACT_SHARE * min(alpha, settings.beta))


def _against_luck(track: MeanTrack, members: Collection[str], twice: Collection[str], settings: CheckSettings) -> int:
    """How often its prompts have to be asked so that the figure is not off by the whole tolerance."""
    s = _luck(track.alpha, settings) / (len(members) * (settings.max_regression if track.is_loss else settings.tolerance))
    if s < 2 and sum(name in twice for name in members) >= second_share(s) * len(members):
        return 1
    return max(2, math.ceil(s))


def _failing(start: CheckStart, track: MeanTrack, members: Collection[str]) -> tuple[list[str], int]:
    """The prompts that a figure fails by, and how often they have to fail.

    A good figure would have to hide in them: what is missing to the threshold, or half a prompt if that is more.
    """
    known = start.now.known
    failing = [name for name in members if not _passes(known, name)]
    if track.is_loss or track.exact is None:
        return failing, 1
    missing = max((track.threshold - track.exact) * len(members), 0.5)
    return failing, max(_CONFIRMED, math.ceil(-math.log(EXACT_SHARE * track.alpha) / missing))


def _prompt_answers(start: CheckStart, race: CheckRace, *, passes: bool) -> int:
    """How many equal answers show on which side of the floor a prompt that must pass is."""
    settings = start.settings
    chance, floor = (settings.beta, settings.must_pass_floor) if passes else (race.prompt_alpha, 1 - settings.must_pass_floor)
    return math.ceil(math.log(chance) / math.log(floor))


def _passes(known: Mapping[str, Outcome] | None, name: str) -> bool:
    return known is not None and known[name] is Outcome.PASS


def _differs(start: CheckStart, name: str) -> bool:
    known = start.before.known if start.before is not None else None
    return known is not None and _passes(known, name) is not _passes(start.now.known, name)
