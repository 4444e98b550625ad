"""The terminal tables: readable at 80 columns, without colour, and whatever the records contain."""

from __future__ import annotations

from collections import Counter

import pytest
from rich.console import RenderableType

from selfopt.records import Decision, Evaluation, Outcome
from selfopt.report import (
    decision_panel,
    evaluation_table,
    findings_list,
    outcome_letters,
    outcome_table,
    safe_terminal,
    to_text,
)
from tests.report import world

EVERYTHING: dict[str, RenderableType] = {
    "outcomes": outcome_table([world.COLD]),
    "outcomes of several": outcome_table([world.BASE, world.BETTER, world.WORSE, world.TINY_BASE]),
    "no outcomes": outcome_table([]),
    "evaluations": evaluation_table([world.BASE, world.BETTER, world.COLD, world.TINY_EXT]),
    "promoted": decision_panel(world.DECISION),
    "held": decision_panel(world.HELD),
    "findings": findings_list([world.FINDING, world.FINDING.model_copy(update={"confirmed": False})]),
    "no findings": findings_list([]),
}


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_the_terminal_and_has_no_escapes_without_colour(name: str, width: int) -> None:
    """No line is longer than the terminal, nothing is cut with an ellipsis, and hostile text is spelled out."""
    text = to_text(EVERYTHING[name], width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [50, 60, 75, 76])
@pytest.mark.parametrize("decision", [world.DECISION, world.HELD], ids=["promoted", "held"])
def test_a_narrow_terminal_gets_every_word_of_a_decision(decision: Decision, width: int) -> None:
    """Gates, figures and words, none of them broken or cut off."""
    text = to_text(decision_panel(decision, width=width), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    told = " ".join(text.replace("│", " ").split())
    if width < 76:
        for gate in decision.gates:
            words = " ".join(safe_terminal(gate.detail or gate.reason_code, limit=300).split())
            assert f" {gate.name}: saw " in told
            assert words in told
    assert all(gate.name in told.replace(" ", "") for gate in decision.gates)


@pytest.mark.parametrize("width", [50, 60, 67, 68])
@pytest.mark.parametrize("evaluation", [world.COLD, world.BASE], ids=["cold", "base"])
def test_a_narrow_terminal_gets_every_outcome_in_words(evaluation: Evaluation, width: int) -> None:
    """All that a wide one shows, word by word."""
    text = to_text(outcome_table([evaluation], width=width), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    wide = to_text(outcome_table([evaluation], width=160), width=160)
    told, whole = (Counter(each.replace("what went wrong", "").replace("─", "").split()) for each in (text, wide))
    assert told == whole


@pytest.mark.parametrize("width", [50, 60, 67, 68])
def test_a_narrow_terminal_gets_every_figure_too(width: int) -> None:
    """Nothing is cut off: what has no room beside the others stands in words below the name."""
    text = to_text(evaluation_table([world.BASE, world.COLD], width=width), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    wide = to_text(evaluation_table([world.BASE, world.COLD], width=120), width=120)
    figures = {word for word in wide.split() if word.replace(".", "", 1).isdigit()}
    assert figures <= set(text.replace(",", " ").split())


@pytest.mark.parametrize("name", ["outcomes", "evaluations", "promoted", "held", "findings"])
def test_colour_adds_nothing_that_letters_do_not_say(name: str) -> None:
    """With the codes taken out the coloured text is the plain one."""
    coloured = to_text(EVERYTHING[name], colour=True)
    assert "\x1b[" in coloured
    plain = "".join(part.partition("m")[2] if i else part for i, part in enumerate(coloured.split("\x1b[")))
    assert [line.rstrip() for line in plain.splitlines()] == to_text(EVERYTHING[name]).splitlines()


def test_outcome_rows_are_letters_with_words() -> None:
    """The row as the specification writes it, and what the F's were."""
    text = to_text(EVERYTHING["outcomes"])
    assert "FFPPPPP" in text
    assert "still loading x2" in text


def test_faults_look_different_from_failures_of_the_model() -> None:
    """Both F, the fault reversed."""
    row = world.COLD.rows[0].model_copy(update={"outcomes": (Outcome.PASS, Outcome.WRONG, Outcome.TIMEOUT)})
    text = outcome_letters(row)
    assert text.plain == "PFF" == row.letters
    assert len({str(span.style) for span in text.spans}) == 3


def test_a_prompt_that_an_evaluation_lacks_is_a_dash() -> None:
    """Suites of different length stand side by side."""
    text = to_text(outcome_table([world.COLD, world.BETTER]), width=120)
    line = next(line for line in text.splitlines() if line.strip().startswith("P8"))
    assert "-" in line
    assert "missed call" in line


def test_the_decision_says_why_in_words() -> None:
    """Verdict, gain, and each gate with what it saw and needs."""
    promoted, held = to_text(EVERYTHING["promoted"]), to_text(EVERYTHING["held"])
    assert "PROMOTE restrained: replaces the baseline." in promoted
    assert "+0.50. Every binding gate passed." in promoted
    assert "(no data, advice)" in promoted
    assert "claim: this suite only" in promoted
    assert "HOLD constrained" in held
    assert "Not passed: restraint." in held
    assert "FAILED" in held


def test_shares_near_the_ends_do_not_round_to_them() -> None:
    """0.996 is not 1.00."""
    m = world.BETTER.metrics.model_copy(update={"accuracy": 0.996, "restraint": 0.001})
    text = to_text(evaluation_table([world.BETTER.model_copy(update={"metrics": m})]))
    assert "0.996" in text
    assert "0.001" in text


def test_a_gain_that_was_not_compared_is_not_called_unmeasured() -> None:
    """A gate may show a figure that nothing rests on, because both sides were measured in different ways."""
    apart = [g.model_copy(update={"passed": False}) if g.name == "comparable" else g for g in world.DECISION.gates]
    text = to_text(decision_panel(world.DECISION.model_copy(update={"estimate": None, "gates": tuple(apart)})))
    assert "not measured" not in text
    assert "Not compared with" in text
