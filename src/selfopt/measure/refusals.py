"""Notices that a server refuses or fails every request, so that it is not asked to the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from selfopt.errors import LASTING, Cause, EndpointError
from selfopt.records import Trial

from .trial import TrialJob, TrialResult

NEEDED = 3
"""So many first requests have to fail alike. Fewer may be chance, and each has had its retries."""

_OVERLOADED = frozenset({429, 502, 503, 504, 529})
"""Statuses that tell of a server as a whole. A 500 may come from what one variant asks for."""

Form = tuple[object, ...]
_EVERY: Form = ("every",)


@dataclass(slots=True)
class Refusals:
    """What the server of one arm has refused, or failed at, since the beginning of a pass.

    Attributes:
        without_tools: the server said before that the model has no tools, so one refusal suffices.
        lasting: conclude from causes that repeats can't change, and from nothing else. That is so
            in a race, where a request that might be answered has to be made.
    """

    without_tools: bool = False
    lasting: bool = False
    _seen: tuple[object, ...] | None = None  # what the failures so far have in common
    _error: EndpointError | None = None
    _cause: Cause | None = None
    _said: str = ""
    _forms: set[Form] = field(default_factory=set)
    _count: int = 0
    _over: bool = False

    @classmethod
    def after(cls, trials: Iterable[Trial], *, without_tools: bool, lasting: bool = False) -> Refusals:
        """Those of a pass that goes on. Where trials were left out already, the rest is too."""
        known = list(trials)
        left_out = next((trial for trial in known if not trial.asked), None)
        if left_out is None:
            over = any(trial.cause not in LASTING if lasting else trial.fault != "error" for trial in known)
            return cls(without_tools, lasting, _over=over)
        cause, said = left_out.cause, left_out.said
        return cls(without_tools, lasting, (cause,), None, cause, said, {_EVERY}, NEEDED)

    @property
    def concluded(self) -> bool:
        """Whether the first requests failed alike."""
        needed = 1 if self._cause == "no_tools" and self.without_tools else NEEDED
        return not self._over and self._seen is not None and self._count >= needed

    @property
    def of_server(self) -> EndpointError | None:
        """The error of a server that fails whatever it is asked; None when it is none, or not known."""
        error = self._error
        if error is None or not self.concluded or error.cause in LASTING or error.blames == "content":
            return None
        return error

    def look(self, job: TrialJob, result: TrialResult) -> None:
        """Take note of how a trial ended. Where a reply came first, nothing is concluded.

        A load and a timeout tell nothing about the next request.
        """
        error = result.error
        if error is not None and not self.lasting and result.judged.trial.fault in ("loading", "timeout"):
            return
        seen = None if error is None else _alike(error, lasting=self.lasting)
        if error is None or seen is None or self._seen not in (None, seen):
            self._over = self._over or not self.concluded
            return
        self._seen, self._error, self._cause = seen, error, error.cause
        self._said = self._said or error.said or str(error)
        self._forms.add(_form(error.cause, job))
        self._count += 1

    def covers(self, job: TrialJob) -> bool:
        """Whether a trial need not be asked. Once that is so, it stays so."""
        return self.concluded and (_EVERY in self._forms or _form(self._cause, job) in self._forms)

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


def _alike(error: EndpointError, *, lasting: bool) -> tuple[object, ...] | None:
    """What other failures have to share to be the same; None when nothing follows from this one."""
    if lasting and error.cause not in LASTING:
        return None
    if error.cause is not None:
        return (error.cause,)
    # The text of a 400 may be about one prompt. Where the server itself fails, its text may carry a number.
    return (error.kind, error.status, error.said if error.kind == "bad_request" else "")


def _form(cause: Cause | None, job: TrialJob) -> Form:
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
    """Whether the server refused every trial: for a cause that repeats can't change, or the first
    ones alike, so that the others were not asked.
    """
    known = list(trials)
    causes = {trial.cause for trial in known}
    if causes and causes <= LASTING:
        return True
    return any(not trial.asked for trial in known) and len(causes) == 1 and all(trial.fault == "error" for trial in known)


def is_overloaded(error: EndpointError) -> bool:
    """Whether a failure is surely of the server as a whole, whatever it was asked."""
    return error.kind == "rate_limited" or error.status in _OVERLOADED


def only_fails(error: EndpointError) -> EndpointError:
    """The error that ends a command because its server never answers well."""
    text = f"the server only fails: {error}; then run the same command again to go on"
    return EndpointError(text, kind=error.kind, status=error.status, final=True).because(error.cause, error.said)
