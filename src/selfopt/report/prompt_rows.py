"""Prompt by prompt: what was asked and wanted, and what came back before and after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from selfopt.errors import CorruptError
from selfopt.home import counted
from selfopt.records import Blob, Evaluation, Ledger, Outcome, OutcomeRow, Prompt, Record, ReplyContent, Suite, Trial, Verdict
from selfopt.words.calls import call_text, expected_text
from selfopt.words.kinds import OUTCOMES

from .standings import ServingStanding

R = TypeVar("R", bound=Record)

MOST_PROMPTS = 100
"""Of one model and phase that are shown."""
_MOST_OF_ALL = 300
_MOST_CHARACTERS = 800
_MOST_MESSAGES = 8
_MOST_CALLS = 6


@dataclass(frozen=True, slots=True)
class CutText:
    """A text of unknown origin, and how many characters of it are left out."""

    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class PromptSide:
    """What became of one prompt in one evaluation.

    Attributes:
        told: the outcomes in words.
        right: the share of runs that were right.
        calls: those that were read, of the shown trial.
        why: the verdict's reason.
        reply: what the model wrote; None if the ledger does not hold it.
        sent: role and text of each message of its request, as far as they are known.
    """

    told: str
    right: float
    variant: str
    calls: tuple[str, ...] = ()
    why: str = ""
    reply: CutText | None = None
    trial_id: str = ""
    sent: tuple[tuple[str, str], ...] = ()

    @property
    def tone(self) -> str:
        """Of its badge."""
        return "good" if self.right == 1 else "bad" if self.right == 0 else "attention"


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt. Where its suite is not at hand, the messages are those of its request, and wanted is empty."""

    prompt_id: str
    kind: str
    after: PromptSide
    before: PromptSide | None = None
    asked: str = ""
    messages: tuple[tuple[str, CutText], ...] = ()
    wanted: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether it is answered right more or less often than before."""
        return self.before is not None and self.before.right != self.after.right

    @property
    def wrong(self) -> bool:
        """Whether some answer is wrong now."""
        return self.after.right < 1


@dataclass(frozen=True, slots=True)
class PromptList:
    """The prompts of one model and phase: those that differ come first into it, then wrong ones."""

    standing: ServingStanding
    rows: tuple[PromptRow, ...]
    asked: int

    @property
    def left_out(self) -> int:
        """How many prompts are not shown."""
        return self.asked - len(self.rows)


def prompt_lists(ledger: Ledger, found: Sequence[ServingStanding], suites: Mapping[str, Suite]) -> tuple[PromptList, ...]:
    """The prompts of all models and phases that were measured.

    suites: by their content ids. Bounded: of a long text only the beginning is kept, of many prompts only a part.
    """
    made: list[PromptList] = []
    room = _MOST_OF_ALL
    for one in found:
        if one.after is not None:
            rows = _rows(ledger, one, suites.get(one.after.suite_hash), min(room, MOST_PROMPTS))
            room -= len(rows)
            made.append(PromptList(one, tuple(rows), sum(bool(row.outcomes) for row in one.after.rows)))
    return tuple(made)


def _rows(ledger: Ledger, one: ServingStanding, suite: Suite | None, most: int) -> list[PromptRow]:
    if one.after is None:
        return []
    before = {row.prompt_id: row for row in one.before.rows} if one.before is not None else {}
    asked = [row for row in one.after.rows if row.outcomes]

    def rank(row: OutcomeRow) -> tuple[bool, bool]:
        earlier = before.get(row.prompt_id)
        return earlier is None or not earlier.outcomes or _right(earlier) == _right(row), _right(row) == 1

    kept = {row.prompt_id for row in sorted(asked, key=rank)[:most]}
    prompts = {prompt.id: prompt for prompt in suite.prompts} if suite is not None else {}
    now = _Sides(ledger, one.after, has_suite=suite is not None)
    then = _Sides(ledger, one.before, has_suite=suite is not None) if one.before is not None else None
    made = []
    for row in asked:
        if row.prompt_id in kept:
            earlier = before.get(row.prompt_id)
            was = then.of(earlier) if then is not None and earlier is not None and earlier.outcomes else None
            made.append(_row(row, prompts.get(row.prompt_id), now.of(row), was))
    return made


def _row(row: OutcomeRow, prompt: Prompt | None, after: PromptSide, before: PromptSide | None) -> PromptRow:
    told, wanted = (before or after).sent, tuple[str, ...]()
    if prompt is not None:
        told = tuple(
            (m.role, "\n".join([*([m.content] if m.content else []), *map(call_text, m.tool_calls)])) for m in prompt.messages
        )
        wanted = tuple(expected_text(prompt.expected)[:_MOST_CALLS])
    asked = next((text for role, text in reversed(told) if role == "user"), "")
    shown = tuple((role, _cut(text)) for role, text in told[-_MOST_MESSAGES:])
    return PromptRow(row.prompt_id, row.prompt_kind, after, before, asked, shown, wanted)


def _right(row: OutcomeRow) -> float:
    return sum(outcome is Outcome.PASS for outcome in row.outcomes) / len(row.outcomes)


def _cut(text: str) -> CutText:
    return CutText(text[:_MOST_CHARACTERS], max(0, len(text) - _MOST_CHARACTERS))


class _Sides:
    """The rows of one evaluation with their replies and reasons."""

    def __init__(self, ledger: Ledger, evaluation: Evaluation, *, has_suite: bool) -> None:
        self._ledger, self._evaluation, self._has_suite = ledger, evaluation, has_suite
        judges = evaluation.parser_hash, evaluation.scorer_hash
        self._verdicts = {
            verdict.trial_id: verdict
            for run_id in evaluation.run_ids
            for verdict in _kept(ledger, Verdict, {"run_id": run_id})
            if (verdict.parser_hash, verdict.scorer_hash) == judges
        }

    def of(self, row: OutcomeRow) -> PromptSide:
        """What became of a prompt, with the reply of the first trial that went wrong, or else of the first one."""
        place = next((n for n, outcome in enumerate(row.outcomes) if outcome is not Outcome.PASS), 0)
        trial_id = row.trial_ids[place] if place < len(row.trial_ids) else ""
        verdict = self._verdicts.get(trial_id)
        calls = (
            tuple(call_text(call)[:_MOST_CHARACTERS] for call in verdict.parsed.tool_calls[:_MOST_CALLS])
            if verdict is not None
            else ()
        )
        why = verdict.why if verdict is not None else ""
        trial = next(iter(_kept(self._ledger, Trial, {"id": trial_id})), None) if trial_id else None
        reply, sent = (self._reply(trial), self._sent(trial)) if trial is not None and trial.exchanges else (None, ())
        return PromptSide(_told(row), _right(row), self._evaluation.variant, calls, why, reply, trial_id, sent)

    def _text(self, blob_hash: str | None) -> str | None:
        return next((blob.text for blob in _kept(self._ledger, Blob, {"id": blob_hash})), None) if blob_hash else None

    def _reply(self, trial: Trial) -> CutText | None:
        text = self._text(trial.exchanges[-1].content)
        try:
            said = ReplyContent.model_validate_json(text) if text is not None else None
        except ValidationError:
            said = None
        return None if said is None else _cut("\n".join([*([said.text] if said.text else []), *map(call_text, said.tool_calls)]))

    def _sent(self, trial: Trial) -> tuple[tuple[str, str], ...]:
        """The messages of a request, for prompts whose suite is not at hand."""
        if self._has_suite or not trial.exchanges[0].attempts:
            return ()
        try:
            body = json.loads(self._text(trial.exchanges[0].attempts[0].request) or "null")
        except (ValueError, RecursionError):
            return ()
        messages = body.get("messages") if isinstance(body, dict) else None
        pairs = [(m.get("role"), m.get("content")) for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
        return tuple((role, text) for role, text in pairs if isinstance(role, str) and isinstance(text, str))


def _kept(ledger: Ledger, kind: type[R], where: Mapping[str, str]) -> list[R]:
    """What the ledger holds of a kind; nothing where it is damaged, which the top of the report tells."""
    try:
        return list(ledger.read(kind, where))
    except CorruptError:
        return []


def _told(row: OutcomeRow) -> str:
    """The outcomes in words, such as `right`, or `right in 3 of 5 runs`."""
    n, right = len(row.outcomes), sum(outcome is Outcome.PASS for outcome in row.outcomes)
    if right == n:
        return OUTCOMES[Outcome.PASS]
    if right:
        return f"right in {right} of {counted(n, 'run')}"
    return OUTCOMES[Counter(row.outcomes).most_common(1)[0][0]]
