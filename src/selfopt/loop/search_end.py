"""What a search tells at its end, as records: the ranking, and how it came about."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.records import ProposerRating, SearchEnd, SearchStanding, SearchStart, Spec, TriedWay
from selfopt.search.account import ended, frontier, shares
from selfopt.search.archive import RankedPoint
from selfopt.search.foresight import Foresight, foresight
from selfopt.search.search import Search
from selfopt.variants.space import Point, point_text


def standing_of(one: RankedPoint, spec: Spec | None) -> SearchStanding:
    """A point as a record. spec: what it makes; None: it is not kept."""
    return SearchStanding(
        point=dict(one.point),
        spec_id=spec.spec_id if spec is not None else "",
        value=one.value,
        n=one.n,
        by=one.by,
        accuracy=one.accuracy,
        call_accuracy=one.call_accuracy,
        restraint=one.restraint,
        latency_s=one.cost.latency_s,
        tokens=one.cost.tokens,
        requests=one.cost.requests,
    )


def ended_search(start: SearchStart, search: Search, spec_of: Callable[[Point], Spec]) -> tuple[SearchEnd, list[Spec]]:
    """The end of a search, and the specs of its ranking.

    The caller fills in what it counts itself: trials, the cap and the time. A way to ask that takes
    more than it may is told of, and not ranked.
    """
    archive, prompts = search.archive, len(search.plan.prompts)
    allowed = [one for one in search.ranking() if not archive.objective.over_limit(one.cost)]
    specs = [spec_of(one.point) for one in allowed]
    end = SearchEnd(
        search_id=start.search_id,
        ranking=tuple(standing_of(one, spec) for one, spec in zip(allowed, specs, strict=True)),
        requests=0,
        compared=sum(len(look.marks) for look in archive.looks.values()),
        tried=_tried(search),
        frontier=tuple(standing_of(one, None) for one in frontier(archive, least=prompts)),
        parts=tuple(shares(archive, allowed[0].point)) if allowed else (),
        proposers=_ratings(search),
        at="",
    )
    return end, specs


def _tried(search: Search) -> tuple[TriedWay, ...]:
    best = [(look, search.archive.best_of(look)) for look in search.archive.looks.values()]
    made = [TriedWay(best=standing_of(one, None), ended=ended(search, look)) for look, one in best if one is not None]
    return tuple(sorted(made, key=lambda way: (-way.best.n, -way.best.value, point_text(way.best.point))))


def _ratings(search: Search) -> tuple[ProposerRating, ...]:
    looks, expected = search.archive.looks.values(), foresight(search.archive)
    found = []
    for name in dict.fromkeys(look.by for look in looks):
        mine = [look for look in looks if look.by == name]
        true = expected.get(name, Foresight())
        found.append(
            ProposerRating(
                by=name,
                ways=len(mine),
                paid=sum(look.asked >= len(search.plan.prompts) for look in mine),
                fixed=true.fixed,
                of_fixes=true.of_fixes,
                broken=true.broken,
                of_breaks=true.of_breaks,
            )
        )
    return tuple(found)
