"""Caps that several processes share hold for all of them together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selfopt.errors import CorruptError
from selfopt.measure.budget import Budget
from selfopt.records import Usage
from selfopt.verbs.shared_caps import SharedCaps


@pytest.fixture
def spent(tmp_path: Path) -> Path:
    """The file that all of them count in, empty at first."""
    path = tmp_path / "spent.json"
    path.touch()
    return path


def test_several_processes_never_reserve_more_than_the_cap(spent: Path) -> None:
    """Four processes want fifty trials each, and get a hundred together."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from selfopt.measure.budget import Budget\n"
        "from selfopt.verbs.shared_caps import SharedCaps\n"
        "caps = SharedCaps(Path(sys.argv[1]), Budget(max_trials=100), 0.0, lambda: 0.0)\n"
        "print(sum(caps.reserve() is None for _ in range(50)))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(spent)], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(process.communicate()[0]) for process in running) == 100
    assert (
        SharedCaps(spent, Budget(max_trials=100), 0.0, lambda: 0.0).reserve()
        == "max_trials = 100 is reached; raise it to ask the rest"
    )


@pytest.mark.parametrize(
    ("budget", "cost", "says"),
    [
        (Budget(max_tokens=30), 0.0, "max_tokens = 30 is reached"),
        (Budget(max_cost=0.5), 0.5, "max_cost = 0.5 is reached"),
        (Budget(max_cost=0.5), None, "what scripted/good costs is unknown"),
        (Budget(max_minutes=2), 0.0, "max_minutes = 2 is reached"),
    ],
)
def test_each_cap_ends_the_work_with_its_reason(spent: Path, budget: Budget, cost: float | None, says: str) -> None:
    """What one process took counts for another, too."""
    now = 0.0
    one, other = (SharedCaps(spent, budget, 0.0, lambda: now) for _ in range(2))
    assert one.reserve() is None
    one.charge(Usage(input_tokens=20, output_tokens=10), cost, "scripted/good")
    now = 120.0
    assert says in (other.reserve() or "")


def test_without_caps_nothing_is_refused(spent: Path) -> None:
    """And an unknown price is none of anybody's business."""
    caps = SharedCaps(spent, Budget(), 0.0, lambda: 1e9)
    caps.charge(Usage(), None, "scripted/good")
    assert caps.reserve() is None


@pytest.mark.parametrize("text", ["{", "[]", '{"tokens": 1, "more": 2}'])
def test_a_damaged_count_is_refused(spent: Path, text: str) -> None:
    """In one line."""
    spent.write_text(text, "utf-8")
    with pytest.raises(CorruptError, match="is damaged"):
        SharedCaps(spent, Budget(max_trials=1), 0.0).reserve()
