"""The beginning of a race: who enters, with which share of alpha and which earlier evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from selfopt.measure.arena import judged_by, rendered
from selfopt.measure.lookup import find
from selfopt.policy import (
    AlphaShare,
    PastRace,
    Race,
    VoidEvidence,
    with_held_evidence,
)
from selfopt.records import (
    AlphaSpent,
    Environment,
    EvidenceKey,
    RaceBlock,
    RaceEnd,
    RaceEntrant,
    RacePurpose,
    RaceSettings,
    RaceStart,
    Spec,
    Suite,
    content_hash,
)
from selfopt.words.evidence import void_text

from .context import LoopContext, LoopEvent
from .spending import families_of, share_of, share_spent, spending

_HIDDEN_HOLDS = timedelta(days=1)
_VARIED = "context_size"


@dataclass(frozen=True, slots=True)
class RaceField:
    """Who is to race.

    Attributes:
        known: whether each prompt passes, by spec id, for the specs whose repeats are copies.
        environments: the environments that these were measured in, by spec id.
        screened: how many candidates were ranked to choose these; 0: no screening.
    """

    race_id: str
    cycle_id: str
    purpose: RacePurpose
    suite: Suite
    baseline: Spec
    candidates: tuple[Spec, ...]
    settings: RaceSettings
    known: Mapping[str, Mapping[str, bool]]
    environments: Mapping[str, Environment]
    screened: int = 0

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The baseline and the candidates."""
        return (self.baseline, *self.candidates)

    @property
    def asked(self) -> tuple[Spec, ...]:
        """The specs that the race has to ask."""
        return tuple(spec for spec in self.specs if spec.spec_id not in self.known)


def keys_of(field: RaceField, environments: Mapping[str, Environment]) -> dict[str, EvidenceKey]:
    """What evidence on each candidate would be about now, by spec id.

    environments: of the specs that are asked.
    """
    seen = {**field.environments, **environments}
    base = field.baseline
    texts = {spec.spec_id: content_hash("render", rendered(spec, field.suite)) for spec in field.specs}
    return {
        spec.spec_id: EvidenceKey(
            candidate_spec_id=spec.spec_id,
            baseline_spec_id=base.spec_id,
            environment_id=_pair_id(seen[spec.spec_id], seen[base.spec_id]),
            render_hash=content_hash("render", [texts[base.spec_id], texts[spec.spec_id]]),
            scorer_hash=judged_by(field.suite),
            split=base.split,
        )
        for spec in field.candidates
    }


def _pair_id(one: Environment, other: Environment) -> str:
    """The id of the environment of a pair of specs.

    What one observation hides, the other may tell.
    """
    if one.environment_id == other.environment_id:
        return one.environment_id
    if not one.compatible_with(other, ignoring=frozenset({_VARIED})):
        return content_hash("env", [one.environment_id, other.environment_id])
    theirs = other.model_dump()
    told = {name: theirs[name] if value in (None, "unknown") else value for name, value in one.model_dump().items()}
    both = Environment.model_validate(told)
    sizes = [one.context_size, other.context_size]
    if None not in sizes and sizes[0] != sizes[1]:
        return content_hash("env", [both.model_copy(update={_VARIED: None}).environment_id, *sizes])
    return both.environment_id


async def past_races(context: LoopContext, families: Sequence[str], but: str) -> list[PastRace]:
    """The races of a family by all its names, oldest first, without the race named `but`.

    A race that its cycle abandoned is ended now, so that its candidates can go on.
    """
    found = []
    starts = [start for name in families for start in context.ledger.read(RaceStart, {"family": name})]
    for start in sorted(starts, key=lambda one: one.at):
        if start.race_id == but:
            continue
        end = find(context.ledger, RaceEnd, start.race_id)
        if end is None:
            race = replayed(context, start)
            race.hold("given_up")
            end = race.end(context.now())
            await context.ledger.append([end])
        found.append(PastRace(start, end))
    return found


def replayed(context: LoopContext, start: RaceStart) -> Race:
    """The race as the ledger has it, with the blocks that its entrants bring along."""
    earlier = [(old, blocks_of(context, old.race_id)) for old in resumed_by(context, start)]
    return Race.replay(start, blocks_of(context, start.race_id), earlier)


