"""What a model answered to suites of the Berkeley leaderboard, in the leaderboard's own files of results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfopt.home.files import atomic_write_text
from selfopt.records import Evaluation

from .stored_trials import ExportedTrial

PREFIX = "bfcl_"
_LIVE, _MULTI, _AGENTIC = "live_", "multi_turn", ("memory", "web_search")


def is_leaderboard(evaluation: Evaluation) -> bool:
    """Whether an evaluation is of a category of the leaderboard, as `suites pull bfcl` names it."""
    return evaluation.suite.startswith(PREFIX)


def write_results(
    evaluation: Evaluation, trials: Iterable[ExportedTrial], folder: Path, name: str | None = None
) -> tuple[list[Path], int]:
    """Writes `result/` and `score/` of one category, from the first run. What stands there is replaced.

    A result has the form of a model with function calling: the calls that were read, or the text where there are none. The
    score is what our judging says, in the form of the leaderboard; its own checker can be run on the results.

    Args:
        name: the model's name in the leaderboard; the evaluation's where it is None.

    Returns:
        The two files, and the number of results.

    Raises:
        StoreError: a file can't be written.
    """
    category = evaluation.suite.removeprefix(PREFIX)
    first = sorted((trial for trial in trials if trial.epoch == 1), key=lambda trial: _order(trial.prompt_id))
    model, file = (name or evaluation.model).replace("/", "_"), f"BFCL_v4_{category}"
    group = "multi_turn" if category.startswith(_MULTI) else "live" if category.startswith(_LIVE) else "non_live"
    group = "agentic" if category.startswith(_AGENTIC) else group
    right = [trial for trial in first if _passed(trial)]
    head = {"accuracy": len(right) / len(first) if first else 0.0, "correct_count": len(right), "total_count": len(first)}
    wrong = [_fault(trial, category, name or evaluation.model) for trial in first if not _passed(trial)]
    written = []
    for kind, rows in (("result", [_result(trial) for trial in first]), ("score", [head, *wrong])):
        path = folder / kind / model / group / f"{file}_{kind}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, "".join(json.dumps(row) + "\n" for row in rows), within=folder, mode=0o644)
        written.append(path)
    return written, len(first)


def _passed(judged: ExportedTrial) -> bool:
    return judged.verdict is not None and judged.verdict.outcome == "pass"


def _said(judged: ExportedTrial) -> Any:
    """The calls that were read, each as its name and its arguments as text; the text where there are none.

    Names have underscores for dots, as APIs of tools want it, and as the leaderboard's checker expects it of such models.
    """
    calls = judged.verdict.parsed.tool_calls if judged.verdict is not None else ()
    if calls:
        return [{call.name.replace(".", "_"): json.dumps(call.arguments)} for call in calls]
    return judged.reply.text if judged.reply is not None else ""


def _result(judged: ExportedTrial) -> dict[str, Any]:
    trial = judged.trial
    return {
        "id": judged.prompt_id,
        "result": _said(judged),
        "input_token_count": trial.usage.input_tokens or 0,
        "output_token_count": trial.usage.output_tokens or 0,
        "latency": trial.latency_ms / 1000,
    }


def _fault(judged: ExportedTrial, category: str, model: str) -> dict[str, Any]:
    outcome = judged.verdict.outcome.value if judged.verdict is not None else "not judged"
    why = judged.verdict.why if judged.verdict is not None else ""
    return {
        "id": judged.prompt_id,
        "model_name": model,
        "test_category": category,
        "valid": False,
        "error": [why or outcome],
        "error_type": f"selfopt:{outcome}",
        "model_result_raw": _said(judged),
    }


def _order(prompt_id: str) -> tuple[str, tuple[int, ...], str]:
    """`simple_python_10` after `simple_python_9`."""
    name, _, numbers = prompt_id.rpartition("_")
    parts = numbers.split("-")
    return name, tuple(int(part) for part in parts if part.isascii() and part.isdecimal()), numbers
