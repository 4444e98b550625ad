"""Our gateway, as anybody starts it, with every feature on: keys, rules, records on disk, metrics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from selfopt.home import KeyFile
from selfopt.records import Phase, Rule, RuleLimits
from selfopt.routing import rule_id_of
from selfopt.variants import get_variant
from selfopt.wiring.app import App

from .processes import GATEWAY_CORE, Child, free_port, start, wait_until_answers
from .requests import Shape, Target

__all__ = ["HANG_S", "VARIANT", "Ours", "World", "fixed_world", "our_gateway", "soak_world"]

VARIANT = "restrained"
"""Rendered natively, read by the whole chain of parsers, held to what the conversation backs: one request a chat."""
HANG_S = 1.0
PHASES: tuple[Phase, ...] = ("atomic", "extended")


@dataclass(slots=True)
class Ours:
    """A running gateway of ours."""

    child: Child
    home: Path
    url: str
    key: str
    ready_s: float
    environ: dict[str, str] = field(default_factory=dict)

    def target(self, shape: Shape, model: str = "") -> Target:
        """A kind of request: plain and streamed ones pass through, those with tools go through the variant."""
        calls = shape == "tools" and not model
        asked = model or ("fixed/harness" if calls else "fixed/plain")
        return Target("selfopt", f"{self.url}/v1/chat/completions", shape, asked, self.key, calls=calls)


@dataclass(frozen=True, slots=True)
class World:
    """What a gateway of ours has before it. endpoints: addresses by name; more: further lines of their settings."""

    endpoints: dict[str, str]
    rules: list[Rule]
    more: dict[str, str] = field(default_factory=dict)


def rule_of(model: str, phase: Phase, **more: object) -> Rule:
    return Rule.model_validate({"rule_id": rule_id_of(model, phase), "model": model, "phase": phase, "allow": True, **more})


def fixed_world(upstream: str) -> World:
    """The fixed upstream, one that is not there, and one that never answers; the latter two with a fallback."""
    endpoints = {"fixed": upstream, "gone": f"http://127.0.0.1:{free_port()}", "hangs": f"{upstream}/hang/v1"}
    faulty = {"fallback": "fixed/plain", "limits": RuleLimits(timeout_s=HANG_S)}
    rules = []
    for phase in PHASES:
        rules += [rule_of("fixed/plain", phase), rule_of("fixed/harness", phase, variant=get_variant(VARIANT))]
        rules += [rule_of("gone/any", phase, **faulty), rule_of("hangs/any", phase, **faulty)]
    return World(endpoints, rules)


def soak_world(upstream: str) -> World:
    """A scripted endpoint under three names: `flaky`, as it is; `flakier`, through a variant; `steady`, which serves instead."""
    limits = RuleLimits(timeout_s=0.5)
    rules = []
    for phase in PHASES:
        rules.append(rule_of("flaky/flaky", phase, fallback="steady/steady", limits=limits))
        rules.append(
            rule_of("flakier/flaky", phase, fallback="steady/steady", limits=limits, variant=get_variant("native_parsed"))
        )
        rules.append(rule_of("steady/steady", phase))
    return World(dict.fromkeys(("flaky", "flakier", "steady"), upstream), rules)


def prepare(folder: Path, world: World) -> tuple[dict[str, str], Path, str]:
    """A home with endpoints, rules and a key: (environment, home, key)."""
    config, home = folder / "own.toml", folder / "home"
    entries = "".join(
        f'[endpoints.{name}]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\n{world.more.get(name, "")}'
        for name, url in world.endpoints.items()
    )
    # An endpoint that always fails would be left alone after five faults; here each of them is measured, and there are fewer than 1000.
    config.write_text(f"[gateway]\nbreaker_faults = 1000\n{entries}", "utf-8")
    environ = {"SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(home)}
    app = App.open(environ=environ, cwd=folder)
    app.home.ensure()
    app.enforcer.apply(world.rules, event="measured", reason="perf/gateway.py")
    key, _ = KeyFile(app.home.keys, app.enforcer.trail).add("perf", scopes=("phase", "variant", "feedback"))
    return environ, home, key


@contextmanager
def our_gateway(folder: Path, world: World, *, core: int = GATEWAY_CORE) -> Iterator[Ours]:
    """`selfopt serve` in a home of its own in front of these upstreams."""
    folder.mkdir(parents=True, exist_ok=True)
    environ, home, key = prepare(folder, world)
    port = free_port()
    child = start("selfopt", [sys.executable, "-m", "selfopt", "serve", "--port", str(port)], folder, core=core, environ=environ)
    try:
        url = f"http://127.0.0.1:{port}"
        ready_s = wait_until_answers(child, f"{url}/ready", 60)
        yield Ours(child, home, url, key, ready_s, environ)
    finally:
        child.end()
