"""The report tells of searches what the ledger knows, draws it, and lets nothing in it act."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.ledger import MemoryLedger
from selfopt.records import (
    PartShare,
    ProposerRating,
    Record,
    SearchBatch,
    SearchEnd,
    SearchObjective,
    SearchStanding,
    SearchStart,
    TriedWay,
)
from selfopt.report import gather, report_html
from selfopt.report.search_figures import curve_svg, frontier_svg, latency_svg, search_figures
from selfopt.report.searches import ToldSearch, newest_searches, searches_text
from selfopt.report.summary import report_text
from selfopt.words.evidence import SYNTHETIC
from tests.ledger.samples import put

from . import world
from .test_html_report import Reader

AT = "2026-01-02T10:00:00.000Z"


def standing(
    point: dict[str, str], value: float, *, calls: float | None = 0.5, held: float | None = 0.9, n: int = 40, by: str = "start"
) -> SearchStanding:
    """A point with its figures."""
    return SearchStanding(
        point=point,
        spec_id="",
        value=value,
        n=n,
        by=by,
        accuracy=value,
        call_accuracy=calls,
        restraint=held,
        latency_s=1.0 + value,
        tokens=300,
        requests=1.5,
    )


BEST = standing({"tools": "signatures", "backing": "strict"}, 0.62, calls=0.48)
MORE = standing({"tools": "signatures"}, 0.5, calls=0.6, held=0.4)
START = SearchStart(
    search_id="search-1",
    cycle_id="cycle-9",
    model="scripted/m",
    phase="atomic",
    baseline_spec_id="spec-1",
    suite_hash="suite-1",
    split="search",
    prompt_ids=tuple(f"p{i}" for i in range(40)),
    capabilities=("tools",),
    start=({},),
    seed=0,
    most_requests=100,
    objective=SearchObjective(restraint=0.8, max_latency_s=2.0),
    at=AT,
)
END = SearchEnd(
    search_id="search-1",
    ranking=(BEST.model_copy(update={"spec_id": "spec-2"}),),
    requests=88,
    reused=40,
    compared=48,
    stopped="100 trials were for the search",
    tried=(
        TriedWay(best=BEST, ended="ranked"),
        TriedWay(best=MORE, ended="below_floor"),
        TriedWay(best=standing({"form": "schema"}, 0.2, n=12, by="random"), ended="below_best"),
        TriedWay(best=standing({"steps": "choose_then_fill"}, 0.3, by="likeness"), ended="over_limit"),
    ),
    frontier=(BEST, MORE),
    parts=(
        PartShare(part="tools", choice="signatures", default="native"),
        PartShare(part="backing", choice="strict", default="any", n=40, gain=0.125, call_gain=-0.05, restraint_gain=0.4),
    ),
    proposers=(ProposerRating(by="gepa", ways=3, paid=1, fixed=2, of_fixes=5, broken=1, of_breaks=2),),
    at=AT,
)
BATCHES = tuple(
    SearchBatch(
        batch_id=f"search-1/{i}",
        search_id="search-1",
        number=i,
        asking={},
        by="start",
        trial_ids=tuple(f"t{i}-{j}" for j in range(12)),
        reused=12 if i == 0 else 0,
        best=standing({}, 0.3 + 0.1 * i),
        at=AT,
    )
    for i in range(4)
)
TOLD = ToldSearch(START, END, BATCHES)


def ledger(*records: Record) -> MemoryLedger:
    """A ledger of these."""
    made = MemoryLedger()
    put(made, list(records))
    return made


def test_the_section_tells_of_the_frontier_the_parts_and_why_each_way_came_no_further() -> None:
    """In words, from the typed facts."""
    text = "\n".join(searches_text([TOLD]))
    for words in (
        "88 trials of at most 100, 40 replies taken from the ledger; 48 points compared; it ended at a limit: 100 trials were for the search",
        "It looked for accuracy at a restraint of 0.8 or more, in at most 2 s",
        "| tools=signatures backing=strict | 0.62 | 0.48 | 0.90 | 1.62 s | 300 | 1.5 |",
        "not asked without it",
        "12.5 points (calls -5.0, restraint +40.0) on 40 prompts",
        "restraint below the floor",
        "stopped after 12 prompts: below the best third",
        "takes more than it may",
        "2 of 5 prompts fixed, 1 of 2 broken",
    ):
        assert words in text, words


def test_each_figure_on_synthetic_prompts_says_so() -> None:
    """Summary, frontier, parts, ways and captions; none where the prompts are real."""
    marked = ToldSearch(START.model_copy(update={"synthetic": True}), END, BATCHES)
    text, figures = "\n".join(searches_text([marked])), "".join(search_figures([marked]))
    assert text.count(SYNTHETIC) == 4
    assert figures.count(SYNTHETIC) == figures.count("<figcaption>") > 0
    plain = "\n".join(searches_text([TOLD])) + "".join(search_figures([TOLD]))
    assert SYNTHETIC not in plain


def test_what_raced_has_the_fate_that_its_decision_gave_it() -> None:
    """The first reason of a candidate's verdict, in the words that decisions have."""
    from selfopt.records import CandidateResult

    fate = CandidateResult(
        spec_id="spec-2",
        variant="x",
        changed="x",
        accuracy=0.6,
        call_accuracy=0.5,
        restraint=0.9,
        improvement=0.1,
        verdict="reject",
        reason_codes=("worse_on_heldout",),
        decision_id="decision-1",
        evaluation_id=None,
    )
    text = "\n".join(searches_text([ToldSearch(START, END, BATCHES, 3, {"spec-2": fate})]))
    assert "cycle 3, scripted/m atomic" in text
    assert "tried against the baseline and rejected: on held-out prompts it is worse than the baseline" in text


