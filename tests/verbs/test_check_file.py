"""Check files: what is read, and what is refused in one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.verbs.check_file import CheckFile, read_check_file

BASE = "suite: atomic\nmodel: good\n"


def read(tmp_path: Path, text: str) -> CheckFile:
    """The check file with this text."""
    path = tmp_path / "selfopt.check.yaml"
    path.write_text(text, "utf-8")
    return read_check_file(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    """Times with units, a baseline as a file or a mapping, prompts as a list or all."""
    found = read(
        tmp_path,
        BASE + "rule: true\nsplit: heldout\nbaseline: state.json\nmin_accuracy: 0.8\nmin_call_accuracy: 0.7\nmin_restraint: 1\n"
        "max_regression: 0.03\ntolerance: 0.02\nmust_pass: [A1, A2]\nmust_pass_floor: 0.9\nmax_trials: 500\nmax_cost: 1.5\n"
        "max_time: 1.5h\non_undecided: pass\nalpha: 0.05\nbeta: 0.1\n",
    )
    assert found.baseline is not None
    assert (found.baseline.state, found.max_time, found.must_pass) == ("state.json", 5400.0, ("A1", "A2"))
    assert found.thresholds == {"accuracy": 0.8, "call_accuracy": 0.7, "restraint": 1.0}
    made = found.settings()
    assert (made.alpha, made.beta, made.max_regression, made.tolerance, made.must_pass_floor) == (0.05, 0.1, 0.03, 0.02, 0.9)
    other = read(tmp_path, BASE + "baseline: {variant: few_shot}\nmust_pass: true\nmax_time: 90\n")
    assert other.baseline is not None
    assert (other.baseline.variant, other.must_pass, other.max_time) == ("few_shot", True, 90.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("suite: atomic\nmin_accuracy: 0.5", ("model is missing", "name of a model")),
        (BASE + "min_accuracy: 2", ("min_accuracy: got 2", "from 0 to 1")),
        (BASE + "min_accuracy: high", ("min_accuracy: got 'high'", "from 0 to 1")),
        (BASE + "min_accuracy: true", ("min_accuracy: got True",)),
        (BASE + "min_acuracy: 0.5", ("unknown key min_acuracy", "min_accuracy")),
        (BASE + "must_pass: A1", ("must_pass: got 'A1'", "true, or a list")),
        (BASE + "must_pass: [1]", ("must_pass: got", "list of ids")),
        (BASE + "max_regression: 0\nbaseline: a", ("max_regression: got 0", "above 0")),
        (BASE + "baseline: {}", ("baseline: got {}", "state")),
        (BASE + "baseline: {state: a, model: b}", ("baseline: got", "mapping with model")),
        (BASE + "baseline: {state: 3}", ("baseline.state: got 3",)),
        (BASE + "baseline: {file: a}", ("unknown key baseline.file", "state")),
        (BASE + "baseline: [a]", ("baseline: got ['a']",)),
        (BASE + "max_time: soon\nmust_pass: true", ("max_time: got 'soon'", "10m")),
        (BASE + "max_time: -3\nmust_pass: true", ("max_time: got -3",)),
        (BASE + "max_trials: 1.5\nmust_pass: true", ("max_trials: got 1.5", "whole number")),
        (BASE + "on_undecided: maybe\nmust_pass: true", ("on_undecided: got 'maybe'", "pass or fail")),
        (BASE + 'min_accuracy: "\\e[2J\\u202e"', ("min_accuracy: got",)),
        (BASE + "alpha: 0.9\nmust_pass: true", ("alpha: got 0.9", "at most 0.5")),
        (BASE + "split: other\nmust_pass: true", ("split: got 'other'", "heldout")),
        (BASE + "rule: true\nvariant: few_shot\nmust_pass: true", ("exclude each other",)),
        (BASE, ("demands nothing", "must_pass")),
        (BASE + "must_pass: []", ("demands nothing",)),
        ("- a\n", ("holds no mapping", "docs/CHECK.md")),
        ("", ("holds no mapping",)),
        ("suite: a\nsuite: b\n", ("line 2", "occurs twice")),
        ("suite: *a\n", ("alias",)),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    """What was got, what is allowed; nothing that a terminal would obey."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    said = str(caught.value)
    assert "selfopt.check.yaml" in said
    assert all(word in said for word in words), said
    assert said.isprintable()
    assert "\n" not in said


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """Missing, a folder, too large, not UTF-8."""
    with pytest.raises(UsageError, match=r"no such file.*selfopt check --new"):
        read_check_file(tmp_path / "missing.yaml")
    with pytest.raises(UsageError, match="a folder"):
        read_check_file(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(UsageError, match="larger than"):
        read_check_file(large)
    large.write_bytes(b"suite: \xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_check_file(large)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*CheckFile.model_fields, "x"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=3),
    )
)
def test_any_values_are_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]) -> None:
    """Nothing else happens."""
    import json

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(data), "utf-8")
    said = ""
    try:
        read_check_file(path)
    except UsageError as error:
        said = str(error)
    assert "\n" not in said
