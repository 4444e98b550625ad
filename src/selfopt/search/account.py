"""What a search tells of itself: how each way to ask ended, what nothing beats, and what each part of
a point contributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.records import PartShare, WayEnd
from selfopt.variants.space import Point, asking_part, contradiction, parts_by_name, point_of, point_text

from .archive import Archive, RankedPoint, SeenWay, reading_text
from .marks import ReplyMark
from .search import Search


def ended(search: Search, look: SeenWay) -> WayEnd:
    """How a way to ask ended. That of the best is `ranked`."""
    objective, best = search.archive.objective, search.archive.best_of(look)
    if best is None:
        return "not_asked"
    if look.asked < len(search.plan.prompts):
        return "cut_off" if search.may_climb(look) else "below_best"
    if objective.over_limit(look.cost):
        return "over_limit"
    if best.restraint is not None and best.restraint < objective.restraint:
        return "below_floor"
    return "ranked"


def frontier(archive: Archive, *, least: int) -> list[RankedPoint]:
    """The points that nothing beats in both call accuracy and restraint, the most restrained first.

    Only ways to ask that were asked on so many prompts, with every reading. Of equal points the one
    of fewest choices stays.
    """
    every = [one for look in archive.looks.values() if look.asked >= least for one in archive.standings(look)]
    found: list[RankedPoint] = []
    for one in sorted(every, key=lambda one: (*(-figure for figure in _figures(one)), len(one.point), point_text(one.point))):
        if not found or _figures(one)[1] > _figures(found[-1])[1] + 1e-9:
            found.append(one)
    return found


def _figures(one: RankedPoint) -> tuple[float, float]:
    return one.restraint or 0.0, one.call_accuracy or 0.0


def shares(archive: Archive, winner: Point) -> list[PartShare]:
    """What each part of a point contributes, in the order of the parts. Nothing is asked for it."""
    with_it = _marks(archive, winner)
    return [_share(archive, winner, name, with_it) for name in point_of(winner)]


def _share(archive: Archive, winner: Point, name: str, with_it: Mapping[str, ReplyMark]) -> PartShare:
    without = {part: choice for part, choice in winner.items() if part != name}
    default = parts_by_name()[name].default
    if contradiction(without) is not None:
        return PartShare(part=name, choice=winner[name], default=default, possible=False)
    without_it = _marks(archive, without)
    both = [one for one in with_it if one in without_it]
    pairs = [(with_it[one], without_it[one]) for one in both]
    calling, idle = ([pair for pair in pairs if pair[0].needs_call is needs] for needs in (True, False))
    return PartShare(
        part=name,
        choice=winner[name],
        default=default,
        n=len(pairs),
        gain=_gain(pairs),
        call_gain=_gain(calling),
        restraint_gain=_gain(idle),
    )


def _marks(archive: Archive, point: Point) -> Mapping[str, ReplyMark]:
    look = archive.looks.get(point_text(asking_part(point)))
    return look.marks.get(reading_text(point), {}) if look is not None else {}


def _gain(pairs: Sequence[tuple[ReplyMark, ReplyMark]]) -> float | None:
    return sum(one.good - other.good for one, other in pairs) / len(pairs) if pairs else None
