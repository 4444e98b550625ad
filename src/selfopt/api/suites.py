"""The verbs of `selfopt suites` for Python programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from selfopt.verbs.bfcl import pull_bfcl_suites
from selfopt.verbs.making import ImportedSuites, ImportRequest, MadeSuite, import_suites, new_suite
from selfopt.verbs.measuring import phase_of
from selfopt.verbs.reviewing import AddedPrompts, add_from_ledger
from selfopt.verbs.suites import SuiteWarning, export_suite, suite_document, suite_problems, suite_summaries, suite_warnings
from selfopt.verbs.tools import Tools, read_tools

from .runner import Noun


class Suites(Noun):
    """Suites of prompts: `selfopt suites`."""

    def list(self) -> list[dict[str, Any]]:
        """Lists built-in suites and the home's own: name, phase, scope, title, prompts, source."""
        return suite_summaries(self._app)

    def show(self, name: str) -> dict[str, Any]:
        """Returns a suite with its prompts and their tools. name: its name or file."""
        return suite_document(self._app, name)

    def export(self, name: str, out: str | Path, form: Literal["hf", "jsonl"] = "hf", *, replace: bool = False) -> Sequence[Path]:
        """Writes a suite for other programs and returns the files. form: "hf" for a folder, "jsonl" for one file."""
        return export_suite(self._app, name, form, Path(out), replace=replace)

    def validate(self, name: str) -> Sequence[str]:
        """Lists every problem of a suite. A suite without problems can be used."""
        return suite_problems(self._app, name)

    def warnings(self, name: str) -> Sequence[SuiteWarning]:
        """Lists what makes a suite worth less: code, prompts and a message (docs/SUITES.md)."""
        return suite_warnings(self._app, name)

    def new(self, name: str, phase: str = "atomic", *, tools: Tools | None = None, to: str | Path | None = None) -> MadeSuite:
        """Writes a suite to begin with, and never replaces one.

        tools: a file, `mcp:` and a server, or definitions.
        """
        file = Path(to) if to is not None else None
        return self._runner.wait(new_suite(self._app, name, phase_of(phase), tools, file))

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
        """Imports suites from another format (`selfopt suites import KIND`), all of them or none.
        Executes nothing.

        Args:
            kind: The importer, such as "jsonl".
            name: Name of the suite. Default: that of the file. Importers of several suites choose
                the names.
            options: The importer's own options, such as `provider="openai:chat:x"`.
        """
        values = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in options.items()}
        chosen = phase_of(phase) if phase is not None else None
        offered = self._runner.wait(read_tools(self._app, tools)) if tools is not None else None
        asked = ImportRequest(Path(source), name or Path(source).stem, chosen, offered, values)
        return import_suites(self._app, kind, asked, replace=replace)

    def import_jsonl(self, file: str | Path, name: str, *, phase: str | None = None, tools: Tools | None = None) -> MadeSuite:
        """Imports a suite from JSON lines `{messages, tools, expected}`, all of them or none."""
        return self.import_("jsonl", file, name, phase=phase, tools=tools).made[0]

    def import_promptfoo(
        self,
        file: str | Path,
        name: str,
        *,
        phase: str | None = None,
        tools: Tools | None = None,
        provider: str | None = None,
        strict: bool = False,
    ) -> MadeSuite:
        """Imports a suite from a configuration of promptfoo. Executes nothing in it.

        strict: whether anything that would be left out refuses the file.
        """
        asked = "true" if strict else ()
        return self.import_("promptfoo", file, name, phase=phase, tools=tools, provider=provider or (), strict=asked).made[0]

    def pull_bfcl(
        self, categories: Sequence[str] = (), *, replace: bool = False, show: Callable[[str], None] = lambda text: None
    ) -> ImportedSuites:
        """Imports categories of the Berkeley leaderboard from its wheel, which is fetched and
        checked.

        categories: None given means all.
        """
        return pull_bfcl_suites(self._app, categories, show, replace=replace)

    def add_from_ledger(self, *trials: str, to: str | Path, suite: str | None = None) -> AddedPrompts:
        """Turns failed trials into prompts for review, all of them or none."""
        return add_from_ledger(self._app, trials, str(to), suite)
