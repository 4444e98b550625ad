"""Where a check is told to others: files for a build's reports, and what GitHub reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import StoreError, SuiteError, UsageError
from selfopt.home import atomic_write_text
from selfopt.home.files import reason_of
from selfopt.measure.lookup import find
from selfopt.records import Check, CheckedPrompt, Differences, Outcome, OutcomeRow, PromptDifference, Spec
from selfopt.report import (
    SUMMARY_MAX_BYTES,
    check_annotations,
    check_junit,
    check_markdown,
    unjudged_annotation,
    unjudged_junit,
    unjudged_markdown,
)
from selfopt.wiring.app import App

from .differing import answer_excerpt, prompt_excerpt

logger = logging.getLogger("selfopt.check")

_MOST = 200
_KINDS = {UsageError.exit_code: "usage", 130: "interrupted"}
_PUBLIC = 0o644  # whoever uploads these files may be another user


@dataclass(frozen=True, slots=True)
class CheckOutputs:
    """Which files a check writes; None: not that one."""

    junit: Path | None = None
    markdown: Path | None = None

    def require(self, file: Path) -> None:
        """Check that the files can be written. Raises UsageError.

        file: the check file, which none of them may replace.
        """
        for option, _ in self.named():
            if problem := self._problem(option, file):
                raise UsageError(problem)

    def clear(self) -> None:
        """Remove what an earlier check wrote: should this one be killed, nobody takes an old report for its own."""
        for _, path in self.named():
            with suppress(OSError):
                path.unlink()

    def named(self) -> list[tuple[str, Path]]:
        """The options that were given, with their files."""
        both = (("--junit", self.junit), ("--markdown", self.markdown))
        return [(option, path) for option, path in both if path is not None]

    def writable(self, file: Path) -> list[tuple[str, Path]]:
        """Those of `named` that can be written."""
        return [(option, path) for option, path in self.named() if not self._problem(option, file)]

    def _problem(self, option: str, file: Path) -> str:
        path = dict(self.named())[option]
        if path.is_dir():
            return f"{option} {path} is a folder; name a file"
        if path.exists() and not path.is_file():
            return f"{option} {path} is no regular file; name one"
        if not path.parent.is_dir():
            return f"{option} {path}: the folder {path.parent} does not exist; make it first"
        if not os.access(path.parent, os.W_OK):
            return f"{option} {path}: the folder {path.parent} cannot be written; choose another one"
        if path.resolve() == file.resolve():
            return f"{option} {path} would replace the check file; name another file"
        if any(other != option and path.resolve() == another.resolve() for other, another in self.named()):
            return f"--junit and --markdown both name {path}; name two files"
        return ""


def write_check_outputs(app: App, check: Check, outputs: CheckOutputs) -> tuple[str, ...]:
    """Write what was asked for, each file as a whole, and add to the summary of GitHub's step if there is one.

    Returns:
        GitHub's annotations, a line each, which are to be printed; none elsewhere than in a step of its workflows.

    Raises:
        StoreError: a file could not be written.
    """
    on_github = app.environ.get("GITHUB_ACTIONS") == "true"
    summary = app.environ.get("GITHUB_STEP_SUMMARY")
    wanted = outputs.junit or outputs.markdown or summary
    differences = check_differences(app, check) if wanted else None
    for path, write in ((outputs.junit, check_junit), (outputs.markdown, check_markdown)):
        if path is not None:
            atomic_write_text(path, write(check, differences), mode=_PUBLIC)
    if summary:
        _add_to_summary(Path(summary), lambda room: check_markdown(check, differences, max_bytes=room))
    return tuple(check_annotations(check)) if on_github else ()


def write_unjudged(outputs: CheckOutputs, environ: Mapping[str, str], file: Path, message: str, code: int) -> tuple[str, ...]:
    """Write that a check came to no verdict where its reports would stand. What cannot be written is logged.

    Args:
        message: why, as the command says it.
        code: the command's exit code.

    Returns:
        GitHub's annotations, as `write_check_outputs`.
    """
    name, kind = str(file), _KINDS.get(code, "error")
    for option, path in outputs.writable(file):
        text = unjudged_junit(name, message, kind=kind) if option == "--junit" else unjudged_markdown(name, message)
        try:
            atomic_write_text(path, text, mode=_PUBLIC)
        except StoreError as error:
            logger.warning("%s could not be written: %s", option, error)
    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        _add_to_summary(Path(summary), lambda room: unjudged_markdown(name, message, max_bytes=room))
    return (unjudged_annotation(name, message),) if environ.get("GITHUB_ACTIONS") == "true" else ()


def _add_to_summary(path: Path, text_within: Callable[[int], str]) -> None:
    """Append to the summary in one write. What can't be told there fails no check."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, _PUBLIC)
        try:
            room = SUMMARY_MAX_BYTES - os.fstat(descriptor).st_size
            text = text_within(room) if room > 0 else ""
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("GITHUB_STEP_SUMMARY %s could not be written: %s", path, reason_of(error))


def check_differences(app: App, check: Check) -> Differences:
    """The prompts that were not always right, with what was replied now and before. At most 200 of them."""
    sides = _sides(app, check)
    suite = None
    spec = find(app.ledger, Spec, check.spec_id)
    if spec is not None:
        try:
            suite = app.suite_for(spec)
        except SuiteError:
            suite = None  # its file is not at hand any more
    prompts = {} if suite is None or suite.content_id() != check.suite_hash else {p.id: p for p in suite.prompts}
    wrong = [row for row in check.rows if set(row.now) - {Outcome.PASS}]
    shown = []
    for checked in wrong[:_MOST]:
        rows = _row(checked, checked.now, checked.trial_ids), _row(checked, checked.before, checked.before_trial_ids)
        told = [(side, row) for side, row in zip(sides, rows, strict=False) if row is not None]
        answers = [answer_excerpt(app, model, variant, row, judges) for (model, variant, judges), row in told]
        prompt = prompt_excerpt(check.suite, _plain(checked), prompts.get(checked.prompt_id))
        shown.append(PromptDifference(prompt=prompt, answers=tuple(a for a in answers if a is not None)))
    return Differences(compared=len(check.rows), differing=len(wrong), prompts=tuple(shown))


def _sides(app: App, check: Check) -> list[tuple[str, str, tuple[str, str]]]:
    """Model, variant and judges of the present configuration, and of the earlier one if it was asked."""
    earlier = check.compared_with
    named = [(check.spec_id, check.model, check.variant)]
    named += [] if earlier is None else [(earlier.spec_id, earlier.model, f"{earlier.variant} (before)")]
    specs = [(find(app.ledger, Spec, spec_id), model, variant) for spec_id, model, variant in named]
    return [
        (model, variant, (spec.variant.parser_hash if spec is not None else "", check.scorer_hash))
        for spec, model, variant in specs
    ]


def _plain(checked: CheckedPrompt) -> OutcomeRow:
    return OutcomeRow(
        prompt_id=checked.prompt_id,
        prompt_kind=checked.prompt_kind,
        needs_call=checked.needs_call,
        outcomes=checked.now,
        trial_ids=(),
    )


def _row(checked: CheckedPrompt, outcomes: tuple[Outcome, ...], trial_ids: tuple[str, ...]) -> OutcomeRow | None:
    """The outcomes of one side with their trials; None where this home does not have all of these."""
    if not outcomes or len(trial_ids) != len(outcomes):
        return None
    return _plain(checked).model_copy(update={"outcomes": outcomes, "trial_ids": trial_ids})
