"""One record of each kind that a race writes down."""

from __future__ import annotations

from selfopt.records import (
    AlphaSpent,
    EvidenceKey,
    PromptTest,
    RaceBlock,
    RaceBlockDiscarded,
    RaceEnd,
    RaceEntrant,
    RaceStanding,
    RaceStart,
    Record,
    SearchBatch,
    SearchEnd,
    SearchStanding,
    SearchStart,
)

AT = "2026-01-02T03:04:05.678Z"
KEY = EvidenceKey(
    candidate_spec_id="spec-2",
    baseline_spec_id="spec-1",
    environment_id="env-1",
    render_hash="render-1",
    scorer_hash="scorer-1",
    split="search",
)


def race_start() -> RaceStart:
    """A race of one candidate."""
    return RaceStart(
        race_id="race-1",
        cycle_id="cycle-1",
        model="local/smollm2-135m",
        phase="atomic",
        suite_hash="suite-1",
        split="search",
        prompt_ids=("P1", "P2"),
        baseline_spec_id="spec-1",
        baseline_request_id="req-1",
        baseline_known={"P1": True, "P2": False},
        entrants=(RaceEntrant(spec_id="spec-2", request_id="req-2", key=KEY, entered_with=1, alpha=0.05),),
        family="search local/smollm2-135m atomic suite-1",
        number=1,
        alpha=0.05,
        at=AT,
    )


def race_standing() -> RaceStanding:
    """Of that candidate."""
    return RaceStanding(
        spec_id="spec-2",
        key_id=KEY.key_id,
        state="held",
        why="cap",
        detail="max_trials",
        log_e=1.5,
        log_e_needed=3.0,
        log_f=-0.5,
        log_f_needed=2.3,
        null_mean=0.0,
        estimate=0.25,
        interval=(-0.2, 0.6),
        confidence=0.9,
        n_pairs=4,
        blocks=1,
        trials=4,
        entered_with=1,
        alpha=0.05,
        level=0.05,
        more_trials=40,
    )


def search_records() -> tuple[Record, ...]:
    """The beginning and the end of a search."""
    start = SearchStart(
        search_id="search-1",
        cycle_id="cycle-1",
        model="scripted/m",
        phase="atomic",
        baseline_spec_id="spec-1",
        suite_hash="suite-1",
        split="search",
        prompt_ids=("p1", "p2"),
        capabilities=("tools", "grammar"),
        start=({}, {"tools": "signatures"}),
        seed=0,
        most_requests=10,
        at=AT,
    )
    found = SearchStanding(point={"backing": "strict"}, spec_id="spec-2", value=0.5, n=2, by="start")
    end = SearchEnd(search_id="search-1", ranking=(found,), requests=4, compared=24, stopped=None, at=AT)
    batch = SearchBatch(
        batch_id="search-1/0",
        search_id="search-1",
        number=0,
        asking={"tools": "signatures"},
        by="start",
        trial_ids=("trial-1", "trial-2"),
        reused=1,
        best=found,
        at=AT,
    )
    return start, batch, end


def race_records() -> tuple[Record, ...]:
    """One of each."""
    return (
        AlphaSpent(
            spending_id=AlphaSpent.make_id("race-1"),
            cycle_id="cycle-1",
            family="search local/smollm2-135m atomic suite-1",
            model="local/smollm2-135m",
            phase="atomic",
            suite_hash="suite-1",
            spec_ids=("spec-2",),
            purpose="search",
            number=1,
            total=0.05,
            spent_before=0.0,
            alpha=0.025,
            screened=200,
            compared=200,
            at=AT,
        ),
        race_start(),
        *search_records(),
        RaceBlock(
            block_id=RaceBlock.make_id("race-1", 0),
            race_id="race-1",
            number=0,
            prompts=("P1", "P2", "P1", "P2"),
            weights=(0.5, 0.5, 0.5, 0.5),
            max_weight=0.5,
            asked={"spec-2": 1},
            passes={"spec-2": (1, 0, 1, 1)},
            trial_ids={"spec-2": ("trial-1", "trial-2", "trial-3", "trial-4")},
            at=AT,
        ),
        RaceBlockDiscarded(discard_id="race-1-discard-1", race_id="race-1", number=1, reason="the server was restarted", at=AT),
        RaceEnd(
            race_id="race-1",
            cycle_id="cycle-1",
            family="search local/smollm2-135m atomic suite-1",
            ended_by="cap",
            detail="max_trials",
            winner_spec_id=None,
            standings=(race_standing(),),
            blocks=1,
            trials=4,
            at=AT,
        ),
        PromptTest(
            test_id="prompt-test-1",
            key=KEY,
            order_seed="race-1",
            family="heldout suite-1",
            number=1,
            alpha=0.025,
            null_mean=0.0,
            n=120,
            wins=20,
            losses=4,
            log_e=4.1,
            log_e_needed=3.69,
            estimate=0.13,
            interval=(0.01, 0.3),
            confidence=0.95,
            clustered=(0.02, 0.2),
            clusters=6,
            p_mcnemar=0.0008,
            passed=True,
            at=AT,
        ),
    )
