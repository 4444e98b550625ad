"""What every record has."""

from __future__ import annotations

from selfopt.records import Spec, Variant


def test_a_changed_copy_has_its_own_hash_even_after_the_original_was_hashed() -> None:
    """Cached hashes do not travel into a copy that differs."""
    spec = Spec(endpoint="e", model="e/m", phase="atomic", suite="s", suite_hash="h", variant=Variant(name="v"))
    before = spec.spec_id, spec.request_id
    changed = spec.model_copy(update={"retries": 3})
    fresh = Spec.model_validate(changed.model_dump())
    assert (changed.spec_id, changed.request_id) == (fresh.spec_id, fresh.request_id)
    assert changed.spec_id != before[0]
    assert changed.request_id != before[1]
    assert spec.model_copy().spec_id == before[0]
