"""What every proposer keeps, ours and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.loop.candidates import changes, propose
from selfopt.loop.proposers import PROPOSERS
from selfopt.records import Finding, FindingKind, Proposer, SearchSpace, Spec
from tests.loop.proposers.kit import BASE, NAMES, SPACE, VARIANTS, finding

REGISTERED = pytest.mark.parametrize("name", PROPOSERS.names())
MOST = 200
FINDINGS = st.lists(st.builds(finding, st.sampled_from(get_args(FindingKind))), max_size=4)


def proposed(name: str, baseline: Spec, findings: list[Finding], space: SearchSpace = SPACE) -> list[Spec]:
    """The first candidates of the proposer of this name."""
    proposer = PROPOSERS.get(name)
    assert isinstance(proposer, Proposer)
    return list(islice(proposer.propose(baseline, findings, space), MOST))


@REGISTERED
@settings(max_examples=50, deadline=None)
@given(findings=FINDINGS, variant=st.sampled_from(NAMES))
def test_every_candidate_is_the_baseline_with_one_thing_changed(name: str, findings: list[Finding], variant: str) -> None:
    """Of the same model, phase, endpoint and suite; or the baseline itself, which is passed over."""
    baseline = BASE.model_copy(update={"variant": VARIANTS[variant]})
    for spec in proposed(name, baseline, findings):
        assert len(changes(baseline, spec)) <= 1
        same = ("model", "phase", "endpoint", "suite", "suite_hash", "split")
        assert all(getattr(spec, field) == getattr(baseline, field) for field in same)


@REGISTERED
@settings(max_examples=50, deadline=None)
@given(findings=FINDINGS)
def test_the_same_input_gives_the_same_candidates(name: str, findings: list[Finding]) -> None:
    """So that a cycle which is continued tries the same."""
    assert proposed(name, BASE, findings) == proposed(name, BASE, list(findings))


@REGISTERED
@settings(max_examples=50, deadline=None)
@given(findings=FINDINGS, warm_up=st.booleans(), names=st.sets(st.sampled_from(NAMES)))
def test_nothing_is_proposed_that_may_not_be_chosen(name: str, findings: list[Finding], warm_up: bool, names: set[str]) -> None:
    """Whole variants come from the catalogue, and warm-up where it is not switched off."""
    space = SearchSpace({known: VARIANTS[known] for known in sorted(names)}, warm_up=warm_up)
    allowed = names | {BASE.variant.name}
    for spec in proposed(name, BASE, findings, space):
        assert spec.variant.name.partition("+")[0] in allowed
        if not warm_up:
            assert not spec.warm_up.enabled


class Patient:
    """A proposer as another package may bring it: it never stops, and begins with the baseline."""

    def propose(self, baseline: Spec, findings: Sequence[Finding], space: SearchSpace) -> Iterator[Spec]:
        """Ever longer timeouts."""
        for factor in range(1, 1_000_000):
            yield baseline.model_copy(update={"timeout_s": baseline.timeout_s * factor})


def test_proposers_take_turns() -> None:
    """Ours is not crowded out by one that never stops, nor the other way round; what was tried is passed over."""
    alone = propose(BASE, [], SPACE, 4)
    with PROPOSERS.adding("patient", Patient()):
        both = propose(BASE, [], SPACE, 4)
        later = propose(BASE, [], SearchSpace(VARIANTS, tried={both[1].spec_id}), 4)
    assert both[0] == alone[0]
    assert [spec.timeout_s for spec in both if spec.timeout_s != BASE.timeout_s] == [BASE.timeout_s * 2, BASE.timeout_s * 3]
    assert both[1].spec_id not in {spec.spec_id for spec in later}
    assert len({spec.spec_id for spec in both}) == 4
