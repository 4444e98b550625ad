"""A check of a configuration, block by block: thresholds, prompts that must pass, and a loss.

It is pure logic, a fold over complete blocks, like a race: the caller asks `plan_block`, makes the
trials, and hands them to `absorb(plan.block(...))`.

Why is the chance of a false alarm at most alpha? Each criterion gets an equal share of alpha, and the
prompts that must pass share theirs. The evidence that a criterion fails is an e-process, or an exact
p value at looks that share its alpha out, so it fails falsely with at most its share (Ville, and the
union bound), however often one looks. Where prompts that must pass are asked more often, these answers
count for them alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from selfopt.errors import EvidenceError
from selfopt.records import CheckBlock, CheckMethod, CheckStart, CheckVerdict, Criterion, Outcome, UndecidedCause
from selfopt.stats import Stratum, fewer_passes_p, look_shares

from .check_outlook import DrawCounts, Outlook, outlook
from .check_plan import CheckPlan, Sampled, drawn, no_draws, whole_pass, within
from .check_tracks import MeanTrack, PromptTrack

_LEAST_PASSES = 3
_AGAIN_BESIDE, _AGAIN_ALONE = 1, 4  # how often an undecided prompt that must pass is asked in a block


class CheckRace:
    """One check.

    Attributes:
        blocks: the number of blocks absorbed so far.
        trials: the number of trials asked so far.
        held: why it ended without certainty, and which cap or fault that was.
        closest: of the looks at a recorded state, the smallest p value for its level, and that level.
    """

    def __init__(self, start: CheckStart) -> None:
        """Starts a check. What is known exactly is decided at once."""
        self.start = start
        m, settings = len(start.prompt_ids), start.settings
        self._place = {name: j for j, name in enumerate(start.prompt_ids)}
        self._known = [_passed(start.now.known, name) for name in start.prompt_ids]
        before = start.before
        self._before_known = [_passed(before.known if before else None, name) for name in start.prompt_ids]
        self._recorded = (
            [[one is Outcome.PASS for one in before.recorded[name]] for name in start.prompt_ids]
            if before is not None and before.recorded
            else []
        )
        self.looks = min(map(len, self._recorded)) if self._recorded else 0
        self.tracks = _tracks(start)
        share = settings.alpha / max(1, len(self.tracks) + bool(start.must_pass))
        each = share / max(1, len(start.must_pass))
        self.prompts = {self._place[name]: PromptTrack(each, settings) for name in start.must_pass}
        self.counted = [DrawCounts()] * m
        self.blocks = self.trials = self.passes = 0
        self.held: tuple[UndecidedCause, str] | None = None
        self.closest: tuple[float, float] | None = None
        self._plan: CheckPlan | None = None
        if start.now.known is not None:
            self._decide_exactly()

    @classmethod
    def replay(cls, start: CheckStart, blocks: Iterable[CheckBlock] = ()) -> CheckRace:
        """The check as these records left it. EvidenceError when a block belongs to another plan."""
        check = cls(start)
        for block in blocks:
            check.absorb(block)
        return check

    def _decide_exactly(self) -> None:
        """Decide what a configuration whose repeats are copies shows in one pass."""
        for track in self.tracks:
            now = [self._known[j] or 0 for j in sorted(track.members)]
            if not track.is_loss:
                track.decide_exactly(sum(now) / len(now))
            elif None not in self._before_known:
                losses = [(self._before_known[j] or 0) - (self._known[j] or 0) for j in sorted(track.members)]
                track.decide_exactly(sum(losses) / len(losses))
        for j, prompt in self.prompts.items():
            prompt.verdict = "pass" if self._known[j] else "fail"

    def method(self, track: MeanTrack) -> CheckMethod:
        """How a figure is decided."""
        if track.exact is not None:
            return "exact"
        return "one_arm" if not track.is_loss else "recorded" if self._recorded else "paired"

    @property
    def verdict(self) -> CheckVerdict:
        """Fails as soon as anything does; passes once everything does."""
        found = {track.verdict for track in self.tracks} | {prompt.verdict for prompt in self.prompts.values()}
        return "fail" if "fail" in found else "undecided" if "undecided" in found else "pass"

    def criterion(self, name: Criterion) -> CheckVerdict:
        """The verdict of one criterion."""
        found = (
            {prompt.verdict for prompt in self.prompts.values()}
            if name == "must_pass"
            else {track.verdict for track in self.tracks if track.criterion == name}
        )
        return "fail" if "fail" in found else "undecided" if "undecided" in found else "pass"

    def hold(self, cause: UndecidedCause, detail: str = "") -> None:
        """End the check without certainty. detail: which cap or fault ended it."""
        if self.held is None:
            self.held = (cause, detail)

    def plan_block(self) -> CheckPlan | None:
        """What to ask next; None if the check is over. Each replay makes the same plan."""
        if self.verdict != "undecided" or self.held is not None:
            return None
        if self._plan is None:
            self._plan = self._make_plan()
        return self._plan

    def _make_plan(self) -> CheckPlan | None:
        start, m = self.start, len(self.start.prompt_ids)
        live = [track for track in self.tracks if track.verdict == "undecided"]
        loss = next((track for track in live if track.is_loss), None)
        ask_now, before_known = start.now.known is None, None not in self._before_known
        ask_before = loss is not None and not before_known and not self._recorded
        if not self.blocks:
            return CheckPlan(start, 0, whole_pass(m), (), ask_now, ask_before)
        if loss is not None and self._recorded and self.passes >= self.looks:
            self.hold("runs_used_up")
            return None
        by_now = sum(counted.now_asked for counted in self.counted)
        by_before = sum(counted.before_asked for counted in self.counted)
        if live and max(by_now, by_before) >= max(start.settings.max_draws, _LEAST_PASSES * m):
            self.hold("asks_used_up")
            return None
        again = self._again(_AGAIN_BESIDE if live else _AGAIN_ALONE)
        if not live and not again:
            self.hold("asks_used_up")
            return None
        sampled = no_draws()
        if loss is not None and self._recorded:
            sampled = whole_pass(m)
        elif live:
            sampled = self._drawn(live, loss)
        return CheckPlan(start, self.blocks, sampled, again if ask_now else (), ask_now, ask_before)

    def _again(self, times: int) -> tuple[int, ...]:
        """The prompts that must pass and are open, so often each as they may still be asked."""
        most = self.start.settings.must_pass_asks
        return tuple(
            [j for j, one in self.prompts.items() if one.verdict == "undecided" for _ in range(min(times, most - one.asked))]
        )

    def _drawn(self, live: Sequence[MeanTrack], loss: MeanTrack | None) -> Sampled:
        """Draws where it is undecided: among the prompts of all live criteria, the noisy ones more often."""
        scope = sorted(frozenset().union(*(track.members for track in live)))
        noise = []
        for j in scope:
            seen = self._outlook(j)
            variance = 0.0 if self._known[j] is not None else seen.now_noise
            if loss is not None and self._before_known[j] is None:
                variance += seen.before_noise
            noise.append(math.sqrt(variance))
        return drawn(scope, noise, self.start.settings, f"{self.start.check_id} {self.blocks}")

    def _outlook(self, j: int) -> Outlook:
        return outlook(self.counted[j], self.start.settings.stable)

    def absorb(self, block: CheckBlock) -> None:
        """Takes in a complete block and judges every criterion.

        Raises:
            EvidenceError: the block is not the planned one, or not complete. The check is unchanged.
        """
        plan = self.plan_block()
        if plan is None:
            raise EvidenceError(f"the check {self.start.check_id} is over and takes no further block")
        expected = plan.block(block.now, block.before, at=block.at)
        if expected != block.model_copy(update={"now_trials": (), "before_trials": ()}):
            raise EvidenceError(
                f"block {block.number} of {block.check_id} is not the planned block {plan.number} of {self.start.check_id}; blocks "
                "count in their order, and under the settings that they were planned with"
            )
        positions = plan.draws.positions
        every = [one is Outcome.PASS for one in block.now]
        now = [bool(self._known[j]) for j in positions] if not plan.ask_now else every[: len(positions)]
        before = [one is Outcome.PASS for one in block.before] if plan.ask_before else self._without_asking(positions)
        whole = plan.sampled.chances is None and bool(positions)
        if positions:
            self._take(plan, now, before)
        self._count(plan, now, before if plan.ask_before or (self._recorded and whole) else None)
        for j, outcomes in _by_prompt((*positions, *plan.again), every if plan.ask_now else ()).items():
            if j in self.prompts:
                self.prompts[j].absorb(outcomes)
        self.blocks += 1
        self.trials += plan.trials
        self._plan = None
        if self._recorded and whole:
            self.passes += 1
            self._look()

    def _without_asking(self, positions: Sequence[int]) -> list[bool] | None:
        """What the earlier configuration makes of these draws, where that is known or recorded."""
        if None not in self._before_known:
            return [bool(self._before_known[j]) for j in positions]
        if self._recorded and self.passes < self.looks:
            return [self._recorded[j][self.passes] for j in positions]
        return None

    def _take(self, plan: CheckPlan, now: Sequence[bool], before: Sequence[bool] | None) -> None:
        seen = [self._outlook(j) for j in range(len(self.counted))]
        expected_now = [known if known is not None else one.now for known, one in zip(self._known, seen, strict=True)]
        ours = dict(enumerate(now))
        places = list(plan.draws.positions)
        for track in self.tracks:
            if track.exact is not None or (track.is_loss and before is None):
                continue
            draws = within(plan.sampled, track.members)
            if draws is None:
                continue
            mine = [i for i, j in enumerate(places) if j in track.members]
            if track.is_loss and before is not None:
                known = self._before_known
                expected = [(k if k is not None else o.before) - e for k, o, e in zip(known, seen, expected_now, strict=True)]
                outcomes = [float(before[i]) - float(ours[i]) for i in mine]
                decided = track.verdict
                track.absorb(draws, outcomes, expected)
                if self._recorded and track.verdict == "fail":
                    track.verdict = decided  # the two-sample test alone says that it fails: both would spend alpha
            else:
                track.absorb(draws, [float(ours[i]) for i in mine], expected_now)

    def _count(self, plan: CheckPlan, now: Sequence[bool], before: Sequence[bool] | None) -> None:
        for i, j in enumerate(plan.draws.positions):
            one = self.counted[j]
            self.counted[j] = DrawCounts(
                one.now + now[i] if plan.ask_now else one.now,
                one.now_asked + plan.ask_now,
                one.before + before[i] if before is not None else one.before,
                one.before_asked + (before is not None),
            )

    def _look(self) -> None:
        """Compare the passes so far with all recorded runs, at this look's share of alpha."""
        track = next((one for one in self.tracks if one.is_loss), None)
        if track is None or track.verdict == "fail" or self.passes > self.looks:
            return
        strata = [
            Stratum(counted.now, counted.now_asked, sum(runs), len(runs))
            for counted, runs in zip(self.counted, self._recorded, strict=True)
        ]
        p_value, level = fewer_passes_p(strata), track.alpha * look_shares(self.looks)[self.passes - 1]
        if self.closest is None or p_value / level < self.closest[0] / self.closest[1]:
            self.closest = (p_value, level)
        if p_value <= level:
            track.verdict = "fail"


def _passed(known: dict[str, Outcome] | None, name: str) -> int | None:
    return None if known is None else int(known[name] is Outcome.PASS)


def _tracks(start: CheckStart) -> list[MeanTrack]:
    needing = frozenset(start.needs_call)
    members: dict[Criterion, list[int]] = {
        "accuracy": list(range(len(start.prompt_ids))),
        "call_accuracy": [j for j, name in enumerate(start.prompt_ids) if name in needing],
        "restraint": [j for j, name in enumerate(start.prompt_ids) if name not in needing],
    }
    share = start.settings.alpha / max(1, len(start.thresholds) + (start.before is not None) + bool(start.must_pass))
    found = [MeanTrack(name, members[name], least, share, start.settings) for name, least in start.thresholds.items()]
    if start.before is not None:
        loss = MeanTrack("regression", members["accuracy"], start.settings.max_regression, share, start.settings)
        found.insert(0, loss)
    return found


def _by_prompt(positions: Sequence[int], outcomes: Sequence[bool]) -> dict[int, list[bool]]:
    found: dict[int, list[bool]] = {}
    for j, outcome in zip(positions, outcomes, strict=False):
        found.setdefault(j, []).append(outcome)
    return found
