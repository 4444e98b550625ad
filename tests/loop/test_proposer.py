"""What to try next."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError, VariantError
from selfopt.loop.proposer import CatalogueProposer, changes, describe_change, load_candidates
from selfopt.records import Finding, FindingKind, Proposer, Sampling, Spec, Variant, WarmUp
from tests.feedback.world import NOW

NAMES = (
    "native_api",
    "native_parsed",
    "restrained",
    "atomic",
    "extended",
    "few_shot",
    "constrained",
    "few_shot_constrained",
    "my_own",
)
VARIANTS = {name: Variant(name=name, tag=name, sampling=Sampling(max_tokens=160)) for name in NAMES}
BASE = Spec(endpoint="local", model="local/small", phase="atomic", suite="atomic", suite_hash="s", variant=VARIANTS["native_api"])
PROPOSER = CatalogueProposer(VARIANTS)


def finding(kind: FindingKind, **figures: float | int | str) -> Finding:
    """A finding with these figures."""
    return Finding(
        finding_id=kind, type=kind, model=BASE.model, phase="atomic", spec_id=BASE.spec_id, summary=kind, figures=figures, at=NOW
    )


def proposed(*findings: Finding, limit: int = 3, baseline: Spec = BASE, **more: Any) -> list[str]:
    """The changes proposed, in words."""
    return [describe_change(baseline, s) for s in PROPOSER.propose(baseline, findings, limit, **more)]


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
    never = CatalogueProposer(VARIANTS, warm_up=False).propose(BASE, [cold], 20)
    assert not any(s.warm_up.enabled for s in never)


def test_a_mute_model_gets_a_variant_that_makes_calls_before_more_tokens() -> None:
    """Cut off replies without one right call: a longer text would not be a call either."""
    mute = finding("truncation").model_copy(update={"figures": {"calls_right": 0}})
    first, *_ = PROPOSER.propose(BASE, [mute], 3)
    assert first.variant.name == "few_shot_constrained"
    unread = PROPOSER.propose(BASE, [finding("truncation"), finding("unread_format")], 2)
    assert [s.variant.name for s in unread] == ["native_parsed", "restrained"]


def test_truncation_is_answered_with_a_larger_budget() -> None:
    """Twice, then four times as many tokens; asked again, the name does not grow."""
    first, second = PROPOSER.propose(BASE, [finding("truncation")], 2)
    assert (first.variant.sampling.max_tokens, second.variant.sampling.max_tokens) == (320, 640)
    assert first.variant.name == "native_api+max_tokens=320"
    again = PROPOSER.propose(first, [finding("truncation")], 1)
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
    first = PROPOSER.propose(BASE, [finding("unread_format")], 1)[0]
    assert proposed(finding("unread_format"), limit=1, exclude={first.spec_id}) == [to("restrained")]


KINDS: Sequence[FindingKind] = (
    "cold_start",
    "capability_limit",
    "flaky",
    "unread_format",
    "truncation",
    "drift",
    "ceiling",
    "infrastructure",
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.builds(finding, st.sampled_from(KINDS), missed_share=st.floats(0, 1)), max_size=4),
    st.integers(0, 15),
    st.sampled_from(NAMES),
    st.sets(st.integers(0, 15)),
)
def test_every_candidate_is_the_baseline_with_exactly_one_change(
    findings: list[Finding], limit: int, variant: str, tried: set[int]
) -> None:
    """At most the limit, none twice, none that is excluded."""
    baseline = BASE.model_copy(update={"variant": VARIANTS[variant]})
    every = PROPOSER.propose(baseline, findings, 50)
    exclude = {spec.spec_id for i, spec in enumerate(every) if i in tried}
    chosen = PROPOSER.propose(baseline, findings, limit, exclude=exclude)
    assert [s.spec_id for s in chosen] == [s.spec_id for s in every if s.spec_id not in exclude][:limit]
    assert all(len(changes(baseline, s)) == 1 for s in chosen)
    assert len({s.spec_id for s in chosen} | {baseline.spec_id}) == len(chosen) + 1


def test_it_is_a_proposer() -> None:
    """The seam's Protocol."""
    assert isinstance(PROPOSER, Proposer)


