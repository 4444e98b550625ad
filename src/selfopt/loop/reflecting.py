"""Asks a reflection model at the turns that a search gives it, and keeps what came.

The search stays pure: it is told of proposals. A question is asked between two batches, so that a
model on this machine does not compete with the one that is measured. What the ledger has is not asked
again, so a search that was cut off is replayed with the same answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from selfopt.measure.lookup import find, held
from selfopt.measure.question import Adviser, Question, QuestionAnswer, put_question
from selfopt.measure.readings import read_by_each
from selfopt.measure.stored import stored_replies
from selfopt.policy import heldout_claim
from selfopt.records import (
    Constraint,
    Record,
    ReflectedEdit,
    Reflection,
    Sampling,
    SearchStart,
    Spec,
    Suite,
    Trial,
    WrittenChoice,
)
from selfopt.search.archive import RankedPoint, reading_text
from selfopt.search.edits import ANSWER_SCHEMA, EditRules, ReadEdits, read_edits
from selfopt.search.pareto import drawn
from selfopt.search.proposers import Proposal
from selfopt.search.proposers.queued import Queued
from selfopt.search.search import Search
from selfopt.variants.space import Point, asking_part, composed, point_text
from selfopt.variants.written import names_written
from selfopt.words.reflecting import reflection_text

from .context import LoopContext, LoopEvent
from .reflection_question import ReadTrial, ReflectionQuestion, gepa_edits, gepa_question, own_question

NAME = "reflection"
_FAILED, _PASSED = 6, 2
"""How many failed and passed trials are shown."""
_ASIDE = frozenset({"decide", "pick", "embed"})  # steps whose replies are no answers
_SILENT = 3
"""After so many questions in a row without an answer, no more are asked."""
_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class AskedWay:
    """A way to ask that was asked: its spec, and its trials by prompt id."""

    spec: Spec
    trials: Mapping[str, Trial]


class Reflecting:
    """The reflection of one search.

    Args:
        context: the loop.
        start: the search; it names the model.
        suite: of the search.
        search: is told what came to nothing.
        asked: what was asked so far, by the text of the way to ask.
    """

    def __init__(
        self, context: LoopContext, start: SearchStart, suite: Suite, search: Search, asked: Callable[[str], AskedWay]
    ) -> None:
        assert start.reflection is not None
        self._context, self._start, self._suite, self._asked = context, start, suite, asked
        self._search = search
        self._model = start.reflection
        self._silent = 0
        self.reflections: list[Reflection] = []

    @cached_property
    def _adviser(self) -> Adviser:
        return self._context.stages.adviser(self._model, self._start.model)

    @cached_property
    def _rules(self) -> EditRules:
        return EditRules(
            search_id=self._start.search_id,
            suite=self._suite,
            prompts=self._start.prompt_ids,
            capabilities=frozenset(self._start.capabilities),
            by=NAME,
            model=self._model,
            elsewhere=judged_elsewhere(self._suite),
            phase=self._start.phase,
        )

    async def turn(self, queue: Queued, batches: int) -> None:
        """Have something to propose when it is the search's turn to hear of it.

        Args:
            queue: what is told of proposals.
            batches: how many batches of the search came before.

        Raises:
            ConsentError: the question may not leave this machine. Nothing was sent.
        """
        if queue.waits() or self._search.turn() != NAME:
            return
        number = len(self.reflections)
        if number >= self._start.questions or self._silent >= _SILENT:
            return
        rng = random.Random(f"{self._start.seed} {NAME} {number}")
        parent = drawn(self._search.archive, rng)
        trials = self._shown(parent, rng) if parent is not None else []
        if parent is None or not trials:
            self._search.missed(NAME)  # nothing is right yet, or nothing fails
            return
        kept = find(self._context.ledger, Reflection, self._id(number))
        if kept is None and not self._may_ask():
            self._search.missed(NAME)
            return
        reflection = kept if kept is not None else await self._ask(number, batches, parent, trials)
        if reflection is None:
            return  # a cap is reached, and the search will see it
        self.reflections.append(reflection)
        self._silent = self._silent + 1 if reflection.unanswered is not None else 0
        proposals = [self._proposal(edit, parent.point) for edit in reflection.edits]
        queue.put(proposals)
        if not proposals:
            self._search.missed(NAME)
        self._context.say(LoopEvent(NAME, reflection_text(reflection), reflection))
        self._context.on_step("reflected")

    def _may_ask(self) -> bool:
        """Whether the settings still name the model: a search that goes on asks nobody whom the user took out."""
        wanted = self._context.settings.loop.reflection.model
        return wanted is not None and self._context.stages.resolve(wanted) == self._model

    def _id(self, number: int) -> str:
        return f"{self._start.search_id}/{NAME}/{number}"

    def _shown(self, parent: RankedPoint, rng: random.Random) -> list[ReadTrial]:
        """Some failed trials of the parent, and then some passed ones. Empty where nothing fails."""
        asking, reading = asking_part(parent.point), reading_text(parent.point)
        marks = self._search.archive.looks[point_text(asking)].marks.get(reading, {})
        way = self._asked(point_text(asking))
        known = [one for one in marks if one in way.trials]
        failed = [one for one in known if not marks[one].good]
        passed = [one for one in known if marks[one].good]
        if not failed:
            return []
        chosen = [*rng.sample(failed, min(_FAILED, len(failed))), *rng.sample(passed, min(_PASSED, len(passed)))]
        trials = [way.trials[one] for one in chosen]
        chain = composed(parent.point, written=self._search.written).parsers
        verdicts = read_by_each(self._context.ledger, way.spec, self._suite, trials, {reading: chain})[reading]
        prompts = {prompt.id: prompt for prompt in self._suite.prompts}
        return [
            ReadTrial(prompts[trial.prompt_id], self._replies(trial), verdict)
            for trial, verdict in zip(trials, verdicts, strict=True)
        ]

    def _replies(self, trial: Trial) -> list[str]:
        found = []
        for stored in stored_replies(self._context.ledger, trial):
            if stored.step.split()[0] in _ASIDE:
                continue
            content = stored.content()
            calls = [f"{call.name}({call.arguments})" for call in content.tool_calls]
            found.append(" ".join(filter(None, (content.text.strip(), *calls))))
        return found

    async def _ask(self, number: int, batches: int, parent: RankedPoint, trials: Sequence[ReadTrial]) -> Reflection | None:
        """Ask, and keep the answer with what may be used of it. None where a cap is reached."""
        question = self._question(parent.point, trials)
        answer = await self._put(question, number)
        if answer is None:
            return None
        body = None if answer.unanswered else gepa_edits(answer.text) if self._by_gepa else answer.json("edits")
        found = ReadEdits()
        if body is not None:
            found = read_edits(
                body,
                parent.point,
                self._rules,
                shown=question.known,
                tool_sets=question.tool_sets,
                begun=frozenset(self._search.archive.looks),
            )
        reflection = Reflection(
            reflection_id=self._id(number),
            search_id=self._start.search_id,
            number=number,
            batches=batches,
            model=self._model,
            parent=dict(parent.point),
            prompt_ids=question.prompt_ids,
            exchange=answer.exchange,
            unanswered=answer.unanswered or ("no_json" if body is None else None),
            edits=tuple(
                ReflectedEdit(point=dict(one.asking), fixes=tuple(sorted(one.fixes)), breaks=tuple(sorted(one.breaks)))
                for one in found.proposals
            ),
            refused=found.refused,
            at=self._context.now(),
        )
        written = {choice.written_id: choice for one in found.proposals for choice in one.written}
        await self._context.ledger.append([*answer.blobs, *unkept(self._context, written.values()), reflection])
        return reflection

    @property
    def _by_gepa(self) -> bool:
        return self._start.reflection_backend == "gepa"

    def _question(self, point: Point, trials: Sequence[ReadTrial]) -> ReflectionQuestion:
        variant = composed(point, written=self._search.written)
        most = self._context.settings.loop.reflection.max_chars
        if self._by_gepa:
            return gepa_question(variant, trials, self._suite, max_chars=most)
        return own_question(point, variant, trials, self._suite, frozenset(self._start.capabilities), max_chars=most)

    async def _put(self, question: ReflectionQuestion, number: int) -> QuestionAnswer | None:
        settings = self._context.settings
        told = Question(
            step=NAME,
            messages=tuple(question.messages),
            sampling=Sampling(temperature=_TEMPERATURE, seed=number, max_tokens=settings.loop.reflection.max_tokens),
            timeout_s=settings.loop.reflection.timeout_s,
            retries=settings.limits.retries,
            constraint=None if self._by_gepa else Constraint(kind="json_schema", json_schema=dict(ANSWER_SCHEMA)),
        )
        return await put_question(self._context.measure.arena.desk, self._adviser, told)

    def _proposal(self, edit: ReflectedEdit, parent: Point) -> Proposal:
        names = names_written(edit.point)
        new = [name for name in names if name not in self._search.written]
        written = tuple(held(self._context.ledger, WrittenChoice, f"{self._start.search_id}/{name}") for name in new)
        return Proposal(edit.point, frozenset(edit.fixes), frozenset(edit.breaks), parent, written)


def judged_elsewhere(suite: Suite) -> bool:
    """Whether a promotion has to hold on prompts that are not searched."""
    return heldout_claim(suite.scope, len(suite.select("heldout"))) == "prompts_like_these"


def unkept(context: LoopContext, choices: Iterable[WrittenChoice]) -> list[Record]:
    """Those written choices that the ledger does not have."""
    return [one for one in choices if find(context.ledger, WrittenChoice, one.written_id) is None]
