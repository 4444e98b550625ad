"""What a calibration says about each threshold of a sequence, over prompts and over tool sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from selfopt.stats import (
    bad_share_p,
    bisected,
    clopper_pearson_upper,
    prompts_factor,
    sets_factor,
    sets_log_e,
)

_NEARLY_ALL = 1 - 1e-6
_BISECTIONS = 24


@dataclass(frozen=True, slots=True)
class ServedTable:
    """What each threshold serves of some answers.

    Attributes:
        n: how many answers there are.
        served, bad: by threshold, how many are served, and how many of these are wrong.
    """

    n: int
    served: tuple[int, ...]
    bad: tuple[int, ...]


class ServedEvidence(Protocol):
    """What the calibration says about each threshold, for one claim."""

    @property
    def units(self) -> int:
        """How many independent units there are."""
        ...

    def p_value(self, index: int, max_bad_share: float) -> float:
        """Of "more than this share of what the threshold serves is wrong"."""
        ...

    def upper(self, index: int, delta: float) -> float:
        """The upper limit of the bad share among what the threshold serves."""
        ...

    def factor(self, index: int, max_bad_share: float, delta: float) -> float | None:
        """How many times as many units like these would show it; None where no number will do."""
        ...


class ServedPrompts:
    """The unit is the prompt."""

    def __init__(self, tables: Sequence[ServedTable]) -> None:
        self.units = sum(table.n for table in tables)
        self.served = [sum(column) for column in zip(*(table.served for table in tables), strict=True)]
        self.bad = [sum(column) for column in zip(*(table.bad for table in tables), strict=True)]

    def p_value(self, index: int, max_bad_share: float) -> float:
        """Exact: a binomial tail."""
        return bad_share_p(self.bad[index], self.served[index], max_bad_share) if self.units else 1.0

    def upper(self, index: int, delta: float) -> float:
        """By Clopper & Pearson."""
        return clopper_pearson_upper(self.bad[index], self.served[index], 1 - delta) if self.units else 1.0

    def factor(self, index: int, max_bad_share: float, delta: float) -> float | None:
        """Where the p-value reaches delta, with counts that grow alike."""
        return prompts_factor(self.bad[index], self.served[index], max_bad_share, delta) if self.units else None


class ServedSets:
    """The unit is the tool set, of which each counts as one."""

    def __init__(self, tables: Sequence[ServedTable]) -> None:
        self.units = len(tables)
        columns = ((zip(table.served, table.bad, strict=True), table.n) for table in tables)
        by_table = [[(served / n, bad / n) for served, bad in column] for column, n in columns]
        self.shares = list(zip(*by_table, strict=True))

    def p_value(self, index: int, max_bad_share: float) -> float:
        """1/E of the bets on it."""
        return math.exp(-max(0.0, sets_log_e(self.shares[index], max_bad_share))) if self.units else 1.0

    def upper(self, index: int, delta: float) -> float:
        """The smallest share for which E reaches 1/delta."""
        shares, wanted = self.shares[index] if self.units else (), math.log(1 / delta)
        if not shares or sets_log_e(shares, _NEARLY_ALL) < wanted:
            return 1.0
        holds = bisected(_NEARLY_ALL, 1 - _NEARLY_ALL, lambda alpha: sets_log_e(shares, alpha) >= wanted, _BISECTIONS)
        return holds[0]

    def factor(self, index: int, max_bad_share: float, delta: float) -> float | None:
        """Where E reaches 1/delta, with sets like these."""
        return sets_factor(self.shares[index], max_bad_share, delta) if self.units else None
