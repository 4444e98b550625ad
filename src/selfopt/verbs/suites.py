"""`suites`: lists, shows and checks suites."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfopt.errors import SuiteError, UsageError
from selfopt.records import ExpectedCall, Outcome, ParsedReply, Prompt, Suite, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import Passes, PolicyScore, SuiteWarning, find_problems, find_warnings, list_suites, trivial_scores
from selfopt.wiring.app import App

if TYPE_CHECKING:
    from selfopt.export.suite_files import SuiteForm

__all__ = [
    "SuiteCheck",
    "SuiteWarning",
    "check_suite",
    "checked",
    "export_suite",
    "one_suite",
    "suite_document",
    "suite_problems",
    "suite_summaries",
    "suite_warnings",
]


@dataclass(frozen=True, slots=True)
class SuiteCheck:
    """What is wrong with a suite. With errors, the other fields are empty.

    Attributes:
        errors: why the suite cannot be used.
        warnings: what makes it worth less.
        policies: what policies that understand nothing would score.
    """

    errors: tuple[str, ...]
    warnings: tuple[SuiteWarning, ...]
    policies: tuple[PolicyScore, ...]


def suite_summaries(app: App) -> list[dict[str, Any]]:
    """List the built-in suites and the home's, with the number of their prompts.

    A suite that cannot be used is listed with its `problem`, so that it does not hide the others.
    """
    rows: list[dict[str, Any]] = []
    built_in = list_suites()
    for name in list_suites(app.home.suites):
        source = "built in" if name in built_in else "home"
        try:
            suite = app.suite(name)
        except SuiteError as error:
            rows.append({"name": name, "source": source, "problem": str(error)})
            continue
        rows.append(
            {
                "name": suite.name,
                "phase": suite.phase,
                "scope": suite.scope,
                "title": suite.title,
                "prompts": len(suite.prompts),
                "source": source,
                "judging": suite.judging,
                "origin": suite.origin,
                **({"synthetic": suite.synthetic.model_dump(mode="json")} if suite.synthetic is not None else {}),
            }
        )
    return rows


def one_suite(app: App, name: str) -> Suite:
    """Return a suite by name or file. SuiteError when it cannot be used."""
    return app.suite(name)


def suite_document(app: App, name: str) -> dict[str, Any]:
    """Return a suite as other programs read it.

    Returns:
        `{name, phase, prompts: [{id, kind, split, tool_set, tools, messages, expected, reason}]}`.
        tools holds the definitions that the prompt offers. A message has only the fields it uses.
    """
    suite = app.suite(name)
    prompts = []
    for prompt in suite.prompts:
        body = prompt.model_dump(mode="json", include={"id", "kind", "split", "tool_set"})
        tools = [tool.model_dump(mode="json") for tool in suite.tools_of(prompt)]
        messages = [
            {"role": m.role, "content": m.content, **m.model_dump(mode="json", exclude_defaults=True)} for m in prompt.messages
        ]
        expected = "any" if prompt.expected == "any" else [[_expected_call(c) for c in calls] for calls in prompt.expected]
        prompts.append({**body, "tools": tools, "messages": messages, "expected": expected, "reason": prompt.reason})
    return {"name": suite.name, "phase": suite.phase, "prompts": prompts}


def _expected_call(call: ExpectedCall) -> dict[str, Any]:
    body = {"name": call.name, "arguments": call.arguments}
    return {**body, "any_arguments": True} if call.any_arguments else body


def export_suite(app: App, name: str, form: SuiteForm, out: Path, *, replace: bool = False) -> list[Path]:
    """Write a suite (a name or a file) for other programs, and return the files.

    Args:
        form: `jsonl` for one file, `hf` for a folder that `datasets.load_dataset` reads.
        replace: whether what is there may be replaced.

    Raises:
        SuiteError: the suite can't be used.
        UsageError: something stands in the way.
        StoreError: a file can't be written.
    """
    from selfopt.export.suite_files import write_suite  # looking at suites needs nothing of what exports need

    from .exporting import check_target

    suite = app.suite(name)
    if form == "jsonl":
        check_target(out, replace=replace)
    elif out.exists() and (not out.is_dir() or (any(out.iterdir()) and not replace)):
        raise UsageError(f"{str(out)!r:.300} is no empty folder; name another, or write into it with --replace")
    return write_suite(suite, form, out)


def suite_problems(app: App, name: str) -> list[str]:
    """List all problems of a suite (a name or a file). SuiteError when there is no such suite."""
    return find_problems(name, app.home.suites)


def suite_warnings(app: App, name: str) -> list[SuiteWarning]:
    """List what makes a suite worth less, each with its code. SuiteError when it cannot be used."""
    suite = app.suite(name)
    return find_warnings(suite, _passes_of(suite))


def check_suite(app: App, name: str) -> SuiteCheck:
    """Check a suite (a name or a file). SuiteError when there is no such suite."""
    try:
        suite = app.suite(name)
    except SuiteError:
        return SuiteCheck(tuple(suite_problems(app, name)), (), ())
    return checked(suite)


def checked(suite: Suite) -> SuiteCheck:
    """Check a suite that can be used."""
    passes = _passes_of(suite)
    return SuiteCheck((), tuple(find_warnings(suite, passes)), tuple(trivial_scores(suite, passes)))


def _passes_of(suite: Suite) -> Passes:
    """Return a function that says whether tool calls pass a prompt by the suite's judging."""
    judge = scorer_of(suite.judging).judge

    def passes(prompt: Prompt, tools: tuple[ToolDefinition, ...], calls: tuple[ToolCall, ...]) -> bool:
        return judge(prompt, tools, ParsedReply(tool_calls=calls), None).outcome is Outcome.PASS

    return passes
