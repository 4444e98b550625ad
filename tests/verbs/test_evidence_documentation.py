"""docs/EVIDENCE.md: its worked example is what the commands say, its table is what the test computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfopt.policy import AlphaPlan, next_share, prompt_test
from selfopt.records import Decision, EvidenceKey
from selfopt.verbs.deciding import explained_decision
from tests.loop.kit import World
from tests.loop.race_kit import ATOMIC, candidates, sample_suite, sometimes, towns, with_suite

TEXT = (Path(__file__).parents[2] / "docs" / "EVIDENCE.md").read_text("utf-8")


def block(name: str) -> list[str]:
    """The lines of the fenced block below this mark."""
    found = re.search(rf"<!-- checked: {name} -->\n```\w*\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None, f"docs/EVIDENCE.md has no block {name}"
    return found[1].splitlines()


async def test_the_worked_example_is_what_the_commands_say(tmp_path: Path) -> None:
    """The loop's lines about the race, and the account of its decision, word for word."""
    w = with_suite(World(tmp_path / "world", {"m": sometimes(0.5, 0.62, towns(160))}), sample_suite(60, 100))
    await w.loop(ATOMIC, candidates=candidates(tmp_path, {"variant": "restrained"}, {"timeout_s": 50}))
    assert w.said("race") == block("race")
    with w.app() as app:
        decision = next(d for d in app.ledger.read(Decision) if d.verdict == "promote")
        _, found, _ = explained_decision(app, decision.decision_id)
    parts = {"What was claimed": (found.claimed,), "How sure": found.sure, "What the looks cost": found.costs}
    told = [line for title, lines in parts.items() for line in (title, *(f"  {text}" for text in lines))]
    assert told == block("explain")


def heldout(wins: int, losses: int, prompts: int) -> tuple[float, bool]:
    """log E of a first look at held-out prompts with so many won and lost, and whether it passes."""
    ours = {f"p{i:03d}": i < wins or wins + losses <= i for i in range(prompts)}
    theirs = {f"p{i:03d}": wins <= i for i in range(prompts)}
    key = EvidenceKey(
        candidate_spec_id="a", baseline_spec_id="b", environment_id="e", render_hash="r", scorer_hash="s", split="heldout"
    )
    share = next_share(AlphaPlan(0.05), "heldout x", [], 0)
    test = prompt_test(key, (ours, theirs), clusters={}, share=share, order_seed="docs", at="2026-01-01T00:00:00.000Z")
    return test.log_e, test.passed


ROWS = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (-?\d+\.\d+) \| (yes|no) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_the_table_of_heldout_results_is_computed(row: tuple[str, ...]) -> None:
    """Prompts, won, lost, log E, passes."""
    prompts, wins, losses = map(int, row[:3])
    log_e, passed = heldout(wins, losses, prompts)
    assert f"{log_e:.1f}" == row[3]
    assert passed == (row[4] == "yes")


def test_the_table_has_rows() -> None:
    """Or nothing above was checked."""
    assert len(ROWS) >= 4