def test_the_newest_finished_searches_are_found_with_their_batches_in_order() -> None:
    """One that is under way is not told of."""
    open_one = START.model_copy(update={"search_id": "search-2"})
    (found,) = newest_searches(ledger(START, *reversed(BATCHES), END, open_one), ())
    assert (found.start, found.end, found.batches) == (START, END, BATCHES)


def test_page_and_markdown_have_a_section_where_there_was_a_search_and_none_elsewhere() -> None:
    """With three figures for it."""
    data = gather(ledger(START, *BATCHES, END))
    page = report_html(data)
    assert page.count("<figure>") == 3
    assert "## Searches" in report_text(data)
    assert "Searches" not in report_text(gather(MemoryLedger()))
    Reader(page)


def test_a_hostile_proposer_point_or_model_stays_text() -> None:
    """Names come from packages, models and settings."""
    hostile = standing({"tools": world.HOSTILE}, 0.5, by=world.HOSTILE)
    end = END.model_copy(
        update={
            "tried": (TriedWay(best=hostile, ended="ranked"),),
            "frontier": (hostile,),
            "stopped": world.HOSTILE,
            "proposers": (ProposerRating(by=world.HOSTILE, ways=1, paid=0),),
            "parts": (PartShare(part=world.HOSTILE, choice="<b>", default="|"),),
        }
    )
    page = report_html(gather(ledger(START.model_copy(update={"model": world.HOSTILE}), *BATCHES, end)))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "alert(1)" in page
    Reader(page)


def test_a_search_of_before_has_no_figures_and_no_empty_tables() -> None:
    """It kept its ranking alone."""
    old = SearchEnd(search_id="search-1", ranking=END.ranking, requests=4, compared=24, at=AT)
    told = ToldSearch(START.model_copy(update={"objective": None}), old)
    assert search_figures([told]) == []
    assert "|" not in "\n".join(searches_text([told]))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=12),
    st.lists(st.floats(-2, 1), min_size=1, max_size=12),
)
def test_every_figure_is_whole_and_within_its_frame(points: list[tuple[float, float, float]], values: list[float]) -> None:
    """However few points there are, and wherever they lie."""
    made = [standing({}, value, calls=calls, held=held) for calls, held, value in points]
    end = END.model_copy(update={"tried": tuple(TriedWay(best=one, ended="ranked") for one in made), "frontier": tuple(made[:3])})
    batches = [BATCHES[0].model_copy(update={"number": i, "best": standing({}, value)}) for i, value in enumerate(values)]
    told = ToldSearch(START, end, tuple(batches))
    for figure in (frontier_svg(told), latency_svg(told), curve_svg(told)):
        if not figure:
            continue
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img"
        for circle in root.iter("circle"):
            assert 40 <= float(circle.get("cx") or 0) <= 348
            assert 20 <= float(circle.get("cy") or 0) <= 176


@pytest.mark.parametrize("figure", [frontier_svg, latency_svg, curve_svg])
def test_each_figure_names_its_axes(figure: object) -> None:
    """In words."""
    root = ElementTree.fromstring(figure(TOLD))  # type: ignore[operator]
    words = " ".join(element.text or "" for element in root.iter("text"))
    assert any(name in words for name in ("restraint", "seconds a prompt", "trials"))
