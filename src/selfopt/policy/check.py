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
from collections.abc import Iterable, Mapping, Sequence

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
        prompt_alpha: the chance of a false alarm that each prompt that must pass may spend.
    """

    def __init__(self, start: CheckStart) -> None:
        """Starts a check. What is known exactly is decided at once."""
        self.start = start
        m, settings = len(start.prompt_ids), start.settings
        self._place = {name: j for j, name in enumerate(start.prompt_ids)}
        before = start.before
        self._recorded = (
            [[one is Outcome.PASS for one in before.recorded[name]] for name in start.prompt_ids]
            if before is not None and before.recorded
            else []
        )
        self.looks = min(map(len, self._recorded)) if self._recorded else 0
        self.tracks = _tracks(start)
        share = settings.alpha / max(1, len(self.tracks) + bool(start.must_pass))
        each = share / max(1, len(start.must_pass))
        self.prompt_alpha = each
        self.prompts = {self._place[name]: PromptTrack(each, settings) for name in start.must_pass}
        self.counted = [DrawCounts()] * m
        self.blocks = self.trials = self.passes = 0
        self.held: tuple[UndecidedCause, str] | None = None
        self.closest: tuple[float, float] | None = None
        self._plan: CheckPlan | None = None
        # One run of what was exact says nothing about a loss of what varies now.
        self._recorded_once = start.now.known is None and before is not None and before.known is not None
        if start.now.known is not None:
            self._decide_exactly(start.now.known, before.known if before is not None else None)

    @classmethod
    def replay(cls, start: CheckStart, blocks: Iterable[CheckBlock] = ()) -> CheckRace:
        """The check as these records left it. EvidenceError when a block belongs to another plan."""
        check = cls(start)
        for block in blocks:
            check.absorb(block)
        return check

    def _decide_exactly(self, known: Mapping[str, Outcome], known_before: Mapping[str, Outcome] | None) -> None:
        """Decide what a configuration whose repeats are copies shows in one pass."""
        names = self.start.prompt_ids
        now = [float(known[name] is Outcome.PASS) for name in names]
        before = [float(known_before[name] is Outcome.PASS) for name in names] if known_before is not None else None
        for track in self.tracks:
            if not track.is_loss:
                track.decide_exactly(sum(now[j] for j in track.members) / len(track.members))
            elif before is not None:
                track.decide_exactly(sum(before[j] - now[j] for j in track.members) / len(track.members))
        for j, prompt in self.prompts.items():
            prompt.verdict = "pass" if now[j] else "fail"

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
        live = [track for track in self.tracks if track.verdict == "undecided" and not (track.is_loss and self._recorded_once)]
        loss = next((track for track in live if track.is_loss), None)
        ask_before = loss is not None and not self._recorded
        if not self.blocks:
            return CheckPlan(start, 0, whole_pass(m), (), ask_before)
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
            self.hold("recorded_once" if self._recorded_once else "asks_used_up")
            return None
        sampled = no_draws()
        if loss is not None and self._recorded:
            sampled = whole_pass(m)
        elif live:
            sampled = self._drawn(live, loss)
        return CheckPlan(start, self.blocks, sampled, again, ask_before)

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
            noise.append(math.sqrt(seen.now_noise + (seen.before_noise if loss is not None else 0.0)))
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
        now = every[: len(positions)]
        before = [one is Outcome.PASS for one in block.before] if plan.ask_before else self._without_asking(positions)
        whole = plan.sampled.chances is None and bool(positions)
        if positions:
            self._take(plan, now, before)
        self._count(plan, now, before if plan.ask_before or (self._recorded and whole) else None)
        for j, outcomes in _by_prompt((*positions, *plan.again), every).items():
            if j in self.prompts:
                self.prompts[j].absorb(outcomes)
        self.blocks += 1
        self.trials += plan.trials
        self._plan = None
        if self._recorded and whole:
            self.passes += 1
            self._look()

    def _without_asking(self, positions: Sequence[int]) -> list[bool] | None:
        """What the earlier configuration made of these draws, where that is recorded."""
        if self._recorded and self.passes < self.looks:
            return [self._recorded[j][self.passes] for j in positions]
        return None

    def _take(self, plan: CheckPlan, now: Sequence[bool], before: Sequence[bool] | None) -> None:
        seen = [self._outlook(j) for j in range(len(self.counted))]
        scope = frozenset(plan.sampled.scope)
        for track in self.tracks:
            # Draws for criteria that are still open may leave prompts of a decided one out, and say nothing of its mean.
            if track.exact is not None or (track.is_loss and before is None) or not track.members <= scope:
                continue
            draws = within(plan.sampled, track.members)
            if draws is None:
                continue
            mine = [i for i, j in enumerate(plan.draws.positions) if j in track.members]
            if track.is_loss and before is not None:
                outcomes = [float(before[i]) - float(now[i]) for i in mine]
                decided = track.verdict
                track.absorb(draws, outcomes, [one.before - one.now for one in seen])
                if self._recorded and track.verdict == "fail":
                    track.verdict = decided  # the two-sample test alone says that it fails: both would spend alpha
            else:
                track.absorb(draws, [float(now[i]) for i in mine], [one.now for one in seen])

    def _count(self, plan: CheckPlan, now: Sequence[bool], before: Sequence[bool] | None) -> None:
        for i, j in enumerate(plan.draws.positions):
            one = self.counted[j]
            self.counted[j] = DrawCounts(
                one.now + now[i],
                one.now_asked + 1,
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
