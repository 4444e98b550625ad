"""Which model serves a request."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import RoutingConfig, Rule
from selfopt.routing import format_routed_line, standby_decisions, validate_model_phase_compatibility

from .make import config, options, rule

MODELS = ["a/1", "a/2", "a/3", "cloud/1", "cloud/2", "a/4"]


def test_without_a_rule_the_setting_decides() -> None:
    """unmeasured = allow serves as asked; refuse refuses and says what to do."""
    for rules in (None, config()):
        assert validate_model_phase_compatibility(rules, "a/1", "atomic", options=options()).outcome == "allow"
        refused = validate_model_phase_compatibility(rules, "a/1", "atomic", options=options(unmeasured="refuse"))
        assert (refused.outcome, refused.model) == ("refuse", None)
        assert "selfopt routes set a/1 atomic --allow" in refused.reason


def test_names_match_exactly() -> None:
    """No prefix, glob, tag or case folding; another phase is another rule."""
    rules = config(rule("a/m", allow=False))
    for model in ("a/m:latest", "A/m", "a/M", "a/*", "m", "a/m "):
        assert validate_model_phase_compatibility(rules, model, "extended", options=options()).outcome == "allow"
    assert validate_model_phase_compatibility(rules, "a/m", "atomic", options=options()).outcome == "allow"
    assert validate_model_phase_compatibility(rules, "a/m", "extended", options=options()).outcome == "refuse"


def _lower(name: str) -> str:
    return name.lower().removesuffix(":latest")


def test_a_rule_holds_for_every_name_of_its_model() -> None:
    """A rule of exactly that name comes first, then one that denies."""
    named = options(one_name=_lower)
    rules = config(rule("a/m", allow=False), rule("a/other:latest"), rule("a/other", allow=False))
    for name, outcome in (("a/M:latest", "refuse"), ("a/other:latest", "allow"), ("a/OTHER", "refuse"), ("a/m2", "allow")):
        decision = validate_model_phase_compatibility(rules, name, "extended", options=named)
        assert (decision.outcome, decision.original_model) == (outcome, name)


def test_a_model_is_no_fallback_of_itself_under_another_name() -> None:
    """Neither by its rule nor when it fails."""
    named = options(one_name=_lower)
    denied = config(rule("a/m", allow=False, fallback="a/M:latest"))
    assert validate_model_phase_compatibility(denied, "a/m", "extended", options=named).outcome == "refuse"
    allowed = config(rule("a/m", fallback="a/M:latest"), rule("a/2"))
    decision = validate_model_phase_compatibility(allowed, "a/m:latest", "extended", options=named)
    assert [d.model for d in standby_decisions(allowed, decision, options=named, candidates=("a/m", "a/2"))] == ["a/2"]


def test_a_denied_model_is_served_by_its_fallback() -> None:
    """Fallback with both rules, the reason of the denial and the version."""
    denied, strong = rule("a/1", allow=False, fallback="a/2", reason="0 of 18"), rule("a/2")
    decision = validate_model_phase_compatibility(config(denied, strong, version=7), "a/1", "extended", options=options())
    assert (decision.outcome, decision.original_model, decision.model) == ("fallback", "a/1", "a/2")
    assert (decision.rule, decision.serving_rule, decision.config_version) == (denied, strong, 7)
    assert "0 of 18" in decision.reason
    assert not decision.crosses_to_remote


def test_a_disallowed_fallback_is_skipped_and_named() -> None:
    """The chain goes on through the skipped fallback's own fallback."""
    rules = config(
        rule("a/1", allow=False, fallback="a/2"), rule("a/2", allow=False, fallback="a/3"), rule("a/3", fallback="a/4")
    )
    decision = validate_model_phase_compatibility(rules, "a/1", "extended", options=options())
    assert decision.model == "a/3"
    assert decision.skipped == ("a/2: not allowed for extended",)


def test_a_circle_ends_in_a_refusal() -> None:
    """A hand-made circle is walked once, then refused with every step named."""
    rules = config(rule("a/1", allow=False, fallback="a/2"), rule("a/2", allow=False, fallback="a/1"))
    decision = validate_model_phase_compatibility(rules, "a/1", "extended", options=options())
    assert decision.outcome == "refuse"
    assert decision.skipped == ("a/2: not allowed for extended", "a/1: already tried")
    assert "--force-model" in decision.reason


def test_a_local_model_goes_to_a_remote_one_only_with_consent() -> None:
    """Without allow_remote the remote fallback is skipped and named; with it the crossing is marked."""
    rules = config(rule("a/1", allow=False, fallback="cloud/1"), rule("cloud/1", fallback="a/2"), rule("a/2"))
    kept = validate_model_phase_compatibility(rules, "a/1", "extended", options=options())
    assert kept.model == "a/2"
    assert kept.skipped == ("cloud/1: remote, and allow_remote is off",)
    crossed = validate_model_phase_compatibility(rules, "a/1", "extended", options=options(allow_remote=True))
    assert (crossed.model, crossed.crosses_to_remote) == ("cloud/1", True)
    assert "leaves this machine" in crossed.reason


