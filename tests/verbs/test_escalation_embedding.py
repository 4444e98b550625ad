"""A calibration rests on the answers of one embedding model: that which is asked now."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.scripted.script import Script
from tests.cli.servers import scripted_server
from tests.cli.test_logprobs import lab
from tests.cli.world import Project
from tests.verbs.test_escalation import SMALL, SUITES, suite
from tests.verbs.test_parity import lives_in

BY_MEANING = "keep_tools=one tools_by=meaning"


def test_answers_of_another_embedding_model_take_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompts that it chose the tools of count as not measured, and the command that measures them is told."""
    project = Project(tmp_path)
    project.write("s.yaml", suite())
    project.user_config.write_text("", "utf-8")
    lives_in(project, monkeypatch)
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    for digest, split in (("e1", "search"), ("e2", "heldout")):
        models = {"small": {"digest": "s1", "replies": SMALL}, "embedder": {"digest": digest}}
        with scripted_server(Script.model_validate({"models": models})) as url:
            project.user_config.write_text(f'[models]\nembedding = "lab/embedder"\n[endpoints.{lab(url)}', "utf-8")
            project.ok("run", "lab/small", "atomic", BY_MEANING, "--suite", "s.yaml", "--split", split, "--force-model")
    refused = project.run("escalation", "lab/small", "atomic", *SUITES, "--variant", BY_MEANING)
    refused.assert_refused(2, "--split search --force-model")
