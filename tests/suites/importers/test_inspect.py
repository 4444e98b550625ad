"""Logs of Inspect as suites. What needs its package is skipped without it, and done by `make test-services`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from selfopt.errors import SuiteError
from selfopt.suites.importers import ImportRequest
from selfopt.suites.importers.inspect_log import IMPORTER


def sample(folder: Path) -> Path:
    """A log that can be imported, written by Inspect itself."""
    log = pytest.importorskip("inspect_ai.log")
    model = pytest.importorskip("inspect_ai.model")
    scorer = pytest.importorskip("inspect_ai.scorer")
    tool = pytest.importorskip("inspect_ai.tool")
    folder.mkdir(parents=True, exist_ok=True)
    offered = [{"name": "w", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    samples = [
        log.EvalSample(
            id=number,
            epoch=epoch,
            input="weather in Oslo?",
            target="",
            output=model.ModelOutput(
                choices=[
                    model.ChatCompletionChoice(
                        message=model.ChatMessageAssistant(
                            content="", tool_calls=[tool.ToolCall(id="c", function="w", arguments={"city": "Oslo"})]
                        )
                    )
                ]
            ),
            scores={"match": scorer.Score(value="C" if number < 3 else "I")},
            metadata={"tools": offered},
        )
        for number in (1, 2, 3)
        for epoch in (1, 2)
    ]
    made = log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created="2026-01-01T00:00:00+00:00", task="t", dataset=log.EvalDataset(), model="m/x", config=log.EvalConfig()
        ),
        samples=samples,
    )
    path = folder / "log.json"
    log.write_eval_log(made, str(path))
    return path


def test_samples_that_were_right_expect_their_calls(tmp_path: Path) -> None:
    """Each once, whatever its epochs; the others are left out and counted."""
    found = IMPORTER.read(ImportRequest(sample(tmp_path), "mine"))
    assert [prompt.id for prompt in found.suites[0].prompts] == ["1", "2"]
    assert found.warnings == ("left out: samples that were not scored as right (2)",)
    expected = found.suites[0].prompts[0].expected
    assert expected != "any"
    assert expected[0][0].arguments == {"city": ["Oslo"]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("x.eval", b"no archive", "archive"), ("x.txt", b"{}", "neither"), ("x.eval", b"", "archive")],
)
def test_what_is_no_log_is_refused_before_anything_is_loaded(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """In one line."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SuiteError, match=said):
        IMPORTER.read(ImportRequest(tmp_path / name, "mine"))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """By what it says of itself, before it is unpacked."""
    path = tmp_path / "bomb.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("a.json", "w") as file:
        for _ in range(1001):
            file.write(b" " * 1_000_000)
    with pytest.raises(SuiteError, match="unpacked"):
        IMPORTER.read(ImportRequest(path, "mine"))
