"""Notices that a server refuses every request of a form, so that it is not asked to the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from selfopt.errors import LASTING, Cause, EndpointError
from selfopt.records import Trial

from .trial import TrialJob, TrialResult

NEEDED = 3
"""So many first requests have to be refused for one cause."""

Form = tuple[object, ...]
_EVERY: Form = ("every",)


@dataclass(slots=True)
class Refusals:
    """What the server of one arm has refused since the beginning of a pass.

    Attributes:
        without_tools: the server said before that the model has no tools, so one refusal suffices.
    """

    without_tools: bool = False
    _cause: Cause | None = None
    _said: str = ""
    _forms: set[Form] = field(default_factory=set)
    _count: int = 0
    _over: bool = False

    @classmethod
    def after(cls, trials: Iterable[Trial], *, without_tools: bool) -> Refusals:
        """Those of a pass that goes on. Where trials were left out already, the rest is too."""
        known = list(trials)
        left_out = next((trial for trial in known if not trial.asked and trial.cause is not None), None)
        if left_out is None:
            return cls(without_tools, _over=any(trial.cause not in LASTING for trial in known))
        return cls(without_tools, left_out.cause, left_out.said, {_EVERY}, NEEDED)

    @property
    def _concluded(self) -> bool:
        needed = 1 if self._cause == "no_tools" and self.without_tools else NEEDED
        return not self._over and self._count >= needed

    def look(self, job: TrialJob, error: EndpointError | None) -> None:
        """Take note of how a request ended. Where a reply came first, nothing is concluded."""
        cause = error.cause if error is not None else None
        if error is None or cause is None or cause not in LASTING or self._cause not in (None, cause):
            self._over = self._over or not self._concluded
            return
        self._cause, self._said = cause, self._said or error.said
        self._forms.add(_form(cause, job))
        self._count += 1

    def covers(self, job: TrialJob) -> bool:
        """Whether a trial need not be asked. Once that is so, it stays so."""
        if self._cause is None or not self._concluded:
            return False
        return _EVERY in self._forms or _form(self._cause, job) in self._forms

    def left_out(self, job: TrialJob, slot: int, at: str) -> TrialResult:
        """The result of a trial that is not asked."""
        run = job.arm.run
        trial = Trial(
            trial_id=job.trial_id,
            run_id=run.run_id,
            request_id=run.request_id,
            environment_id=run.environment_id,
            prompt_id=job.prompt.id,
            run_index=run.run_index,
            position=job.ask.position,
            slot=slot,
            started_at=at,
            exchanges=(),
            fault="error",
            latency_ms=0.0,
            cause=self._cause,
            said=self._said,
        )
        return TrialResult(job.arm.judge.judged(trial, job.prompt, job.tools, None), (), None)


def _form(cause: Cause, job: TrialJob) -> Form:
    """What the refusal of a prompt says about others: they are refused too if their form is the same.

    A template that refuses roles may take other prompts, and another prompt may fit the context.
    """
    if cause == "context":
        return ("prompt", job.prompt.id)
    if cause == "roles":
        return ("roles", bool(job.tools), tuple(message.role for message in job.prompt.messages))
    if cause == "memory":
        return _EVERY
    return ("tools", bool(job.tools))


def all_refused(trials: Iterable[Trial]) -> bool:
    """Whether the server refused every trial for a cause that repeats can't change."""
    causes = {trial.cause for trial in trials}
    return bool(causes) and causes <= LASTING