def resumed_by(context: LoopContext, start: RaceStart) -> list[RaceStart]:
    """The starts of the earlier races that the entrants of a race go on from."""
    names = dict.fromkeys(name for entrant in start.entrants for name in entrant.resumes)
    return [old for name in names if (old := find(context.ledger, RaceStart, name)) is not None]


def blocks_of(context: LoopContext, race_id: str) -> list[RaceBlock]:
    """The complete blocks of one race, by number."""
    return sorted(context.ledger.read(RaceBlock, {"race_id": race_id}), key=lambda block: block.number)


async def make_start(
    context: LoopContext, field: RaceField, keys: Mapping[str, EvidenceKey], now: Mapping[str, Environment]
) -> tuple[RaceStart, AlphaSpent | None] | None:
    """The start of the race and what it spends, not appended. Tells the user which earlier evidence
    is void.

    Returns:
        None when alpha is used up and no candidate brings a share of its own.
    """
    base = field.baseline
    earlier = find(context.ledger, AlphaSpent, AlphaSpent.make_id(field.race_id))
    share = share_spent(earlier) if earlier is not None else share_of(context, base, field.purpose)
    families = families_of(context, base, field.purpose)
    past, voided = _still_worth(await past_races(context, families, field.race_id), {**field.environments, **now}, context.now())
    # When alpha is used up, only candidates that bring a share of their own may enter.
    alpha = share.alpha if not share.used_up else context.alpha.alpha
    draft = _draft(context, field, keys, share, alpha)
    start, more = with_held_evidence(draft, past)
    for void in (*voided, *more):
        if void.spec_id in keys:
            context.say(LoopEvent("evidence", void_text(f"for {void.spec_id} from {void.race_id}", "then", void.changed), start))
    if share.used_up:
        context.say(LoopEvent("evidence", share.detail))
        entrants = tuple(entrant for entrant in start.entrants if entrant.resumes)
        if not entrants:
            return None
        start = start.model_copy(update={"entrants": entrants, "alpha": 0.0})
    fresh = [entrant.spec_id for entrant in start.entrants if not entrant.resumes]
    if not fresh:
        return start, None
    return start, spending(context, base, field.purpose, field.race_id, field.cycle_id, fresh, field.screened)


def _draft(context: LoopContext, field: RaceField, keys: Mapping[str, EvidenceKey], share: AlphaShare, alpha: float) -> RaceStart:
    base = field.baseline
    known = {spec_id: dict(outcomes) for spec_id, outcomes in field.known.items()}
    return RaceStart(
        race_id=field.race_id,
        cycle_id=field.cycle_id,
        model=base.model,
        phase=base.phase,
        purpose=field.purpose,
        suite_hash=base.suite_hash,
        split=base.split,
        prompt_ids=tuple(prompt.id for prompt in field.suite.select(base.split)),
        baseline_spec_id=base.spec_id,
        baseline_request_id=base.request_id,
        baseline_known=known.get(base.spec_id),
        entrants=tuple(
            RaceEntrant(
                spec_id=spec.spec_id,
                request_id=spec.request_id,
                key=keys[spec.spec_id],
                entered_with=len(field.candidates),
                alpha=alpha,
                known=known.get(spec.spec_id),
            )
            for spec in field.candidates
        ),
        settings=field.settings,
        family=share.family,
        number=share.number,
        alpha=alpha,
        at=context.now(),
    )


def _still_worth(past: Sequence[PastRace], now: Mapping[str, Environment], at: str) -> tuple[list[PastRace], list[VoidEvidence]]:
    """The past races whose evidence still holds, and what is void.

    Evidence on an endpoint that hides its model holds for a day.
    """
    if all(environment.digest != "unknown" for environment in now.values()):
        return list(past), []
    young = [one for one in past if datetime.fromisoformat(at) - datetime.fromisoformat(one.end.at) <= _HIDDEN_HOLDS]
    changed = ("its age (the endpoint hides what serves, so evidence on it holds for a day)",)
    voided = {
        standing.spec_id: VoidEvidence(standing.spec_id, one.start.race_id, changed)
        for one in past
        if one not in young
        for standing in one.end.standings
        if standing.state == "held"
    }
    return young, list(voided.values())
