"""Identities that old evidence hangs on. A change here cuts every existing ledger off: add fields with a default instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.records import Environment, EvidenceKey, Spec, Suite, ToolDefinition, Variant, WarmUp
from selfopt.scoring import scorer_of
from selfopt.variants import load_variants

BUILT_IN: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "built_in_ids.json").read_text("utf-8"))


def spec(**changes: object) -> Spec:
    """A small spec."""
    body = {"endpoint": "local", "model": "local/m", "phase": "atomic", "suite": "atomic", "suite_hash": "suite-0"}
    return Spec.model_validate({**body, "variant": Variant(name="native_api"), **changes})


def test_known_identities_stay_what_they_are() -> None:
    """Golden ids of a spec, a variant and an environment."""
    known = spec()
    assert known.spec_id == "spec-f0efd0ea95e572f1dd610415"
    assert known.request_id == "req-8fa96d468bc376e684456ecf"
    assert known.variant.variant_hash == "variant-25f4ce97df9129cc4c329a72"
    assert Environment(endpoint="local", model="local/m", digest="d").environment_id == "env-663a825b109b38f24f300971"


def test_names_take_no_part_but_tags_do() -> None:
    """The same configuration under another name is the same; an exact copy with a tag is another."""
    assert spec(variant=Variant(name="other", title="t")).spec_id == spec().spec_id
    assert spec(variant=Variant(name="native_api", tag="copy")).spec_id != spec().spec_id


def test_specs_that_differ_only_in_the_parser_share_requests() -> None:
    """request_id leaves the parser chain out, spec_id does not."""
    parsed = spec(variant=Variant(name="p", parsers=("native", "json")))
    assert parsed.request_id == spec().request_id
    assert parsed.spec_id != spec().spec_id


def test_everything_chosen_changes_both_ids() -> None:
    """Each chosen input but the parser."""
    base = spec()
    for change in (
        {"timeout_s": 1.0},
        {"retries": 3},
        {"isolate": True},
        {"warm_up": WarmUp(enabled=True)},
        {"split": "search"},
        {"context_size": 512},
        {"suite_hash": "suite-1"},
        {"variant": Variant(name="native_api", instructions="x")},
    ):
        other = spec(**change)
        assert other.spec_id != base.spec_id, change
        assert other.request_id != base.request_id, change


def test_how_a_suite_is_judged_changes_its_id_and_where_it_is_from_does_not() -> None:
    """A golden id of a suite that says nothing of judging."""
    plain = Suite(name="s", phase="atomic", tool_sets={"t": (ToolDefinition(name="ring"),)}, prompts=())
    assert plain.content_id() == "suite-b66daa668db469d2ca555d8e"
    assert plain.model_copy(update={"origin": "elsewhere 1.0", "title": "Bells"}).content_id() == plain.content_id()
    assert plain.model_copy(update={"judging": "bfcl"}).content_id() != plain.content_id()


def identities(name: str) -> dict[str, str]:
    """Every id that evidence on a variant of the catalogue hangs on."""
    variant = load_variants()[name]
    mine = spec(variant=variant, timeout_s=30.0, retries=1, warm_up=WarmUp(enabled=True))
    key = EvidenceKey(
        candidate_spec_id=mine.spec_id,
        baseline_spec_id=spec().spec_id,
        environment_id="env-0",
        render_hash=variant.render_hash,
        scorer_hash=scorer_of("standard").scorer_hash,
        split="search",
    )
    return {
        "variant_hash": variant.variant_hash,
        "render_hash": variant.render_hash,
        "parser_hash": variant.parser_hash,
        "spec_id": mine.spec_id,
        "request_id": mine.request_id,
        "key_id": key.key_id,
    }


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_ids_of_every_built_in_variant_stay_what_they_are(name: str) -> None:
    """Golden ids of the commit before 0.2: what was measured with a variant goes on to count."""
    assert identities(name) == BUILT_IN[name]


def test_the_scorers_are_the_same() -> None:
    """Verdicts are kept under these."""
    assert {name: scorer_of(name).scorer_hash for name in ("standard", "bfcl")} == {
        "standard": "scorer-aadf5bc263ab9c154c6b162a",
        "bfcl": "scorer-3363fa35ecc18b52d14e9800",
    }
