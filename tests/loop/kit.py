"""A world for the loop: small suites, scripted models, an app on a clock that nobody has to wait for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfopt.loop import Listener, LoopEvent, Target
from selfopt.records import (
    Baseline,
    Cycle,
    CyclePlan,
    CycleStart,
    Decision,
    Finding,
    Ledger,
    Phase,
    Recommendation,
    Rule,
    RuleLimits,
    Run,
    Trial,
)
from selfopt.scripted.endpoint import engine_for
from selfopt.scripted.player import ScriptEngine
from selfopt.verbs.looping import parse_target, run_loop
from selfopt.wiring.app import App
from tests.scripted.clock import ManualClock

CITIES = ("Oslo", "Lima", "Cairo", "Quito")
SMALL_TALK = ("Who are you?", "Tell me a joke.", "Good evening.")
Script = dict[str, Any]


def suite(name: str, phase: Phase, asks: str, small_talk: Sequence[str] = SMALL_TALK) -> dict[str, Any]:
    """Four prompts that need a call, and some that need none."""
    tool = {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    history = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."}] if phase == "extended" else []
    calls = [
        {
            "id": f"{name}-c{i}",
            "kind": "direct",
            "reason": "asked for",
            "tool_set": "t",
            "messages": [*history, {"role": "user", "content": f"{asks} {city}?"}],
            "expected": [[{"name": "get_weather", "arguments": {"city": [city]}}]],
        }
        for i, city in enumerate(CITIES)
    ]
    silent = [
        {
            "id": f"{name}-s{i}",
            "kind": "no call",
            "reason": "small talk",
            "tool_set": "t",
            "messages": [*history, {"role": "user", "content": text}],
            "expected": [[]],
        }
        for i, text in enumerate(small_talk)
    ]
    body = {"schema_version": 1, "name": name, "title": name, "phase": phase, "scope": "whole", "tool_sets": {"t": [tool]}}
    return {**body, "prompts": [*calls, *silent]}


def says(city: str, how: str) -> Script:
    """One reply about a city: `native` call, `fenced` JSON, `wrong` call, or `mute`."""
    if how in ("native", "wrong"):
        return {"tool_calls": [{"name": "get_weather", "arguments": {"city": city if how == "native" else "Rome"}}]}
    return {
        "text": f"```json\n{json.dumps({'name': 'get_weather', 'arguments': {'city': city}})}\n```" if how == "fenced" else "Hm."
    }


def model(atomic: str | Sequence[str] = "native", extended: str = "mute", latency_ms: float = 20.0, **more: Any) -> Script:
    """A model that answers so where native tools are offered, and says "Hm." everywhere else. Several answers: in turn."""
    replies: list[Script] = []
    for city in CITIES:
        for asks, how in (("Weather in", atomic), ("And in", extended)):
            match = {"contains": f"{asks} {city}?", "tools": True}
            if isinstance(how, str):
                replies.append({"match": match, **says(city, how)})
            else:
                replies.append({"match": match, "sequence": [says(city, one) for one in how], "then": "cycle"})
    return {"latency_ms": latency_ms, "initially_loaded": True, "default": {"text": "Hm."}, "replies": replies, **more}


@dataclass
class World:
    """A home, two suites and a script in one folder. `events` is what the loop said."""

    folder: Path
    models: dict[str, Script]
    settings: dict[str, Any] = field(default_factory=dict)
    events: list[LoopEvent] = field(default_factory=list)
    engine: ScriptEngine | None = None
    generation: int = 0

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.folder / "home"

    def write(self, **suites: Any) -> None:
        """Write suites and script as they are now."""
        self.folder.mkdir(exist_ok=True)
        bodies = {"small": suite("small", "atomic", "Weather in"), "long": suite("long", "extended", "And in"), **suites}
        for name, body in bodies.items():
            (self.folder / f"{name}.yaml").write_text(json.dumps(body), "utf-8")
        self.script_path.write_text(json.dumps({"models": self.models}), "utf-8")

    @property
    def script_path(self) -> Path:
        """The script of the endpoint."""
        return self.folder / f"script-{self.generation}.yaml"

    def flags(self, changes: dict[str, Any]) -> dict[str, Any]:
        """The settings as a tree."""
        tree: dict[str, Any] = {
            "endpoints": {"scripted": {"kind": "scripted", "script": str(self.script_path), "local": True}},
            "suites": {"atomic": str(self.folder / "small.yaml"), "extended": str(self.folder / "long.yaml")},
            "limits": {"retries": 0},
            "loop": {"baseline": "scripted/m atomic native_api"},
        }
        for more in (self.settings, changes):
            for section, values in more.items():
                tree[section] = {**tree.get(section, {}), **values} if isinstance(values, dict) else values
        return tree

    @contextmanager
    def app(self, **changes: Any) -> Iterator[App]:
        """An app on this home; time passes only for those who sleep on it. Models keep their state between apps."""
        if not self.script_path.exists():
            self.write()
        environ = {"SELFOPT_CONFIG": "", "HOME": str(self.folder), "SELFOPT_DOTENV": "off"}
        app = App.open(self.home, self.flags(changes), environ, self.folder)
        if self.engine is None:
            self.engine = engine_for(app.settings.endpoint_config("scripted", environ), ManualClock())
        try:
            yield app
        finally:
            if app._ledger is not None:
                app._ledger.close()

    def rescript(self, **models: Script) -> None:
        """Models behave otherwise from now on."""
        self.models = models
        self.engine, self.generation = None, self.generation + 1
        self.write()

    async def loop(self, *baselines: str, cycles: int = 1, keys: Sequence[tuple[str, Phase]] = (), **more: Any) -> list[Cycle]:
        """Run cycles in an app of their own. baselines: as typed; keys: targets without a named baseline."""
        changes = more.pop("settings", {})
        step = more.pop("on_step", None)
        with self.app(**changes) as app:
            if step is not None:
                app.on_step = step
            targets = [parse_target(app, text) for text in baselines] + [Target(*key) for key in keys]
            return await run_loop(app, targets, cycles, listener=Listener(self.events.append), **more)

    def said(self, kind: str) -> list[str]:
        """What was said of one kind."""
        return [event.text for event in self.events if event.kind == kind]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, to look at."""
        with self.app() as app:
            yield app.ledger

    def rules(self) -> dict[tuple[str, str], Rule]:
        """The rules in force."""
        with self.app() as app:
            return {(r.model, r.phase): r for r in app.enforcer.load().rules}


