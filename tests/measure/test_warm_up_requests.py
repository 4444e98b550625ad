"""What a warm-up asks, by variant."""

from __future__ import annotations

from selfopt.measure.arms import warm_up_requests
from selfopt.residency import WARM_UP_PROMPT
from selfopt.suites import load_suite
from selfopt.variants import get_variant
from tests.measure.kit import make_spec


def _asked(variant: str) -> list[str]:
    suite = load_suite("atomic")
    spec = make_spec(suite, variant=get_variant(variant))
    requests = warm_up_requests(spec, suite, "m")
    assert all(WARM_UP_PROMPT in " ".join(m.content for m in r.messages) for r in requests)
    return [r.messages[-1].content for r in requests]


def test_a_variant_of_one_step_is_warmed_up_with_its_one_request() -> None:
    """As the scored prompts will be rendered."""
    assert len(_asked("native_api")) == 1
    assert len(_asked("constrained" if get_variant("constrained").steps == "single" else "restrained")) == 1


def test_a_variant_that_chooses_first_is_warmed_up_for_both_of_its_questions() -> None:
    """The second one has examples of its own, which the first scored request would have to read otherwise."""
    choose, fill = _asked("few_shot_constrained")
    assert choose != fill
    assert load_suite("atomic").tool_sets["office"][0].name in fill
