"""Building blocks of the Markdown reports: tables, lists and the evidence behind figures."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.home import counted
from selfopt.records import Evaluation
from selfopt.words.evidence import SYNTHETIC, on_prompts

from .escape import code
from .figures import NOT_MEASURED, runs, share


class Evidence:
    """Numbers the evaluations that a report refers to, and lists them with their runs."""

    def __init__(self) -> None:
        self._known: dict[str, Evaluation] = {}

    def ref(self, *evaluations: Evaluation | None) -> str:
        """The numbers of evaluations, such as `E1, E2`; a dash for none."""
        numbers = []
        for evaluation in evaluations:
            if evaluation is not None:
                self._known.setdefault(evaluation.evaluation_id, evaluation)
                numbers.append(f"E{list(self._known).index(evaluation.evaluation_id) + 1}")
        return ", ".join(dict.fromkeys(numbers)) or "-"

    def lines(self) -> list[str]:
        """The section that says where each figure comes from."""
        return ["## Evidence", "", *listed, ""] if (listed := self.table()) else []

    def table(self) -> list[str]:
        """The table of that section; empty where no evaluation was referred to."""
        if not self._known:
            return []
        rows = [
            [
                f"E{number}",
                code(e.evaluation_id),
                f"{code(e.model)} {e.phase}, {code(e.variant)}, suite {code(e.suite)}"
                + (" (this suite only)" if e.scope == "whole" else "")
                + (f", {SYNTHETIC}" if e.synthetic else ""),
                runs(e),
                # A race has two runs or more per block; the race_id stands for all of them.
                f"{counted(len(e.run_ids), 'run')} of {code(e.race_id)}"
                if e.race_id
                else " ".join(code(run_id) for run_id in e.run_ids),
            ]
            for number, e in enumerate(self._known.values(), 1)
        ]
        return table(["", "evaluation", "of", "measured", "runs"], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table. The caller escapes the cells."""
    return [_row(heads), _row(["---"] * len(heads)), *(_row(row) for row in rows)]


def bullets(items: Sequence[str], none: str) -> list[str]:
    """A list, or the sentence `none` if it is empty."""
    return [f"- {item}" for item in items] or [none]


def measured(evaluation: Evaluation | None) -> str:
    """The accuracy, beside that of the silent and the always-calling policy."""
    if evaluation is None:
        return NOT_MEASURED
    m = evaluation.metrics
    told = f"{share(m.accuracy)} (silent {share(m.silent.accuracy)}, always calling {share(m.always_calling.accuracy)})"
    return on_prompts(told, synthetic=evaluation.synthetic)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
