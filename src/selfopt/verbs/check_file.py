"""Reads a check file: what is checked, against what, and what it may cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from selfopt.errors import UsageError
from selfopt.home import InputFileError, escape_control, read_input
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import CheckSettings, Criterion, Split

DEFAULT_FILE = "selfopt.check.yaml"
_MAX_BYTES = 1_000_000
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHOWN = 120

_SHARE = "a number from 0 to 1, such as 0.9"
_INNER = "a number above 0 and below 1, such as 0.05"
_CHANCE = "a number above 0 and at most 0.5, such as 0.01"
_ALLOWED = {
    "suite": "the name or the path of a suite",
    "model": "the name of a model, such as ollama/qwen3:8b",
    "variant": "the name of a variant (selfopt variants list)",
    "rule": "true or false",
    "split": "search, heldout, canary or all",
    "baseline": "a file that selfopt check --record wrote, or a mapping with model, variant, state or ask_again",
    "baseline.model": "the name of a model",
    "baseline.variant": "the name of a variant (selfopt variants list)",
    "baseline.state": "a file that selfopt check --record wrote",
    "baseline.ask_again": "true or false",
    **dict.fromkeys(("min_accuracy", "min_call_accuracy", "min_restraint"), _SHARE),
    **dict.fromkeys(("max_regression", "tolerance"), _INNER),
    "must_pass_floor": "a number above 0 and up to 0.9, as 40 answers show no more",
    **dict.fromkeys(("alpha", "beta"), _CHANCE),
    "must_pass": "true, or a list of ids of prompts",
    "max_trials": "a whole number from 1",
    "max_cost": "a number from 0, in the currency of the prices",
    "max_time": "seconds, or a time such as 90s, 10m or 1.5h, above 0 and up to 168h",
    "on_undecided": "pass or fail",
}


def _seconds(value: Any) -> Any:
    """A time as seconds; what is none is left to the check of its type."""
    if not isinstance(value, str):
        return value
    found = _TIME.fullmatch(value.strip())
    return float(found[1]) * _UNITS[found[2]] if found else value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EarlierChoice(_Strict):
    """What to compare with, in a check file.

    Attributes:
        model, variant: an earlier configuration that still exists; one that is left out is that of the
            check.
        state: a recorded state. ask_again: whether its configuration is asked again where it still
            exists.
    """

    model: str | None = Field(default=None, min_length=1, max_length=300)
    variant: str | None = Field(default=None, min_length=1, max_length=300)
    state: str | None = Field(default=None, min_length=1, max_length=4096)
    ask_again: bool = True

    @model_validator(mode="after")
    def _one_sort(self) -> EarlierChoice:
        """Check that it names one sort of baseline."""
        named = self.model is not None or self.variant is not None
        if named == (self.state is not None):
            raise ValueError("needs either state, or model or variant")
        return self


Share = Annotated[float, Field(ge=0, le=1)]
Inner = Annotated[float, Field(gt=0, lt=1)]
Chance = Annotated[float, Field(gt=0, le=0.5)]
Ids = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(max_length=100_000)]


class CheckFile(_Strict):
    """The content of a check file. docs/CHECK.md says what each key means."""

    suite: str = Field(min_length=1, max_length=4096)
    model: str = Field(min_length=1, max_length=300)
    variant: str | None = Field(default=None, min_length=1, max_length=300)
    rule: bool = False
    split: Split = "all"
    baseline: EarlierChoice | None = None
    min_accuracy: Share | None = None
    min_call_accuracy: Share | None = None
    min_restraint: Share | None = None
    max_regression: Inner = 0.05
    tolerance: Inner = 0.05
    must_pass: Annotated[bool | Ids, BeforeValidator(_listed)] = False
    must_pass_floor: Annotated[float, Field(gt=0, le=0.9)] = 0.5
    max_trials: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, ge=0)
    max_time: Annotated[float | None, BeforeValidator(_seconds)] = Field(default=None, gt=0, le=604_800)
    on_undecided: Literal["pass", "fail"] = "fail"
    alpha: Chance = 0.01
    beta: Chance = 0.05

    @property
    def thresholds(self) -> dict[Criterion, float]:
        """The least shares that are asked for."""
        named: dict[Criterion, float | None] = {
            "accuracy": self.min_accuracy,
            "call_accuracy": self.min_call_accuracy,
            "restraint": self.min_restraint,
        }
        return {name: least for name, least in named.items() if least is not None}

    def settings(self) -> CheckSettings:
        """How the check decides."""
        names = ("alpha", "beta", "max_regression", "tolerance", "must_pass_floor")
        return CheckSettings(**{name: getattr(self, name) for name in names})


def read_check_file(path: Path) -> CheckFile:
    """Read a check file.

    Raises:
        UsageError: it cannot be read or holds something else. The message names the file and the key.
    """
    shown = escape_control(str(path), 300)
    try:
        text = read_input(path, _MAX_BYTES)
    except InputFileError as error:
        named = "" if shown == DEFAULT_FILE else f" {shown}"
        more = f"; write one to start with: selfopt check --new{named}" if not path.exists() else ""
        raise UsageError(f"{shown}: {error}{more}") from None
    return parse_check_file(text, shown)


def parse_check_file(text: str, shown: str) -> CheckFile:
    """Read the text of a check file. shown: its name, for messages. Raises UsageError."""
    try:
        data = read_plain_yaml(text)
    except PlainYamlError as error:
        raise UsageError(f"{shown}: {escape_control(str(error), 300)}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{shown}: holds no mapping; start with suite and model (docs/CHECK.md), or with: selfopt check --new")
    if isinstance(data.get("baseline"), str):
        data["baseline"] = {"state": data["baseline"]}
    try:
        found = CheckFile.model_validate(data)
    except ValidationError as error:
        raise UsageError(f"{shown}: {_problem(error)}") from None
    problem = _contradiction(found)
    if problem is not None:
        raise UsageError(f"{shown}: {problem}")
    return found


def _problem(error: ValidationError) -> str:
    """The first problem in one line: the key, what was got, what is allowed."""
    first = error.errors(include_url=False, include_context=False)[0]
    places = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        import difflib  # only where something is wrong

        inner = EarlierChoice.model_fields if len(places) > 1 else CheckFile.model_fields
        near = difflib.get_close_matches(places[-1], inner, n=1, cutoff=0.7)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown key {escape_control('.'.join(places), _SHOWN)}; allowed are {', '.join(inner)}{hint}"
    key = next((key for n in (2, 1) if (key := ".".join(places[:n])) in _ALLOWED), places[0] if places else "")
    allowed = _ALLOWED.get(key, "another value")
    if first["type"] == "missing":
        return f"{key} is missing; write {allowed}"
    return f"{key}: got {escape_control(repr(first['input']), _SHOWN)}; allowed is {allowed}"


def _contradiction(found: CheckFile) -> str | None:
    if found.rule and found.variant is not None:
        return "variant and rule: true exclude each other; keep one of the two"
    if not found.thresholds and found.baseline is None and found.must_pass in (False, ()):
        return "it demands nothing; name a baseline, min_accuracy, min_call_accuracy, min_restraint or must_pass"
    return None