def test_a_remote_model_may_fall_back_anywhere() -> None:
    """What left the machine already needs no consent."""
    rules = config(rule("cloud/1", allow=False, fallback="cloud/2"), rule("cloud/2"))
    decision = validate_model_phase_compatibility(rules, "cloud/1", "extended", options=options())
    assert (decision.model, decision.crosses_to_remote) == ("cloud/2", False)


def test_an_unmeasured_fallback_needs_unmeasured_allow() -> None:
    """With unmeasured = refuse a fallback without a rule is skipped."""
    rules = config(rule("a/1", allow=False, fallback="a/2"))
    assert validate_model_phase_compatibility(rules, "a/1", "extended", options=options()).model == "a/2"
    refused = validate_model_phase_compatibility(rules, "a/1", "extended", options=options(unmeasured="refuse"))
    assert refused.skipped == ("a/2: not measured on extended",)


def test_force_overrides_and_says_so() -> None:
    """A denied, or refused unmeasured, model is served as `forced`; one that may serve anyway is just allowed."""
    rules = config(rule("a/1", allow=False, fallback="a/2", reason="too weak"), rule("a/2"))
    forced = validate_model_phase_compatibility(rules, "a/1", "extended", options=options(force=True))
    assert (forced.outcome, forced.model) == ("forced", "a/1")
    assert "too weak" in forced.reason
    assert validate_model_phase_compatibility(rules, "a/2", "extended", options=options(force=True)).outcome == "allow"
    unmeasured = options(force=True, unmeasured="refuse")
    assert validate_model_phase_compatibility(rules, "a/9", "extended", options=unmeasured).outcome == "forced"


def test_enforcement_can_be_switched_off() -> None:
    """Everything is served as asked, and the reason says why."""
    rules = config(rule("a/1", allow=False))
    decision = validate_model_phase_compatibility(rules, "a/1", "extended", options=options(enabled=False, unmeasured="refuse"))
    assert (decision.outcome, decision.model) == ("allow", "a/1")
    assert "switched off" in decision.reason


def test_the_routed_line_is_the_documented_one() -> None:
    """`Routed from <model> to <fallback>`, control characters escaped."""
    assert format_routed_line("ollama/lfm", "anthropic/haiku") == "Routed from ollama/lfm to anthropic/haiku"
    assert format_routed_line("a\x1b[2J", "b\n") == "Routed from a\\x1b[2J to b\\x0a"


rule_sets = st.dictionaries(
    st.sampled_from(MODELS), st.tuples(st.booleans(), st.none() | st.sampled_from(MODELS)), max_size=len(MODELS)
).map(lambda d: RoutingConfig(version=1, rules=tuple(rule(m, allow=a, fallback=f) for m, (a, f) in d.items())))


@settings(deadline=None)
@given(
    rules=rule_sets,
    model=st.sampled_from(MODELS),
    unmeasured=st.sampled_from(["allow", "refuse"]),
    allow_remote=st.booleans(),
    force=st.booleans(),
)
def test_no_disallowed_model_ever_serves(
    rules: RoutingConfig, model: str, unmeasured: str, allow_remote: bool, force: bool
) -> None:
    """Any rules, circles among them: it ends; only an allowed model serves unforced; nothing crosses without consent;
    a refusal means that no model on the chain could serve."""
    chosen = options(unmeasured=unmeasured, allow_remote=allow_remote, force=force)

    def may(name: str) -> bool:
        its: Rule | None = rules.rule_for(name, "extended")
        return its.allow if its is not None else unmeasured == "allow"

    decision = validate_model_phase_compatibility(rules, model, "extended", options=chosen)
    assert len(set(decision.skipped)) == len(decision.skipped) <= len(MODELS) + 1
    if decision.outcome in ("allow", "fallback"):
        assert decision.model is not None
        assert may(decision.model)
    if decision.outcome == "allow":
        assert decision.model == model
    if decision.outcome == "forced":
        assert force
        assert not may(model)
    if decision.outcome == "fallback":
        assert not may(model)
        crosses = not model.startswith("cloud/") and str(decision.model).startswith("cloud/")
        assert decision.crosses_to_remote == crosses
        if not allow_remote:
            assert not crosses
    if decision.outcome == "refuse":
        seen, name = {model}, getattr(rules.rule_for(model, "extended"), "fallback", None)
        while name is not None and name not in seen:
            seen.add(name)
            assert not may(name) or (name.startswith("cloud/") and not model.startswith("cloud/") and not allow_remote)
            name = getattr(rules.rule_for(name, "extended"), "fallback", None)


@pytest.mark.parametrize("outcome", ["allow", "refuse"])
def test_hostile_names_stay_on_one_line(outcome: str) -> None:
    """A model name with terminal escapes is neutralised in the reason."""
    name = "a/\x1b[2J\n"
    rules = config(rule(name, allow=outcome == "allow", reason="\x1b"))
    decision = validate_model_phase_compatibility(rules, name, "extended", options=options())
    assert decision.outcome == outcome
    if outcome == "refuse":
        assert decision.reason.isprintable()
