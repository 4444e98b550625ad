"""What a quickstart remembers, so that the same command continues it: `quickstart.json` in the home."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from selfopt.errors import CorruptError
from selfopt.home import Home, atomic_write_text, read_json_file
from selfopt.records import new_id

from .first_plan import Pace, Plan

FILE_NAME = "quickstart.json"


@dataclass(slots=True)
class State:
    """The finished steps, each with the id of what it made, and the plan of the others.

    Attributes:
        begun: the step that is under way, whose plan stays as it is.
        plan: None for a quickstart that an earlier version began.
        paces: of each model; none where they are not known.
        spent_s: what all its processes took.
        again: whether an earlier quickstart finished in this home.
    """

    path: Path
    session: str = field(default_factory=lambda: new_id("quickstart"))
    done: dict[str, str] = field(default_factory=dict)
    begun: str = ""
    plan: Plan | None = None
    paces: tuple[Pace, ...] = ()
    spent_s: float = 0.0
    again: bool = False

    def finish(self, step: str, value: str) -> None:
        """Record that a step is finished."""
        self.done[step] = value
        self.save()

    def save(self) -> None:
        """Write the file. The first step needs it too, because steps use the session's id."""
        body = {
            "schema_version": 1,
            "session": self.session,
            "done": self.done,
            "begun": self.begun,
            "plan": asdict(self.plan) if self.plan is not None else None,
            "paces": [asdict(pace) for pace in self.paces],
            "spent_s": round(self.spent_s, 1),
        }
        atomic_write_text(self.path, json.dumps(body, indent=2) + "\n")


def load_state(home: Home, last: str) -> State:
    """The state of an unfinished quickstart, or a new one.

    last: the step that ends a quickstart.

    Raises:
        CorruptError: the file is no such state.
    """
    path = home.root / FILE_NAME
    try:
        body = read_json_file(path, what="quickstart state", schema_version=1)
    except FileNotFoundError:
        return State(path)
    try:
        return _state_of(path, body, last)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CorruptError(f"{path}: no quickstart state; move the file away to start a new quickstart") from None


def _state_of(path: Path, body: Any, last: str) -> State:
    session, done = body["session"], {str(k): str(v) for k, v in body["done"].items()}
    if not isinstance(session, str):
        raise TypeError
    if last in done:
        return State(path, again=True)
    plan = body.get("plan")
    return State(
        path,
        session,
        done,
        begun=str(body.get("begun", "")),
        plan=Plan(**{name: int(value) for name, value in plan.items()}) if plan is not None else None,
        paces=tuple(Pace(float(p["reads"]), float(p["writes"])) for p in body.get("paces", ())),
        spent_s=float(body.get("spent_s", 0.0)),
    )
