"""What is proposed where the server says why it refuses."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.errors import LASTING, Cause
from selfopt.loop.candidates import propose
from selfopt.records import SearchSpace, Spec, Variant
from selfopt.variants import load_variants
from tests.loop.proposers.kit import BASE, finding

CATALOGUE = load_variants()
NATIVE = BASE.model_copy(update={"variant": CATALOGUE["native_api"]})
HOPELESS = ("memory", "payment", "unknown_model")


def tried(*causes: str, text_only: bool = False, baseline: Spec = NATIVE, share: float = 1.0) -> list[Spec]:
    """Everything that is proposed."""
    found = [finding("refused", cause=cause, share=share) for cause in causes]
    return propose(baseline, found, SearchSpace(CATALOGUE, text_only=text_only), 50)


def variants(specs: list[Spec]) -> list[Variant]:
    return [spec.variant for spec in specs]


@pytest.mark.parametrize("cause", ["no_tools", "tools_off"])
def test_a_model_without_tools_gets_text_variants_alone(cause: str) -> None:
    """The newest of each; no native one, no limits, no warm-up."""
    names = [variant.name for variant in variants(tried(cause))]
    assert names == ["few_shot_constrained@2", "constrained@2", "atomic@2", "few_shot@2"]
    assert {variant.tools for variant in variants(tried(cause))} == {"system_prompt"}


def test_a_server_that_says_so_is_asked_for_no_native_variant() -> None:
    """Whatever the baseline is, and without any finding."""
    text = BASE.model_copy(update={"variant": CATALOGUE["atomic@2"]})
    found = propose(text, [], SearchSpace(CATALOGUE, text_only=True), 50)
    changed = [spec.variant for spec in found if spec.variant != text.variant]
    assert changed
    assert {variant.tools for variant in changed} == {"system_prompt"}


@pytest.mark.parametrize("cause", HOPELESS)
def test_where_no_variant_would_be_served_nothing_is_tried(cause: str) -> None:
    """The remedy is not ours to try."""
    assert tried(cause) == []


@pytest.mark.parametrize("cause", [cause for cause in get_args(Cause) if cause in LASTING])
def test_no_limits_and_no_warm_up_are_tried_where_repeats_change_nothing(cause: str) -> None:
    """A refusal does not wait."""
    for spec in tried(cause):
        assert (spec.timeout_s, spec.retries, spec.warm_up) == (NATIVE.timeout_s, NATIVE.retries, NATIVE.warm_up)


def test_calls_that_the_server_cannot_parse_are_written_as_text_first() -> None:
    """Then the server parses nothing. Where it parsed no call at all, no other variant is tried."""
    tools = [variant.tools for variant in variants(tried("not_parsed", share=0.5)) if variant != NATIVE.variant]
    assert tools[:4] == ["system_prompt"] * 4
    assert "native" in tools
    assert {variant.tools for variant in variants(tried("not_parsed")) if variant != NATIVE.variant} == {"system_prompt"}


def test_refused_roles_are_answered_with_a_conversation_written_as_text_first() -> None:
    """One user message has nothing to alternate with."""
    phase = NATIVE.model_copy(update={"phase": "extended"})
    assert tried("roles", baseline=phase)[0].variant.history == "rendered"


@pytest.mark.parametrize("cause", ["rate", "not_loaded"])
def test_what_may_pass_is_answered_with_patience(cause: str) -> None:
    """As other faults of the server are."""
    first, second, *_ = tried(cause)
    assert {(first.timeout_s, first.retries), (second.timeout_s, second.retries)} == {(120.0, 0), (60.0, 2)}
