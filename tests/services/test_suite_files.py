"""Suites as Hugging Face's `datasets` loads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.suites import load_suite
from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]
pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]


def test_datasets_load_every_prompt_of_every_split(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations with calls too; JSON columns are read back as the suite has them."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    for name in ("atomic", "extended-160"):
        suite = load_suite(name)
        project.ok("suites", "export", name if name != "atomic" else "atomic-300", f"out-{name}", "--format", "hf")
        suite = load_suite("atomic-300") if name == "atomic" else suite
        found = datasets.load_dataset(str(project.root / f"out-{name}"), cache_dir=str(tmp_path / "cache"))
        rows = {row["id"]: row for split in found.values() for row in split}
        assert set(rows) == {prompt.id for prompt in suite.prompts}
        for prompt in suite.prompts:
            row = rows[prompt.id]
            assert [message["content"] for message in row["messages"]] == [message.content for message in prompt.messages]
            assert [tool["function"]["name"] for tool in json.loads(row["tools"])] == [t.name for t in suite.tools_of(prompt)]
            assert row["needs_call"] == prompt.needs_call
