"""What a search looks for is chosen in [loop.objective]; what can't be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError
from selfopt.settings.objective import ObjectiveSettings

from .test_settings import load


def test_each_figure_is_read_and_by_default_nothing_but_accuracy_counts(tmp_path: Path) -> None:
    """From a user's file."""
    found = load(tmp_path, user="[loop.objective]\nlatency_weight = 2\nmax_latency_s = 1.5\nmax_tokens = 900\n").loop.objective
    assert (found.latency_weight, found.max_latency_s, found.max_tokens) == (2.0, 1.5, 900)
    assert load(tmp_path).loop.objective == ObjectiveSettings()
    default = ObjectiveSettings()
    assert (default.call_weight, default.latency_weight, default.tokens_weight) == (0, 0, 0)
    assert (default.max_latency_s, default.max_tokens) == (None, None)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("call_weight = 1.5", "call_weight"),
        ("latency_weight = -1", "latency_weight"),
        ("tokens_weight = nan", "tokens_weight"),
        ("max_latency_s = 0", "max_latency_s"),
        ('max_tokens = "many"', "max_tokens"),
        ("restraint = 0.5", "restraint"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, line: str, named: str) -> None:
    """It names the setting; the floor is the policy's and stands elsewhere."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, user=f"[loop.objective]\n{line}\n")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
