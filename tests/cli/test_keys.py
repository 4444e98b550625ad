"""`selfopt keys`: budgets, rates and labels of keys, and who spent what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.gateway.journal import encode_record
from selfopt.gateway.ticket import LiveAttempt, RequestRecord
from selfopt.home import GENESIS_HASH, chain_line

from .world import Project

PRICES = '\n[prices."scripted/good"]\ninput = 1.0\noutput = 2.0\n[prices."scripted/mute"]\ninput = 10.0\noutput = 20.0\n'


def record(at: str = "2026-01-02T10:00:00.000Z", model: str = "scripted/good", **fields: Any) -> RequestRecord:
    """One of a request that was served."""
    told: dict[str, Any] = {
        "id": "req-0", "outcome": "served", "status": 200, "served": "scripted/good", "phase": "atomic", "rule": None, "version": 1,
        "variant": None, "key": None, "stream": False, "attempts": (LiveAttempt("scripted/good", 1.0),), "latency_ms": 1.0,
        "first_byte_ms": None, "input_tokens": 100, "output_tokens": 50, "reason": "", "cost": 0.0002, **fields,
    }  # fmt: skip
    return RequestRecord(at=at, model=model, **told)


def keep(home: Path, *records: RequestRecord) -> None:
    """Write records as a gateway does."""
    (home / "requests").mkdir(parents=True, exist_ok=True)
    previous, lines = GENESIS_HASH, []
    for one in records:
        line, previous = chain_line(encode_record(one), previous)
        lines.append(line)
    (home / "requests" / "0123456789-1.jsonl").write_bytes(b"".join(lines) + b'{"torn')


@pytest.fixture
def spent(project: Project) -> dict[str, str]:
    """The ids of two keys of three labels that spent something."""
    ids = {}
    for name, labels in (("blue", ["team=blue", "use=chat"]), ("red", ["team=red"])):
        options = [word for label in labels for word in ("--label", label)]
        ids[name] = project.ok("keys", "add", name, *options, "--json").json()["id"]
    keep(
        project.home,
        record("2025-12-31T23:59:59.999Z", key=ids["blue"], cost=100.0),
        record(key=ids["blue"]),
        record(key=ids["blue"], model="scripted/mute", outcome="diverted", escalated=("unsure",), cost=0.0004),
        record("2026-01-03T00:00:00.000Z", key=ids["red"], cost=None, charged=0.5),
        record(cost=0.001),
        record(outcome="refused", served=None, attempts=(), cost=None),
    )
    return ids


def test_terms_are_set_and_changed(project: Project) -> None:
    """What is not named stays, none takes a limit away, and a list shows all."""
    project.ok("keys", "add", "mine", "--budget-day", "5", "--on-budget", "warn", "--label", "team=blue")
    shown = project.ok("keys", "list").out
    assert "5 a day (warn); team=blue" in shown
    told = project.ok(
        "keys", "set", "mine", "--budget-day", "none", "--requests-per-minute", "60", "--label", "team=", "--json"
    ).json()
    assert told["terms"] == {"on_budget": "warn", "requests_per_minute": 60}
    assert "mine): 60 requests a minute" in project.ok("keys", "set", "mine", "--on-budget", "hard").out
    assert project.ok("keys", "list", "--json").json()[0]["terms"] == {"requests_per_minute": 60}
    events = [entry["event"] for entry in project.ok("audit", "show", "--json").json() if entry["event"].startswith("key_")]
    assert events == ["key_added", "key_changed", "key_changed"]
    project.ok("audit", "verify")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "mine"), "nothing to change"),
        (("set", "yours", "--budget-day", "1"), "no valid key has the id or name 'yours'"),
        (("set", "mine", "--budget-day", "-1"), "budget_day of a key cannot be -1"),
        (("set", "mine", "--budget-day", "nan"), "budget_day of a key cannot be nan"),
        (("set", "mine", "--budget-day", "much"), "neither a number nor none"),
        (("set", "mine", "--tokens-per-minute", "1.5"), "neither a whole number nor none"),
        (("set", "mine", "--label", "blue"), "write NAME=VALUE"),
        (("set", "mine", "--label", "Team=blue"), "labels"),
        (("usage", "--since", "yesterday"), "write YYYY-MM-DD"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_makes_no_sense_is_refused_on_one_line(project: Project, words: tuple[str, ...], said: str) -> None:
    """With exit code 2, and nothing is changed."""
    project.ok("keys", "add", "mine")
    before = project.ok("keys", "list", "--json").json()
    refused = project.run("keys", *words)
    assert refused.code == 2
    assert said in refused.err
    assert project.ok("keys", "list", "--json").json() == before


def test_a_hard_budget_without_any_price_is_warned_of(project: Project) -> None:
    """It lets the key ask models of this machine alone; a budget that only warns lets all pass."""
    assert "no model has a price" in project.ok("keys", "add", "mine", "--budget-day", "5").err
    assert "no model has a price" not in project.ok("keys", "set", "mine", "--on-budget", "warn").err


def rows(project: Project, *words: str) -> dict[str, dict[str, Any]]:
    """The rows of a usage, by name."""
    return {row["name"]: row for row in project.ok("keys", "usage", "--since", "2026-01-01", "--json", *words).json()["rows"]}


def test_usage_is_added_up_by_key_label_model_and_day(project: Project, spent: dict[str, str]) -> None:
    """From the records since a day."""
    keys = rows(project)
    assert list(keys) == ["no key", "blue", "red"]
    assert (keys["blue"]["key"], keys["blue"]["requests"], keys["blue"]["escalated_share"]) == (spent["blue"], 2, 0.5)
    assert keys["blue"]["cost"] == pytest.approx(0.0006)
    assert (keys["red"]["cost"], keys["red"]["unknown"], keys["red"]["charged"]) == (0, 1, 0.5)
    labels = rows(project, "--by", "label")
    assert {name: row["requests"] for name, row in labels.items()} == {"no key": 2, "team=blue": 2, "use=chat": 2, "team=red": 1}
    assert {name: row["requests"] for name, row in rows(project, "--by", "model").items()} == {
        "scripted/good": 4,
        "scripted/mute": 1,
    }
    assert {name: row["requests"] for name, row in rows(project, "--by", "day").items()} == {"2026-01-02": 4, "2026-01-03": 1}


def test_what_was_saved_is_by_the_prices_in_force(project: Project, spent: dict[str, str]) -> None:
    """The request for the dearer model would have cost ten times as much as its answer; all else cost what it cost."""
    own = project.root / "xdg" / "selfopt" / "selfopt.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(PRICES, "utf-8")
    total = project.ok("keys", "usage", "--since", "2026-01-01", "--json").json()["total"]
    assert total["compared"] == 3
    assert total["as_asked"] == pytest.approx(0.0002 + 0.002 + 0.001)
    assert total["saved"] == pytest.approx(0.002 - 0.0004)


def test_usage_fits_the_terminal(project: Project, spent: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it does not know, and marks estimates."""
    for columns in ("60", "80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = project.ok("keys", "usage", "--since", "2026-01-01").out
        drawn = shown.splitlines()[: next(at for at, line in enumerate(shown.splitlines()) if line.startswith("since "))]
        assert max(map(len, drawn)) <= int(columns)
        assert "the cost of 1 request is not known" in shown
        for text in ("blue", "red", "no key", "50%", "0.0006"):
            assert text in shown


def test_without_records_usage_says_so(project: Project) -> None:
    """Since when, too."""
    assert "no request has been recorded since 2026-01-01" in project.ok("keys", "usage", "--since", "2026-01-01").out
    assert json.loads(project.ok("keys", "usage", "--json").out)["rows"] == []
