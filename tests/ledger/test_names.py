"""Records of a model that has several names."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.ledger import open_ledger
from selfopt.records import Run, Spec
from tests.ledger import samples

NAMES = ["a/m", "a/M", "a/m:latest", "a/n", "b/m"]


def _lower(name: str) -> str:
    return name.lower().removesuffix(":latest")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sampled_from(NAMES), st.booleans(), st.none() | st.integers(1, 4))
def test_a_read_by_model_finds_the_records_of_all_its_names(
    tmp_path: Path, stored: list[str], asked: str, newest_first: bool, limit: int | None
) -> None:
    """In the order of appending, alone and with another condition."""
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite3"
    ledger = open_ledger(path, one_name=_lower)
    for number, name in enumerate(stored):
        samples.put(ledger, [samples.run(f"run-{number}", model=name)])
    wanted = [f"run-{number}" for number, name in enumerate(stored) if _lower(name) == _lower(asked)]
    wanted = (wanted[::-1] if newest_first else wanted)[:limit]
    phase = samples.run().phase
    other = "atomic" if phase == "extended" else "extended"
    for where in ({"model": asked}, {"model": asked, "phase": phase}, {"model": asked, "phase": other}):
        found = [r.run_id for r in ledger.read(Run, where, newest_first=newest_first, limit=limit)]
        assert found == (wanted if where.get("phase") != other else [])
    ledger.close()


def test_without_other_names_a_read_is_exact(tmp_path: Path) -> None:
    """As for most kinds of endpoints."""
    ledger = open_ledger(tmp_path / "ledger.sqlite3")
    samples.put(ledger, [samples.spec().model_copy(update={"model": name}) for name in ("a/m", "a/M")])
    assert [spec.model for spec in ledger.read(Spec, {"model": "a/M"})] == ["a/M"]
    ledger.close()
