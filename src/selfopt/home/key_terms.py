"""What an API key may use up: its budgets, its rates, and the labels of whoever it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import UsageError

OnBudget = Literal["hard", "warn"]
MAX_LABELS = 16
_MOST_MONEY = 1e12
Amount = Annotated[float, Field(ge=0, le=_MOST_MONEY, allow_inf_nan=False)]
LabelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@/+-]{0,99}$")]


class KeyTerms(BaseModel):
    """The terms of one key. None stands for no limit.

    Attributes:
        budget_day, budget_month: what may be spent in a day and in a month of UTC.
        on_budget: what becomes of requests when a budget is used up: they are refused (`hard`), or
            served with a warning (`warn`).
        currency: that of the budgets, as the settings named it.
        requests_per_minute, tokens_per_minute: in a minute of the clock.
        labels: such as `team: blue`, to add up by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_day: Amount | None = None
    budget_month: Amount | None = None
    on_budget: OnBudget = "hard"
    currency: Annotated[str, Field(max_length=8)] = ""
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    labels: Annotated[Mapping[LabelName, LabelValue], Field(max_length=MAX_LABELS)] = {}

    @property
    def has_budget(self) -> bool:
        """Whether money is limited."""
        return self.budget_day is not None or self.budget_month is not None

    @property
    def limits(self) -> bool:
        """Whether anything is limited."""
        return self.has_budget or self.requests_per_minute is not None or self.tokens_per_minute is not None

    def told(self) -> dict[str, Any]:
        """Returns what differs from no terms at all, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def changed(self, changes: Mapping[str, Any]) -> KeyTerms:
        """Returns the terms with some changed. UsageError for a value that none may have."""
        try:
            return KeyTerms.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in first["loc"] if part != "[key]")
            raise UsageError(
                f"{name} of a key cannot be {first['input']!r:.100}: {_ALLOWED.get(str(first['loc'][0]), '')}"
            ) from None


_ALLOWED = {
    "budget_day": "give an amount from 0 to 1e12",
    "budget_month": "give an amount from 0 to 1e12",
    "requests_per_minute": "give a whole number from 1 to 1,000,000,000",
    "tokens_per_minute": "give a whole number from 1 to 1,000,000,000,000",
    "labels": f"at most {MAX_LABELS} labels, each a name of a-z, 0-9, _ and -, and a value of 1 to 100 letters, digits and ._@/+- ",
}

NO_TERMS = KeyTerms()
