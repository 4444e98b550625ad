"""Models under rules with warm-up: loaded, and asked one thing through the variant that serves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.records import RoutingConfig, Rule
from selfopt.wiring.keep_warm import warmer
from tests.loop.kit import Script, World

COLD: Script = {"latency_ms": 20.0, "load_ms": 700.0, "initially_loaded": False, "default": {"text": "Hm."}}
M = "scripted/m"


def rules(world: World, *variants: str | None, **more: Any) -> RoutingConfig:
    """One rule for each variant."""
    made = []
    with world.app() as app:
        for number, (name, phase) in enumerate(zip(variants, ("atomic", "extended"), strict=False)):
            variant = app.variants[name] if name is not None else None
            entry = {"rule_id": f"r{number}", "model": M, "phase": phase, "allow": True, "warm_up": True, "variant": variant}
            made.append(Rule.model_validate(entry | more))
    return RoutingConfig(rules=tuple(made))


async def asked(world: World, config: RoutingConfig, times: int = 1) -> tuple[list[Any], list[str]]:
    """What the warmer said, and the bodies of the chats that it asked (those that only load are left out)."""
    with world.app() as app:
        assert world.engine is not None
        warm = warmer(app, lambda: config)
        said = [await warm(M) for _ in range(times)]
        return said, [json.dumps(entry.body) for entry in world.engine.journal if not entry.load_only]


async def test_a_model_that_was_loaded_has_read_its_variants_examples_before_anybody_asks(tmp_path: Path) -> None:
    """One chat for each variant that serves it, with the variant's examples in it and one token to answer with; none once it is loaded."""
    world = World(tmp_path / "world", {"m": COLD})
    (first, second), bodies = await asked(world, rules(world, "few_shot_constrained", "gated"), times=2)
    assert (first.load_ms, first.problem) == (pytest.approx(700, abs=1), "")
    assert (second.load_ms, second.problem) == (None, "")
    with world.app() as app:
        examples = [app.variants[name].examples[-1] for name in ("few_shot_constrained", "gated")]
    chats = [body for body in bodies if "What time is it?" in body]
    assert len(chats) == 2
    for body, example in zip(chats, examples, strict=True):
        assert json.dumps(example.messages[-1].content) in body
        assert json.loads(body)["max_tokens"] == 1


@pytest.mark.parametrize(("variant", "more"), [(None, {}), ("gated", {"warm_up": False}), ("gated", {"allow": False})])
async def test_nothing_is_asked_for_rules_that_serve_no_variant_warm(
    tmp_path: Path, variant: str | None, more: dict[str, Any]
) -> None:
    """No variant, no warm-up, not allowed: the model is loaded, as it was asked for, and that is all."""
    world = World(tmp_path / "world", {"m": COLD})
    (said,), bodies = await asked(world, rules(world, variant, **more))
    assert said.problem == ""
    assert not [body for body in bodies if "What time is it?" in body]


async def test_a_first_chat_that_fails_is_told_and_the_load_stands(tmp_path: Path) -> None:
    """The server answers 500 to it."""
    failing = COLD | {"replies": [{"match": {"contains": "What time is it?"}, "fault": {"kind": "status", "status": 500}}]}
    world = World(tmp_path / "world", {"m": failing})
    (said,), _ = await asked(world, rules(world, "gated"))
    assert said.load_ms == pytest.approx(700, abs=1)
    assert "500" in said.problem


async def test_the_gateway_is_told_the_family_that_a_server_knows(tmp_path: Path) -> None:
    """By whoever asks for the model's state: the calls of this model are looked for in its own format first."""
    world = World(tmp_path / "world", {"m": {**COLD, "template": "<tool_call>{{ name }}<arg_key>"}})
    told: dict[str, str] = {}
    config = rules(world, None)
    with world.app() as app:
        await warmer(app, lambda: config, lambda model, status: told.update({model: status.family}))(M)
    assert told == {M: "glm47"}
