"""Suites as files for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.export.suite_files import write_suite
from selfopt.suites import load_suite
from selfopt.suites.importers import ImportRequest, suite_of
from selfopt.suites.importers.jsonl import read_jsonl


@pytest.mark.parametrize("name", ["atomic", "extended", "extended-160"])
def test_json_lines_are_read_back_as_the_same_prompts(tmp_path: Path, name: str) -> None:
    """Messages, tools, accepted calls, splits and reasons."""
    suite = load_suite(name)
    (path,) = write_suite(suite, "jsonl", tmp_path / "x.jsonl")
    parts, _ = read_jsonl(path.read_text("utf-8"), "x")
    again = suite_of(parts, ImportRequest(path, name, suite.phase))
    assert again.prompts == suite.prompts
    assert {p.id: again.tools_of(p) for p in again.prompts} == {p.id: suite.tools_of(p) for p in suite.prompts}


def test_a_data_set_has_a_file_for_each_split_and_a_card_that_names_them(tmp_path: Path) -> None:
    """And nothing else."""
    suite = load_suite("extended-160")
    written = write_suite(suite, "hf", tmp_path / "x")
    splits = sorted({prompt.split for prompt in suite.prompts})
    assert sorted(path.name for path in written) == sorted(["README.md", *(f"{split}.jsonl" for split in splits)])
    card = (tmp_path / "x" / "README.md").read_text("utf-8")
    assert all(f"path: data/{split}.jsonl" in card for split in splits)
