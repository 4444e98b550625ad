"""A race of candidates against a shared baseline, block by block.

It ends when one candidate is promoted, all are dropped, or the caller ends it. The race is pure
logic, a fold over complete blocks: the caller asks `plan_block`, makes the trials, and hands them
to `absorb(plan.block(...))`. If an infrastructure fault hits a block, the caller does not absorb
it, and the plan stays the same.

Why is the chance of a false promotion at most alpha? The log_e of a candidate is an e-process
against "its mean difference on this suite is at most null_mean": weights, centres and the live
candidates are fixed before each block, from earlier blocks alone (`selfopt.stats.betting`). By
Ville's inequality it ever reaches K/alpha with probability at most alpha/K. By the union bound, the
chance that any of K candidates that are not better gets there is at most alpha, however the shared
baseline makes them depend on each other. Dropping a candidate, by whatever rule, only takes chances
away. A candidate that resumes from an earlier race continues the same e-process at its old K and
alpha.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from selfopt.errors import EvidenceError
from selfopt.records import HoldReason, RaceBlock, RaceEnd, RaceEnding, RaceEntrant, RaceStanding, RaceStart, StandingReason
from selfopt.stats import Bets

from .race_plan import BlockPlan, Draws, plan_draws
from .race_track import Side, Track


class Race:
    """One race.

    Attributes:
        winner: the spec_id of the promoted candidate.
        ended: what ended the race; None while it goes on.
        held: why the race ended with live candidates, and which cap or fault that was.
        blocks: the number of blocks absorbed so far.
        trials: the number of trials asked so far.
    """

    def __init__(self, start: RaceStart) -> None:
        """Starts a race.

        Raises:
            EvidenceError: the baseline and a candidate are both deterministic, so their difference
                is known without a race. `prompt_evidence` says what it means for other prompts.
        """
        self.start = start
        self._position = {prompt_id: j for j, prompt_id in enumerate(start.prompt_ids)}
        m = len(start.prompt_ids)
        settings = start.settings
        self._small = m <= settings.small_suite
        if self._small:
            bets, self._drop_after = Bets(settings.bets_small, settings.prior_small), settings.drop_after_small
        else:
            bets, self._drop_after = Bets(settings.bets_large, settings.prior_large), settings.drop_after_large
        self._baseline = Side(start.baseline_spec_id, start.baseline_request_id, self._known(start.baseline_known))
        self._tracks = [Track(e, settings, bets, m, self._known(e.known)) for e in start.entrants]
        if self._baseline.known is not None and any(t.known is not None for t in self._tracks):
            raise EvidenceError(
                "baseline and candidate are both deterministic: their difference on this suite is known without a race; decide it "
                "exactly, or by one outcome per held-out prompt"
            )
        self._drop_z = settings.drop_z if settings.drop_z is not None else 1.2 + 0.36 * math.log(len(self._tracks))
        self.blocks = 0
        self._plan: BlockPlan | None = None
        self.trials = 0
        self.winner: str | None = None
        self.ended: RaceEnding | None = None
        self.held: tuple[HoldReason, str] | None = None
        if self._baseline.known is not None and all(self._baseline.known):
            self.hold("ceiling")

    def _known(self, outcomes: dict[str, bool] | None) -> list[int] | None:
        return None if outcomes is None else [int(outcomes[prompt_id]) for prompt_id in self.start.prompt_ids]

    @classmethod
    def replay(
        cls,
        start: RaceStart,
        blocks: Iterable[RaceBlock] = (),
        earlier: Sequence[tuple[RaceStart, Sequence[RaceBlock]]] = (),
    ) -> Race:
        """The race as these records left it.

        Args:
            earlier: the races that entrants resume from, oldest first, each with its blocks.

        Raises:
            EvidenceError: a block belongs to another race or plan, or an earlier race is missing or
                has another key.
        """
        race = cls(start)
        missing = {name for e in start.entrants for name in e.resumes} - {old.race_id for old, _ in earlier}
        if missing:
            raise EvidenceError(
                f"a candidate goes on from {', '.join(sorted(missing))}, whose blocks are not here; give them, or start it anew"
            )
        for old, old_blocks in earlier:
            race._recall(old, old_blocks)
        race._judge()
        for block in blocks:
            race.absorb(block)
        return race

    @property
    def alive(self) -> tuple[str, ...]:
        """The spec_ids of the candidates that still race."""
        return tuple(t.spec_id for t in self._tracks if t.state == "racing")

    def plan_block(self) -> BlockPlan | None:
        """What to ask next; None if the race is over. Each replay makes the same plan."""
        if self.ended is not None:
            return None
        if self._plan is None:
            self._plan = self._make_plan([t for t in self._tracks if t.state == "racing"])
        return self._plan

    def _make_plan(self, alive: list[Track]) -> BlockPlan:
        twice = len(alive) >= self.start.settings.baseline_twice_from
        asked: dict[str, int] = {}
        requests: dict[str, int] = {}
        if self._baseline.known is None:
            asked[self._baseline.spec_id] = requests[self._baseline.request_id] = 2 if twice else 1
        for track in alive:
            if track.known is None:
                asked[track.spec_id] = requests.setdefault(track.request_id, 1)
        seed = f"{self.start.race_id} {self.blocks}"
        draws = plan_draws(self.start, self._noise(alive), seed)
        ids = self.start.prompt_ids
        return BlockPlan(
            race_id=self.start.race_id,
            number=self.blocks,
            draws=draws,
            prompt_ids=tuple([ids[j] for j in draws.positions]),
            candidates=tuple(t.spec_id for t in alive),
            asked=asked,
            requests=requests,
            seed=seed,
        )

    def _noise(self, alive: Sequence[Track]) -> list[float]:
        """The variance that each prompt is expected to add.

        It is the mean squared gain over the live candidates, drawn towards `noise_prior` as if by
        `noise_weight` more pairs.
        """
        weight = self.start.settings.noise_weight
        start = weight * self.start.settings.noise_prior
        sums = [sum(column) for column in zip(*(t.noise for t in alive), strict=True)]
        counts = [sum(column) for column in zip(*(t.counts for t in alive), strict=True)]
        return [(total + start) / (n + weight) for total, n in zip(sums, counts, strict=True)]

    def absorb(self, block: RaceBlock) -> None:
        """Takes in a complete block and judges every candidate.

        Raises:
            EvidenceError: the block is not the planned one, or not complete. The race is unchanged.
        """
        plan = self.plan_block()
        if plan is None:
            raise EvidenceError(f"the race {self.start.race_id} is over ({self.ended}) and takes no further block")
        ours = (plan.race_id, plan.number, plan.prompt_ids, plan.draws.weights, plan.draws.max_weight, plan.asked)
        if ours != (block.race_id, block.number, block.prompts, block.weights, block.max_weight, block.asked):
            raise EvidenceError(
                f"block {block.number} of {block.race_id} is not the planned block {plan.number} of {plan.race_id}; blocks count in "
                "their order, and under the settings that they were planned with"
            )
        _check_complete(block)
        self._take(block, plan.draws, [t for t in self._tracks if t.state == "racing"])
        self.trials += plan.trials
        self.blocks += 1
        self._plan = None
        self._judge()

    def _take(self, block: RaceBlock, draws: Draws, tracks: Sequence[Track]) -> None:
        base, times = self._outcomes(self._baseline, block, draws)
        for track in tracks:
            ours, asked = self._outcomes(track, block, draws)
            differences = [x / asked - b / times for x, b in zip(ours, base, strict=True)]
            track.absorb(draws, differences, 0 if track.known is not None else asked * len(ours))

    def _outcomes(self, side: Side, block: RaceBlock, draws: Draws) -> tuple[Sequence[int], int]:
        if side.known is not None:
            return [side.known[j] for j in draws.positions], 1
        return block.passes[side.spec_id], block.asked[side.spec_id]

    def _recall(self, old: RaceStart, blocks: Sequence[RaceBlock]) -> None:
        """Takes in the blocks of an earlier race for the candidates that resume from it."""
        back = [t for t in self._tracks if old.race_id in t.entrant.resumes]
        for track in back:
            if differing := void_because(self.start, track.entrant, old):
                raise EvidenceError(
                    f"evidence of {old.race_id} is void for {track.spec_id}: it was gathered with another "
                    f"{', '.join(differing)}; start the candidate anew"
                )
        for block in blocks:
            _check_complete(block)
            positions = tuple(self._position[prompt_id] for prompt_id in block.prompts)
            mass = len(self.start.prompt_ids) if self._small else len(positions)
            draws = Draws(positions, block.weights, block.max_weight, mass)
            self._take(block, draws, [t for t in back if t.known is not None or t.spec_id in block.asked])

    def _judge(self) -> None:
        """Promotes the best proven candidate, or else drops the futile ones and those clearly
        behind.

        Dropping a candidate that is behind costs power, and nothing else.
        """
        alive = [t for t in self._tracks if t.state == "racing"]
        proven = [t for t in alive if t.blocks and t.evidence.log_e >= t.log_e_needed]
        if proven:
            best = max(proven, key=lambda t: t.estimate)
            best.state, best.why, self.winner = "promoted", "decided", best.spec_id
            self._end("promoted", "another_promoted")
            return
        for track in alive:
            if track.blocks and track.futility.log_e >= track.log_f_needed:
                track.state, track.why = "dropped", "futile"
        alive = [t for t in alive if t.state == "racing"]
        if alive:
            lead = max(t.estimate for t in alive)
            for track in alive:
                if track.mass >= self._drop_after and lead - track.estimate > self._drop_z * track.standard_error:
                    track.state, track.why = "dropped", "behind"
        if not self.alive and self.ended is None:
            self._end("all_dropped", "")

    def hold(self, reason: HoldReason, detail: str = "") -> None:
        """Ends the race and holds the live candidates. detail: which cap or fault ended it."""
        if self.ended is None:
            self.held = (reason, detail)
            self._end(reason, reason, detail)

    def _end(self, reason: RaceEnding, held: StandingReason, detail: str = "") -> None:
        self.ended = reason
        self._plan = None
        for track in self._tracks:
            if track.state == "racing":
                track.state, track.why, track.detail = "held", held, detail

    def standings(self, *, interval: bool = True) -> tuple[RaceStanding, ...]:
        """Every candidate, in the order of the start. Each interval costs some milliseconds."""
        more: dict[str, int] = {}
        if undecided := [t for t in self._tracks if t.state in ("racing", "held")]:
            plan = self._plan or self._make_plan(undecided)
            pairs = {t.spec_id: t.more_pairs() for t in undecided}
            more = {name: math.ceil(n * (plan.trials / plan.draws.mass)) for name, n in pairs.items() if n is not None}
        return tuple(t.standing(more.get(t.spec_id), interval=interval) for t in self._tracks)

    def end(self, at: str) -> RaceEnd:
        """The record of a race that is over. Raises EvidenceError while it goes on."""
        if self.ended is None:
            raise EvidenceError(f"the race {self.start.race_id} goes on; absorb its next block or hold it first")
        return RaceEnd(
            race_id=self.start.race_id,
            cycle_id=self.start.cycle_id,
            family=self.start.family,
            ended_by=self.ended,
            detail=self.held[1] if self.held else "",
            winner_spec_id=self.winner,
            standings=self.standings(),
            blocks=self.blocks,
            trials=self.trials,
            at=at,
        )


def void_because(start: RaceStart, entrant: RaceEntrant, old: RaceStart) -> tuple[str, ...]:
    """What makes the evidence of an earlier race void for an entrant; empty if it still counts.

    Bets and centres must not change: choosing them after the outcomes are known would be no bet.
    """
    theirs = next((e for e in old.entrants if e.spec_id == entrant.spec_id), None)
    if theirs is None:
        return ("candidate_spec_id",)
    pairs: list[tuple[str, object, object]] = [
        ("list of prompts", start.prompt_ids, old.prompt_ids),
        ("race settings", start.settings, old.settings),
        ("finding on determinism", (start.baseline_known, entrant.known), (old.baseline_known, theirs.known)),
        ("number of candidates or alpha", (entrant.entered_with, entrant.alpha), (theirs.entered_with, theirs.alpha)),
    ]
    return (*entrant.key.differences(theirs.key), *(name for name, ours, then in pairs if ours != then))


def _check_complete(block: RaceBlock) -> None:
    n = len(block.prompts)
    for spec_id, asked in block.asked.items():
        passes = block.passes.get(spec_id)
        if passes is None or len(passes) != n or asked < 1 or min(passes) < 0 or max(passes) > asked:
            raise EvidenceError(
                f"outcomes of {spec_id} in block {block.number} of {block.race_id} are missing or impossible: need {n} counts "
                f"from 0 to {asked}; only complete blocks count: repeat the block"
            )