def test_specs_that_measure_the_same_have_no_change() -> None:
    """The name of a variant is no change; warm-up limits are one."""
    renamed = BASE.model_copy(update={"variant": VARIANTS["native_api"].model_copy(update={"name": "other"})})
    assert changes(BASE, renamed) == ()
    assert describe_change(BASE, renamed) == "nothing"
    limits = BASE.model_copy(update={"warm_up": WarmUp(load_timeout_s=5)})
    assert describe_change(BASE, limits) == "warm-up limits"
    sized = BASE.model_copy(update={"context_size": 4096})
    assert describe_change(BASE, sized) == "context_size default -> 4096"


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_file_of_candidates_is_read_from_yaml_and_json(tmp_path: Path) -> None:
    """Every key, in the file's order."""
    entries: list[dict[str, Any]] = [
        {"variant": "restrained"},
        {"timeout_s": 90},
        {"connect_timeout_s": 2.5},
        {"retries": 3},
        {"context_size": 2048},
        {"isolate": True},
        {"warm_up": True},
        {"max_tokens": 512},
        {"thinking_tokens": 1024},
        {"temperature": 0.4},
    ]
    yaml_text = "\n".join(f"- {key}: {json.dumps(value)}" for entry in entries for key, value in entry.items())
    from_yaml = load_candidates(write(tmp_path / "c.yaml", yaml_text), BASE, VARIANTS)
    from_json = load_candidates(write(tmp_path / "c.json", json.dumps(entries)), BASE, VARIANTS)
    assert [s.spec_id for s in from_yaml] == [s.spec_id for s in from_json]
    assert [describe_change(BASE, s) for s in from_yaml] == [
        to("restrained"),
        "timeout_s 60 -> 90",
        "connect_timeout_s 5 -> 2.5",
        "retries 0 -> 3",
        "context_size default -> 2048",
        "isolate off -> on",
        "warm-up off -> on",
        to("native_api+max_tokens=512"),
        to("native_api+thinking_tokens=1024"),
        to("native_api+temperature=0.4"),
    ]


BOMB = "- &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{chr(98 + i)} [" + ", ".join([f"*{chr(97 + i)}"] * 8) + "]\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a list"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        ("- variant: [", "not valid YAML"),
        ("- {variant: restrained, retries: 2}", "exactly one thing, got 'variant', 'retries'"),
        ("- {}", "exactly one thing, got nothing"),
        ("- restrained", "exactly one thing, got str"),
        ("- shell: rm", "unknown key 'shell'; allowed: variant, timeout_s"),
        ("- 1: 2", "unknown key '1'"),
        ("- variant: nope", "unknown variant 'nope'; known: native_api"),
        ('- variant: "\\e[31m"', r"unknown variant '\\x1b\[31m'"),
        ("- variant: 3", "unknown variant"),
        ("- retries: two", "retries must be a whole number, got 'two'"),
        ("- retries: true", "must be a whole number, got True"),
        ("- retries: 99", "retries 99 is not possible"),
        ("- timeout_s: 0", "timeout_s 0 is not possible"),
        ("- timeout_s: .inf", "must be seconds"),
        ("- timeout_s: .nan", "must be seconds"),
        ("- retries: 1" + "0" * 200, "got a very large number"),
        ("- isolate: 1", "must be true or false"),
        ("- max_tokens: 0", "max_tokens 0 is not possible"),
        ("- retries: 0", "changes nothing"),
        ("- variant: native_api", "candidate 1 changes nothing"),
        ("- retries: 2\n- retries: 2", "candidate 2 repeats an earlier candidate"),
        ("- retries: 2\n" * 201, "list of 1 to 200"),
        ("[" * 5000, "nested deeper than 40 levels"),
        (BOMB, "line 1: an anchor"),
        ("- retries: &a [*a]", "line 1: an anchor"),
        ("- retries: *a", "line 1: an alias"),
        ("- !!python/name:os.system {}", "line 1: a tag"),
        ("- {retries: 2, retries: 3}", "line 1: the key 'retries' stands twice"),
        ("- retries: [2]", "must be a whole number, got a list"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_says_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    """UsageError: the user's file, exit code 2."""
    with pytest.raises(UsageError, match=message) as caught:
        load_candidates(write(tmp_path / "c.yaml", text), BASE, VARIANTS)
    assert "c.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_every_key_of_a_file_of_candidates_is_documented(tmp_path: Path) -> None:
    """docs/EXECUTE_LOCALLY.md has an example that loads, and names every key that is allowed."""
    text = (Path(__file__).parents[2] / "docs" / "EXECUTE_LOCALLY.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "candidates.yaml"
    path.write_text(example, "utf-8")
    assert len(load_candidates(path, BASE, VARIANTS)) == 2
    path.write_text("- nope: 1\n", "utf-8")
    with pytest.raises(UsageError) as refused:
        load_candidates(path, BASE, VARIANTS)
    allowed = str(refused.value).partition("allowed: ")[2].split(", ")
    assert allowed
    assert [key for key in allowed if key not in example] == []


def test_missing_oversized_and_binary_files_are_refused(tmp_path: Path) -> None:
    """Bounded before it is parsed."""
    with pytest.raises(UsageError, match="cannot be read"):
        load_candidates(tmp_path / "none.yaml", BASE, VARIANTS)
    with pytest.raises(UsageError, match="larger than"):
        load_candidates(write(tmp_path / "big.yaml", "#" * 1_000_001), BASE, VARIANTS)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no UTF-8"):
        load_candidates(binary, BASE, VARIANTS)
    with pytest.raises(UsageError, match="nested deeper"):
        load_candidates(write(tmp_path / "deep.json", "[" * 100_000), BASE, VARIANTS)


def test_an_unknown_variant_is_a_variant_error(tmp_path: Path) -> None:
    """The same sort of error as on the command line."""
    with pytest.raises(VariantError):
        load_candidates(write(tmp_path / "c.yaml", "- variant: nope"), BASE, VARIANTS)
