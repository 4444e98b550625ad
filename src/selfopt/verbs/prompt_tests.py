"""The prompts of a suite as tests: each is asked when its turn comes, in whichever process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selfopt.errors import EndpointError, SelfoptError
from selfopt.measure.arms import Readiness, open_arm, ready
from selfopt.measure.asks import Asking
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Desk, Labels
from selfopt.measure.trial import JudgedTrial
from selfopt.records import (
    AnswerExcerpt,
    Ask,
    Outcome,
    OutcomeRow,
    Phase,
    Prompt,
    PromptExcerpt,
    Split,
    Variant,
)
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .differing import answer_excerpt, prompt_excerpt
from .shared_caps import SharedCaps

_MAX_CONNECT_FAILURES = 3


class NotAskedError(SelfoptError):
    """A prompt was not asked: a cap is reached, or the server failed before. The message says which."""


@dataclass(frozen=True, slots=True)
class PromptTestRequest:
    """Which prompts are tests, and of what.

    Attributes:
        model: its name or alias.
        suite: its name or file.
        variant: None for that of the rule in force, else native_api.
        split: None for the suite's default.
        limit: only the first so many prompts.
    """

    model: str
    suite: str
    variant: str | None = None
    split: Split | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class TestedPrompt:
    """What came of one prompt."""

    __test__ = False  # it is no test of pytest's

    prompt: PromptExcerpt
    answer: AnswerExcerpt

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.answer.outcome is Outcome.PASS


class PromptTests:
    """The prompts of one suite, for one model. Rules refuse nothing here: what is named is asked.

    Whoever asks holds the lock of the home, or is a process of somebody who does. Every trial is in the
    ledger before its result is told.

    Raises:
        SelfoptError: the request names something that is not there, such as a suite or a model.
    """

    def __init__(self, app: App, request: PromptTestRequest, group_id: str) -> None:
        self._app = app
        self._group_id = group_id
        self.suite = app.suite(request.suite)
        model = app.resolve_model(request.model)
        options: dict[str, Any] = {"suite": request.suite, "split": request.split}
        self._spec = app.spec(model, self.suite.phase, _variant(app, request.variant, model, self.suite.phase), options)
        self.prompts: tuple[Prompt, ...] = self.suite.select(self._spec.split)[: request.limit]
        self._by_id = {prompt.id: prompt for prompt in self.prompts}
        self._desk: Desk | None = None
        self._readiness: dict[str, Readiness] = {}
        self._failed: str | None = None
        self._replied = False
        self._connect_failures = 0

    @property
    def phase(self) -> Phase:
        """The phase of the suite."""
        return self.suite.phase

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._spec.model

    @property
    def label(self) -> str:
        """Model, phase and variant."""
        return self._spec.label

    def require(self) -> None:
        """Check keys, prices, files and consent before the first request needs them. Raises SelfoptError."""
        self._app.require_ready([self._spec.model])
        self._app.sender.require(self._spec.model, self._spec.model)
        self._app.home.ensure()

    async def ask(self, prompt_id: str, caps: SharedCaps) -> TestedPrompt:
        """Ask one prompt, once.

        Raises:
            NotAskedError: a cap is reached, or the server has failed every prompt before.
            EndpointError: an error that every prompt would meet, such as no server or a wrong key.
            StoreError: the ledger cannot be written.
        """
        reason = self._failed or caps.reserve()
        if reason is not None:
            raise NotAskedError(f"not asked: {reason}")
        desk, spec = self._at(), self._spec
        try:
            async with desk.board.alive():
                self._readiness = self._readiness or await ready(desk, [spec], self.suite, always=False)
                labels = Labels(group_id=self._group_id)
                arm = open_arm(desk, spec, self.suite, [prompt_id], 0, labels, self._readiness[spec.request_id])
                ask = Ask(arm=spec.request_id, position=0, prompt_id=prompt_id)
                asking = Asking(desk, {spec.request_id: arm}, [(0, ask)], self.suite, "run", carries_on=True)
                await asking.make()
                await desk.context.ledger.append(asking.closing("the prompt was given up"))
        except EndpointError as error:
            self._connect_failures += 1
            # A server that was there may be back for the next prompt.
            if error.kind != "connect" or not self._replied or self._connect_failures >= _MAX_CONNECT_FAILURES:
                self._failed = str(error)
            raise
        self._connect_failures = 0
        made = asking.done[spec.request_id, 0]
        trial = made.trial
        replied = trial.fault in (None, "truncated")
        self._replied = self._replied or replied
        cost = desk.context.price_for(spec, trial.usage, trial.busy_ms / 1000)
        caps.charge(trial.usage, 0.0 if cost is None and not replied else cost, spec.model)
        return self._tested(made)

    def _at(self) -> Desk:
        if self._desk is None:
            context = self._app.measure_context()
            self._desk = Desk.of(context, BudgetMeter(Budget(), context.clock))
        return self._desk

    def _tested(self, made: JudgedTrial) -> TestedPrompt:
        prompt, verdict, spec = self._by_id[made.trial.prompt_id], made.verdict, self._spec
        row = OutcomeRow(
            prompt_id=prompt.id,
            prompt_kind=prompt.kind,
            needs_call=prompt.needs_call,
            outcomes=(verdict.outcome,),
            trial_ids=(made.trial.trial_id,),
        )
        judges = verdict.parser_hash, verdict.scorer_hash
        answer = answer_excerpt(self._app, spec.model, spec.variant.name, row, judges)
        assert answer is not None
        return TestedPrompt(prompt_excerpt(self.suite.name, row, prompt), answer)


@contextmanager
def hold(app: App, tests: Iterable[PromptTests]) -> Iterator[None]:
    """Hold the lock of the home and of what is tested, for this process and those that it starts.

    Raises:
        LockedError: another measurement works in this home.
    """
    app.home.ensure()
    with measuring(app, "pytest", [one.model for one in tests]):
        yield


def _variant(app: App, name: str | None, model: str, phase: Phase) -> Variant:
    if name is not None:
        return app.variant(name)
    rule = app.enforcer.load(repair_pending=False).rule_for(model, phase, app.settings.one_name)
    return rule.variant if rule is not None and rule.variant is not None else app.variant("native_api")
