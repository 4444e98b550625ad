"""What the catalogue proposes for which finding."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.loop.candidates import changes, describe_change, propose
from selfopt.records import Finding, FindingKind, Sampling, SearchSpace, Spec, Variant, WarmUp
from tests.examples import some_of
from tests.loop.proposers.kit import BASE, NAMES, SPACE, VARIANTS, finding


def proposed(*findings: Finding, limit: int = 3, baseline: Spec = BASE, tried: set[str] | None = None) -> list[str]:
    """The changes proposed, in words."""
    space = SearchSpace(VARIANTS, tried=tried or set())
    return [describe_change(baseline, s) for s in propose(baseline, findings, space, limit)]


def to(name: str, base: str = "native_api") -> str:
    return f"variant {base} -> {name}"


def test_an_unread_format_is_answered_with_parsers_first() -> None:
    """They cost nothing to try, because old replies can be judged again."""
    assert proposed(finding("unread_format")) == [to("native_parsed"), to("restrained"), to("few_shot_constrained")]


def test_a_mute_model_is_answered_with_examples_and_a_grammar() -> None:
    """Nothing was written that a parser could read."""
    mute = finding("capability_limit", missed_share=0.75, wrong_share=0.0)
    assert proposed(mute) == [to("few_shot_constrained"), to("constrained"), to("restrained")]


def test_a_model_that_calls_too_much_is_held_back_first() -> None:
    """A sentence on when not to call."""
    assert proposed(finding("capability_limit", missed_share=0.1, uncalled_for_share=0.4))[0] == to("restrained")


def test_a_cold_start_that_costs_accuracy_is_answered_with_warm_up_first() -> None:
    """One that costs time only can't win by equal outcomes, so it comes after the variants."""
    assert proposed(finding("cold_start", case="accuracy"))[0] == "warm-up off -> on"
    late = proposed(finding("cold_start", case="latency"), limit=20)
    assert late.index("warm-up off -> on") > late.index(to("constrained"))


def test_warm_up_is_not_proposed_where_it_is_on_or_switched_off() -> None:
    """No change, no candidate."""
    warm = BASE.model_copy(update={"warm_up": WarmUp(enabled=True)})
    cold = finding("cold_start", case="accuracy")
    assert not any("warm-up" in text for text in proposed(cold, limit=20, baseline=warm))
    never = propose(BASE, [cold], SearchSpace(VARIANTS, warm_up=False), 20)
    assert not any(s.warm_up.enabled for s in never)


def test_a_mute_model_gets_a_variant_that_makes_calls_before_more_tokens() -> None:
    """Cut off replies without one right call: a longer text would not be a call either."""
    mute = finding("truncation", calls_right=0)
    first, *_ = propose(BASE, [mute], SPACE, 3)
    assert first.variant.name == "few_shot_constrained"
    unread = propose(BASE, [finding("truncation"), finding("unread_format")], SPACE, 2)
    assert [s.variant.name for s in unread] == ["native_parsed", "restrained"]


def test_truncation_is_answered_with_a_larger_budget() -> None:
    """Twice, then four times as many tokens; asked again, the name does not grow."""
    first, second = propose(BASE, [finding("truncation")], SPACE, 2)
    assert (first.variant.sampling.max_tokens, second.variant.sampling.max_tokens) == (320, 640)
    assert first.variant.name == "native_api+max_tokens=320"
    again = propose(first, [finding("truncation")], SPACE, 1)
    assert again[0].variant.name == "native_api+max_tokens=640"


def test_infrastructure_is_answered_by_what_is_missing() -> None:
    """Errors: retries first; timeouts: time first."""
    assert proposed(finding("infrastructure", errors=3, timeouts=1), limit=1) == ["retries 0 -> 2"]
    assert proposed(finding("infrastructure", errors=0, timeouts=4), limit=1) == ["timeout_s 60 -> 120"]


def test_flakiness_is_answered_with_isolation_and_temperature_0() -> None:
    """Temperature only where it is above 0."""
    hot = BASE.model_copy(update={"variant": Variant(name="hot", sampling=Sampling(temperature=0.7))})
    texts = proposed(finding("flaky"), limit=20, baseline=hot)
    assert "isolate off -> on" in texts
    assert to("hot+temperature=0", "hot") in texts
    assert not any("temperature" in text for text in proposed(finding("flaky"), limit=20))


