"""Changes of two sides put together: each keeps what the other did not touch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import Rule
from selfopt.routing import diff, merged

from .make import rule

NAMES = ("m/a", "m/b", "m/c", "m/d")
rules = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("m/x", "m/y", "m/z"))).map(
    lambda found: [rule(model, allow=False, fallback=to) for model, to in sorted(found.items())]
)


def by_model(found: list[Rule] | tuple[Rule, ...]) -> dict[str, str | None]:
    """The fallback of each model."""
    return {one.model: one.fallback for one in found}


@given(rules, rules, rules)
def test_each_change_is_there_unless_the_other_side_changed_the_same_rule(
    base: list[Rule], mine: list[Rule], theirs: list[Rule]
) -> None:
    """Theirs always counts; what was left out of mine is said, and was changed by both in different ways."""
    found, left_out = merged(base, mine, theirs)
    was, my, their, is_now = by_model(base), by_model(mine), by_model(theirs), by_model(found)
    lost = {change.rule.model for change in left_out}
    for name in NAMES:
        mine_changed, theirs_changed = my.get(name) != was.get(name), their.get(name) != was.get(name)
        assert is_now.get(name) == (my.get(name) if mine_changed and not theirs_changed else their.get(name))
        assert (name in lost) == (mine_changed and theirs_changed and my.get(name) != their.get(name))


@given(rules, rules)
def test_with_one_side_unchanged_the_other_is_the_result(base: list[Rule], changed: list[Rule]) -> None:
    """In whatever order the two are given."""
    for mine, theirs in ((changed, base), (base, changed)):
        found, left_out = merged(base, mine, theirs)
        assert diff(found, changed) == ()
        assert left_out == ()
