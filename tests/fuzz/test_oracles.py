"""The fuzzer's oracles: each finds a planted fault, what it once found stays mended, and a seed repeats its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from selfopt.reading import Reading
from selfopt.records import ToolCall

from . import oracles
from .oracles import ORACLES
from .shrinking import shrunk

FOUND = json.loads((Path(__file__).parent / "found.json").read_text("utf-8"))
CALL = ToolCall(name="city_weather", arguments={})


def _first_fault(name: str, most: int = 300) -> dict[str, Any]:
    made = (ORACLES[name].make(Random(f"0 {number}")) for number in range(most))
    return next(one for one in made if ORACLES[name].fault(one))


def test_what_was_found_stays_mended() -> None:
    """Lines that `make fuzz` printed. It tries those that took too long itself, since tests measure no time."""
    for case in (case for case in FOUND if case["oracle"] != "time"):
        assert ORACLES[case["oracle"]].fault(case["input"]) == ""


@pytest.mark.parametrize("name", ["thinking in pieces", "calls in pieces", "nothing is raised", "no call"])
def test_a_few_inputs_have_no_fault(name: str) -> None:
    """The same few in every run; `make fuzz` tries many, and others each time."""
    for number in range(80):
        made = ORACLES[name].make(Random(f"few {number}"))
        assert ORACLES[name].fault(made) == "", made


@pytest.mark.parametrize("name", ORACLES)
def test_a_seed_repeats_its_inputs(name: str) -> None:
    """The same generator makes the same input, and another one another."""
    made = [ORACLES[name].make(Random(seed)) for seed in ("1", "1", "2")]
    assert made[0] == made[1] != made[2]


def test_a_splitter_that_forgets_what_it_held_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a mark at the end of a piece gets lost."""

    class Forgetful:
        def feed(self, text: str) -> tuple[str, str]:
            return text.replace("<think>", ""), ""

        def end(self) -> tuple[str, str]:
            return "", ""

    monkeypatch.setattr(oracles, "ThinkingSplitter", Forgetful)
    assert "<think>" in _first_fault("thinking in pieces")["text"]


def test_calls_that_are_certain_too_early_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the whole reply does not have."""
    hasty = SimpleNamespace(text="", goes_on=True, add=lambda text, calls: None, calls=lambda: (CALL,))
    monkeypatch.setattr(oracles, "GrowingReply", lambda *_: hasty)
    assert _first_fault("calls in pieces")


@pytest.mark.parametrize("name", ["written and read", "no call"])
def test_a_wrong_call_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that gives the same call for every text."""
    monkeypatch.setattr(oracles, "read", lambda text, tools: Reading((CALL,), text, "", None))
    assert _first_fault(name)


def test_a_changed_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes something from prose."""
    monkeypatch.setattr(oracles, "read", lambda text, tools: Reading((), text[1:], "", None))
    assert _first_fault("no call")


def test_an_exception_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that can't stand a bracket."""

    def delicate(text: str, tools: Any, **_: Any) -> Reading:
        if "[" in text:
            raise ValueError("a bracket")
        return Reading((), text, "", None)

    monkeypatch.setattr(oracles, "read", delicate)
    assert "[" in _first_fault("nothing is raised")["text"]


def test_a_slow_reader_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock says that each text takes a second."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(oracles, "read", lambda text, tools: None)
    monkeypatch.setattr(oracles, "time", SimpleNamespace(process_time=lambda: next(seconds)))
    assert "ms a KB" in ORACLES["time"].fault({"pieces": [["a", 5000]]})


def test_a_fault_is_made_smaller_and_stays() -> None:
    """Only what the fault needs is left."""
    least = shrunk({"text": "some { text [ and more"}, ORACLES["nothing is raised"].smaller, lambda made: "[" in made["text"])
    assert least == {"text": "["}


def test_smaller_calls_keep_their_tools() -> None:
    """A candidate has a tool for each call, and a property for each argument."""
    made = next(one for number in range(50) if len((one := ORACLES["written and read"].make(Random(number)))["calls"]) > 1)
    for candidate in ORACLES["written and read"].smaller(made):
        assert [tool["name"] for tool in candidate["tools"]] == [name for name, _ in candidate["calls"]]
        for tool, (_, arguments) in zip(candidate["tools"], candidate["calls"], strict=True):
            assert arguments.keys() <= tool["parameters"]["properties"].keys()
