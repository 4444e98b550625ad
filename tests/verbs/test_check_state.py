"""Recorded states: written small and sorted, read back as they were, refused when damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import StoreError, UsageError
from selfopt.records import Environment, RecordedRow, RecordedState
from selfopt.verbs.check_state import RECORDABLE, read_state, state_text, write_state

OUTCOMES = st.lists(st.sampled_from(sorted(RECORDABLE)), min_size=1, max_size=9).map(tuple)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ROWS = st.dictionaries(IDS, OUTCOMES, min_size=1, max_size=5)


def state(rows: dict[str, tuple[str, ...]] | None = None) -> RecordedState:
    """A state with these outcomes."""
    given_rows = rows if rows is not None else {"B": ("pass", "missed"), "A": ("pass", "pass")}
    return RecordedState(
        model="scripted/m",
        endpoint="scripted",
        phase="atomic",
        suite="small",
        suite_hash="suite-1",
        scorer_hash="scorer-1",
        split="all",
        variant="native_api",
        variant_hash="variant-1",
        render_hash="render-1",
        spec_id="spec-1",
        request_id="req-1",
        environment=Environment(endpoint="scripted", model="scripted/m"),
        exact=False,
        evaluation_id="eval-1",
        run_ids=("run-1",),
        recorded_at="2026-01-02T03:04:05.678Z",
        rows=tuple(RecordedRow.model_validate({"prompt_id": n, "outcomes": o}) for n, o in given_rows.items()),
    )


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, tuple[str, ...]]) -> None:
    """Whatever the ids and outcomes are; the prompts come sorted."""
    made = state(rows)
    path = tmp_path_factory.getbasetemp() / "state.json"
    write_state(path, made)
    found = read_state(path, "selfopt check --record s.json")
    assert found.model_copy(update={"rows": ()}) == made.model_copy(update={"rows": ()})
    assert {row.prompt_id: row.outcomes for row in found.rows} == {row.prompt_id: row.outcomes for row in made.rows}
    assert [row.prompt_id for row in found.rows] == sorted(rows)


def test_a_change_of_one_prompt_is_a_change_of_one_line() -> None:
    """So that people can review it."""
    before, after = (state_text(state({"A": ("pass",), "B": (b,)})).splitlines() for b in ("pass", "missed"))
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    assert '    "A": "P",' in before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"schema_version": "x"}, "schema_version"),
        ({"rows": {}}, "damaged"),
        ({"rows": {"A": "PX"}}, "letters"),
        ({"rows": {"A": ""}}, "letters"),
        ({"rows": ["A"]}, "no mapping"),
        ({"phase": "both"}, "phase"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_damaged_or_newer_state_is_refused_in_one_line(tmp_path: Path, change: dict[str, object], words: str) -> None:
    """Exit code 2: it is a file that the user named."""
    path = tmp_path / "state.json"
    path.write_text(json.dumps({**json.loads(state_text(state())), **change}), "utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        read_state(path, "selfopt check --record s.json")
    assert "\n" not in str(caught.value)


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    """Missing, cut off, a list, binary."""
    path = tmp_path / "state.json"
    with pytest.raises(UsageError, match="--record"):
        read_state(path, "selfopt check --record s.json")
    for content in (state_text(state()).encode()[:-20], b"[]", b"\xff\xfe", b""):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="recorded state"):
            read_state(path, "selfopt check --record s.json")


def test_a_state_replaces_only_states(tmp_path: Path) -> None:
    """Not a check file or a suite, and nothing that is no regular file, such as /dev/null."""
    path = tmp_path / "state.json"
    for content in ("", state_text(state()), state_text(state())[:-20]):
        path.write_text(content, "utf-8")
        write_state(path, state())
    for name, content in (("check.yaml", "suite: atomic\n"), ("other.json", "{}"), ("list.json", "[]")):
        (tmp_path / name).write_text(content, "utf-8")
        with pytest.raises(UsageError, match="no recorded state"):
            write_state(tmp_path / name, state())
        assert (tmp_path / name).read_text("utf-8") == content
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(UsageError, match="regular file"):
            write_state(tmp_path / name, state())
    assert (tmp_path / "pipe").is_fifo()


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """And nothing half written beside it."""
    path = tmp_path / "folder" / "state.json"
    with pytest.raises(UsageError, match="folder does not exist"):
        write_state(path, state())
    with pytest.raises(UsageError, match="a folder"):
        write_state(tmp_path, state())
    if os.geteuid() == 0:
        return  # nothing is forbidden to the superuser
    path.parent.mkdir()
    write_state(path, state())
    path.parent.chmod(0o500)
    with pytest.raises(StoreError):
        write_state(path, state({"C": ("pass",)}))
    assert read_state(path, "selfopt check --record s.json").rows[0].prompt_id == "A"
    assert [one.name for one in path.parent.iterdir()] == ["state.json"]