def effect(rule: Rule) -> tuple[bool, str | None, bool, str | None, RuleLimits]:
    """What a rule does, whatever its reasons are."""
    return rule.allow, rule.fallback, rule.warm_up, rule.spec_id, rule.limits


def outline(world: World) -> dict[str, Any]:
    """Everything that a run of the loop decided, without ids, times and reasons: two histories with equal outlines came to
    the same. Numbers of rule versions take no part: one that was given up is not used again."""
    with world.app() as app:
        ledger = app.ledger
        return {
            "cycles": [
                (
                    c.number,
                    [
                        (t.model, t.phase, t.baseline_spec_id, t.winner_spec_id, t.improvement, t.new_baseline_spec_id)
                        for t in c.targets
                    ],
                    [[(r.spec_id, r.verdict, r.accuracy, r.reason_codes) for r in t.candidates] for t in c.targets],
                    [(r.model, r.phase, r.claim, r.helped, r.withdrawn) for r in c.remedies],
                    len(c.findings),
                    len(c.recommendations),
                    c.trials,
                )
                for c in sorted(ledger.read(Cycle), key=lambda c: c.number)
            ],
            "baselines": [(b.model, b.phase, b.spec_id, b.previous_spec_id, b.source) for b in ledger.read(Baseline)],
            "decisions": [(d.candidate_spec_id, d.baseline_spec_id, d.verdict) for d in ledger.read(Decision)],
            "findings": sorted((f.type, f.model, f.phase, f.cycle_id is None) for f in ledger.read(Finding)),
            "recommendations": sorted((r.type, r.model, r.phase, r.action) for r in ledger.read(Recommendation)),
            "plans": [(p.targets, p.changes) for p in ledger.read(CyclePlan)],
            "starts": [s.number for s in ledger.read(CycleStart)],
            "rules": [effect(r) for r in app.enforcer.load().rules],
            "chain": app.enforcer.verify().ok,
        }


def trials_per_slot(ledger: Ledger) -> dict[tuple[str | None, str, str, int, str], int]:
    """How many committed trials each (group, request, purpose, run index, prompt) has."""
    counts: dict[tuple[str | None, str, str, int, str], int] = {}
    runs = {r.run_id: r for r in ledger.read(Run)}
    for trial in ledger.read(Trial):
        run = runs[trial.run_id]
        key = (run.group_id, run.request_id, run.purpose, run.run_index, trial.prompt_id)
        counts[key] = counts.get(key, 0) + 1
    return counts
