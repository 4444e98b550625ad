"""How alpha is spent over the decisions of a family."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.policy import AlphaPlan, heldout_family, next_share, search_family
from selfopt.records import RaceStart
from tests.ledger.race_samples import race_start


def spent_by(family: str, number: int, alpha: float) -> RaceStart:
    """A race that spent so much."""
    return race_start().model_copy(update={"family": family, "number": number, "alpha": alpha})


@given(st.lists(st.tuples(st.floats(0.001, 0.5), st.one_of(st.none(), st.integers(1, 12))), min_size=1, max_size=40))
def test_a_family_never_spends_more_than_the_alpha_it_is_promised(plans: list[tuple[float, int | None]]) -> None:
    """Also when alpha and horizon are changed from one decision to the next: at most the largest that was ever chosen."""
    spent: list[RaceStart] = []
    for alpha, horizon in plans:
        share = next_share(AlphaPlan(alpha, horizon=horizon), "search", spent)
        assert share.spent == pytest.approx(math.fsum(s.alpha for s in spent))
        assert share.used_up == (share.alpha == 0)
        spent.append(spent_by("search", share.number, share.alpha))
    assert math.fsum(s.alpha for s in spent) <= max(alpha for alpha, _ in plans) + 1e-12


def test_families_do_not_share() -> None:
    """What another model, or the held-out split, spent is not counted."""
    mine = search_family("local/m", "atomic", "suite-1")
    others = [
        spent_by(search_family("local/n", "atomic", "suite-1"), 1, 0.025),
        spent_by(heldout_family("local/m", "atomic", "suite-1"), 1, 0.025),
    ]
    share = next_share(AlphaPlan(0.05), mine, others)
    assert (share.family, share.number, share.alpha, share.spent) == (mine, 1, 0.025, 0)


def test_a_used_up_family_says_so_and_what_to_do() -> None:
    """Two decisions were planned; the third gets nothing."""
    spent = [spent_by("heldout", n, next_share(AlphaPlan(0.05, horizon=2), "heldout", []).alpha) for n in (1, 2)]
    share = next_share(AlphaPlan(0.05, horizon=2), "heldout", spent)
    assert (share.used_up, share.alpha) == (True, 0.0)
    assert "fresh prompts" in share.detail


def test_a_race_of_resumed_candidates_only_takes_no_share() -> None:
    """It spends nothing, so the next cycle's share is not a later and smaller one."""
    spent = [spent_by("search", 1, 0.025), spent_by("search", 2, 0.0)]
    share = next_share(AlphaPlan(0.05), "search", spent)
    assert share.number == 2
    assert share.alpha == pytest.approx(0.05 / 6)


def test_elond_pays_for_promotions() -> None:
    """One promotion before doubles the share of the second decision."""
    plan, spent = AlphaPlan(0.05, "elond"), [spent_by("search", 1, 0.025)]
    assert next_share(plan, "search", spent).alpha == pytest.approx(0.05 / 6)
    assert next_share(plan, "search", spent, promotions=1).alpha == pytest.approx(0.1 / 6)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 0.7}, {"alpha": math.nan}, {"horizon": 0}])
def test_plans_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """alpha in (0, 0.5], at least one decision."""
    with pytest.raises(UsageError, match=r"need|count"):
        AlphaPlan(**{"alpha": 0.05, **options})
