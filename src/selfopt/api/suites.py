"""The verbs of `selfopt suites` for Python programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfopt.records import ToolDefinition
from selfopt.verbs.making import ImportedSuites, ImportRequest, MadeSuite, import_suites, new_suite
from selfopt.verbs.measuring import phase_of
from selfopt.verbs.opening import App
from selfopt.verbs.reviewing import AddedPrompts, add_from_ledger
from selfopt.verbs.suites import SuiteWarning, suite_document, suite_problems, suite_summaries, suite_warnings
from selfopt.verbs.tools import load_tools, read_tools, tools_label

from .runner import Runner

__all__ = ["Suites", "Tools", "offered_tools"]

Tools = Path | str | Sequence[ToolDefinition]


def offered_tools(tools: Tools) -> Sequence[ToolDefinition]:
    """Definitions as they are, or from a file."""
    return load_tools(Path(tools)) if isinstance(tools, str | Path) else tools


class Suites:
    """`selfopt suites`."""

    def __init__(self, app: App, runner: Runner) -> None:
        self._app = app
        self._runner = runner

    def list(self) -> list[dict[str, Any]]:
        """The built-in suites and the home's own: name, phase, scope, title, prompts, source."""
        return suite_summaries(self._app)

    def show(self, name: str) -> dict[str, Any]:
        """A suite (a name or a file) with its prompts and their tools."""
        return suite_document(self._app, name)

    def validate(self, name: str) -> Sequence[str]:
        """Every problem of a suite; empty when it can be used."""
        return suite_problems(self._app, name)

    def warnings(self, name: str) -> Sequence[SuiteWarning]:
        """What makes a usable suite worth less, each with its code, the prompts and one line (docs/SUITES.md)."""
        return suite_warnings(self._app, name)

    def new(self, name: str, phase: str = "atomic", *, tools: Tools | None = None, to: str | Path | None = None) -> MadeSuite:
        """Write a suite to begin with; tools: a file, `mcp:` and a server, or definitions. Nothing is replaced."""
        origin = tools_label(tools) if isinstance(tools, str) else ""
        chosen = self._offered(tools)
        return new_suite(self._app, name, phase_of(phase), chosen, origin, Path(to) if to is not None else None)

    def import_(
        self,
        kind: str,
        source: str | Path,
        name: str = "",
        *,
        phase: str | None = None,
        tools: Tools | None = None,
        replace: bool = False,
        **options: str | Sequence[str],
    ) -> ImportedSuites:
        """Suites from files in another form (`selfopt suites import KIND`); all of them or none, and nothing is executed.

        Args:
            kind: the importer, such as "jsonl".
            name: of the suite. Default: that of the file. An importer of several names its own.
            options: the importer's own, such as `provider="openai:chat:x"`.
        """
        values = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in options.items()}
        chosen = phase_of(phase) if phase is not None else None
        asked = ImportRequest(Path(source), name or Path(source).stem, chosen, self._offered(tools), values)
        return import_suites(self._app, kind, asked, replace=replace)

    def import_jsonl(self, file: str | Path, name: str, *, phase: str | None = None, tools: Tools | None = None) -> MadeSuite:
        """A suite from JSON lines `{messages, tools, expected}`; all of them or none."""
        return self.import_("jsonl", file, name, phase=phase, tools=tools).made[0]

    def import_promptfoo(
        self, file: str | Path, name: str, *, phase: str | None = None, tools: Tools | None = None, provider: str | None = None
    ) -> MadeSuite:
        """A suite from a configuration of promptfoo; nothing in it is executed."""
        return self.import_("promptfoo", file, name, phase=phase, tools=tools, provider=provider or ()).made[0]

    def add_from_ledger(self, *trials: str, to: str | Path, suite: str | None = None) -> AddedPrompts:
        """Turn failed trials into prompts for review; all of them or none."""
        return add_from_ledger(self._app, trials, str(to), suite)

    def _offered(self, tools: Tools | None) -> tuple[ToolDefinition, ...] | None:
        if isinstance(tools, str):
            return self._runner.wait(read_tools(self._app, tools))
        return tuple(offered_tools(tools)) if tools is not None else None