def test_at_a_ceiling_only_limits_are_tried() -> None:
    """No variant can do better."""
    assert proposed(finding("ceiling"), limit=5) == ["timeout_s 60 -> 120", "retries 0 -> 2"]


def test_the_variant_of_the_other_phase_is_never_proposed_and_ones_own_come_last() -> None:
    """`extended` is written for conversations."""
    texts = proposed(limit=20)
    assert to("extended") not in texts
    assert to("atomic") in texts
    assert texts.index(to("my_own")) > texts.index(to("few_shot"))
    long = BASE.model_copy(update={"phase": "extended"})
    assert to("extended") in proposed(limit=20, baseline=long)
    assert to("atomic") not in proposed(limit=20, baseline=long)


def test_what_was_tried_against_this_baseline_is_not_proposed_again() -> None:
    """The next in order moves up."""
    first = propose(BASE, [finding("unread_format")], SPACE, 1)[0]
    assert proposed(finding("unread_format"), limit=1, tried={first.spec_id}) == [to("restrained")]


ANY = st.builds(finding, st.sampled_from(get_args(FindingKind))) | st.builds(
    lambda share: finding("capability_limit", missed_share=share), st.floats(0, 1)
)


@settings(max_examples=some_of(80), deadline=None)
@given(
    st.lists(ANY, max_size=4),
    st.integers(0, 15),
    st.sampled_from(NAMES),
    st.sets(st.integers(0, 15)),
)
def test_every_candidate_is_the_baseline_with_exactly_one_change(
    findings: list[Finding], limit: int, variant: str, tried: set[int]
) -> None:
    """At most the limit, none twice, none that is excluded."""
    baseline = BASE.model_copy(update={"variant": VARIANTS[variant]})
    every = propose(baseline, findings, SPACE, 50)
    exclude = {spec.spec_id for i, spec in enumerate(every) if i in tried}
    chosen = propose(baseline, findings, SearchSpace(VARIANTS, tried=exclude), limit)
    assert [s.spec_id for s in chosen] == [s.spec_id for s in every if s.spec_id not in exclude][:limit]
    assert all(len(changes(baseline, s)) == 1 for s in chosen)
    assert len({s.spec_id for s in chosen} | {baseline.spec_id}) == len(chosen) + 1


LATER = {**VARIANTS, "restrained@2": Variant(name="restrained@2", tag="restrained@2", parsers=("all@2", "ground@2"))}


def test_the_baseline_read_anew_comes_first_where_anything_was_found() -> None:
    """It asks nothing, and is the variant of the catalogue where there is one like it."""
    space = SearchSpace(LATER)
    for kind in ("unread_format", "capability_limit", "call_in_thinking"):
        first, second, *_ = propose(BASE, [finding(kind)], space, 3)
        assert (first.variant.name, first.variant.parsers) == ("native_api+all@2", ("all@2",))
        assert first.request_id == BASE.request_id
        assert second.spec_id != first.spec_id
    known = BASE.variant.model_copy(update={"name": "native_parsed@2", "parsers": ("all@2",)})
    (named,) = propose(BASE, [finding("unread_format")], SearchSpace({**LATER, known.name: known}), 1)
    assert named.variant == known
    fitting = BASE.model_copy(update={"variant": BASE.variant.model_copy(update={"parsers": ("native", "fit")})})
    assert propose(fitting, [finding("flaky")], space, 1)[0].variant.parsers == ("all@2", "fit@2")


def test_a_baseline_that_is_read_so_is_not_read_anew() -> None:
    """Nor is one with nothing to find."""
    later = BASE.model_copy(update={"variant": LATER["restrained@2"]})
    assert "+all@2" not in " ".join(
        spec.variant.name for spec in propose(later, [finding("unread_format")], SearchSpace(LATER), 50)
    )
    assert "+all@2" not in " ".join(spec.variant.name for spec in propose(BASE, [], SearchSpace(LATER), 50))


def test_of_two_versions_the_later_one_is_proposed() -> None:
    """The earlier one has its evidence, and is not tried anew."""
    names = [spec.variant.name for spec in propose(BASE, [], SearchSpace(LATER), 50)]
    assert "restrained@2" in names
    assert "restrained" not in names
    assert "few_shot" in names
