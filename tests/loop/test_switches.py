"""What the user switches off stays off, what the user names is followed with a word, and a dry run writes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, NewerSchemaError, UnknownModelError, UsageError
from selfopt.loop import current_baseline, spec_by_id
from selfopt.records import Baseline, Evaluation, Run, Trial
from selfopt.verbs.diagnosing import make_feedback
from selfopt.verbs.looping import parse_target, preview, run_loop
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.verbs.routing import enforce_file, roll_back

from .kit import World, model, suite
from .test_continue import Stopped, stop_at

M, ATOMIC = "scripted/m", "scripted/m atomic native_api"
EXTENDED, BIG = "scripted/m extended native_api", "scripted/big extended native_api"
Make = Callable[..., World]


def contents(folder: Path) -> dict[str, tuple[bytes | None, int, int]]:
    """Every file and folder below, byte for byte, with mode and time of change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.stat()
        found[str(path.relative_to(folder))] = (
            path.read_bytes() if path.is_file() else None,
            facts.st_mode,
            facts.st_mtime_ns if path.is_file() else 0,
        )
    return found


async def test_enforcement_switched_off_writes_no_rule_and_checks_none(world: Make) -> None:
    """Measured, decided, recommended; the loop says that nothing was enforced, and `run` diverts nobody."""
    off = {"enforcement": {"enabled": False}}
    w = world(m=model(), big=model(extended="native"))
    await w.loop(EXTENDED, BIG, settings=off)
    assert not w.rules()
    assert w.said("enforcement") == ["enforcement is switched off: no rule was changed"]
    with w.app(**off) as app:
        assert (await measure_model(app, MeasureRequest(M, "extended"))).spec.model == M
    await w.loop(EXTENDED, BIG)
    (cycle,) = await w.loop(EXTENDED, BIG, settings=off)
    assert cycle.remedies == ()
    with w.app(**off) as app:
        assert (await measure_model(app, MeasureRequest(M, "extended"))).spec.model == M


async def test_warm_up_switched_off_holds_also_for_promoted_specs_and_rules(world: Make) -> None:
    """A rule and a baseline with warm-up are there already; with the switch no run warms up and no rule is added, and without it
    again everything is as before."""
    w = world(m=model(load_ms=2000, initially_loaded=False))
    await w.loop(ATOMIC, cycles=2)
    assert w.rules()[M, "atomic"].warm_up
    off = {"warm_up": {"enabled": False}}
    (cold,) = await w.loop(keys=[(M, "atomic")], settings=off)
    with w.ledger() as ledger:
        assert not any(r.warm_up.status != "off" for r in ledger.read(Run, {"cycle_id": cold.cycle_id}))
        assert not any(e.warm_up for e in ledger.read(Evaluation, {"cycle_id": cold.cycle_id}))
    assert cold.remedies == ()
    (warm,) = await w.loop(keys=[(M, "atomic")])
    assert [(c.claim, c.withdrawn) for c in warm.remedies] == [("warm_up", False)]
    assert w.rules()[M, "atomic"].warm_up


async def test_warm_up_switched_off_from_the_start_is_never_proposed_nor_enforced(world: Make) -> None:
    """A cold start is found, and that is all."""
    w = world({"warm_up": {"enabled": False}}, m=model(load_ms=2000, initially_loaded=False))
    cycles = await w.loop(ATOMIC, cycles=2)
    assert not w.rules()[M, "atomic"].warm_up
    assert not any("warm-up" in r.changed for c in cycles for t in c.targets for r in t.candidates)


async def test_the_extended_gate_switched_off_allows_and_promotes_by_the_other_gates(world: Make) -> None:
    """Measured and allowed, with a stronger model recommended."""
    w = world({"policy": {"extended_gate_enabled": False}}, m=model(), big=model(extended="native"))
    await w.loop(EXTENDED, BIG)
    assert w.rules()[M, "extended"].allow


async def test_a_dry_run_writes_nothing(world: Make) -> None:
    """Not a byte: in a home that does not exist, in a finished one, and in the middle of an interrupted cycle."""
    w = world(m=model("fenced"), big=model(extended="native"))
    with w.app() as app:
        plan = preview(app, [parse_target(app, ATOMIC)])
        assert (plan.continues, plan.abandons) == (None, None)
        assert len(plan.targets[0][2]) == 3
    assert not w.home.exists()
    await w.loop(ATOMIC)
    before = contents(w.home)
    with w.app() as app:
        plan = preview(app, [])
        assert plan.targets[0][1].variant.name == "native_parsed@2"
    assert contents(w.home) == before
    with pytest.raises(Stopped):
        await w.loop(keys=[(M, "atomic")], on_step=stop_at("planned"))
    before = contents(w.home)
    with w.app() as app:
        plan = preview(app, [])
        assert plan.continues == 2
        assert preview(app, [parse_target(app, BIG)]).abandons == 2
    assert contents(w.home) == before


async def test_a_dry_run_shows_the_change_of_rules_that_the_evidence_asks_for(world: Make) -> None:
    """Enforcement was off while it was measured."""
    w = world(m=model(), big=model(extended="native"))
    await w.loop(EXTENDED, BIG, settings={"enforcement": {"enabled": False}})
    before = contents(w.home)
    with w.app() as app:
        changes = preview(app, []).rule_changes
    assert any("deny, fallback scripted/big" in line for line in changes)
    assert contents(w.home) == before
    with w.app() as app:
        await make_feedback(app)
        assert [c.describe() for c in enforce_file(app).changes] == list(changes)


def command(w: World, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of its own process, with the world's settings in a file."""
    config = w.folder / "user.toml"
    config.write_text(
        f'[endpoints.scripted]\nkind = "scripted"\nscript = "{w.script_path}"\nlocal = true\n'
        f'[suites]\natomic = "{w.folder}/small.yaml"\nextended = "{w.folder}/long.yaml"\n[limits]\nretries = 0\n'
    )
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SELFOPT_")}
    environ |= {"SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(w.home), "SELFOPT_DOTENV": "off"}
    return subprocess.run(
        [sys.executable, "-m", "selfopt", *words],
        cwd=w.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_the_commands_dry_run_writes_nothing_and_a_cap_ends_with_exit_code_1(world: Make) -> None:
    """As typed: `loop --dry-run`, `loop --max-trials 5`, and the same without the cap."""
    w = world(m=model("fenced", latency_ms=0))
    w.write()
    words = ("loop", "--baseline", M, "atomic", "native_api")
    dry = command(w, *words, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert len(json.loads(dry.stdout)["targets"][0]["candidates"]) == 3
    assert not w.home.exists()
    capped = command(w, *words, "--max-trials", "5")
    assert capped.returncode == 1
    assert "max_trials = 5 reached" in capped.stderr
    assert "the same command continues it" in capped.stderr
    whole = command(w, *words, "--json")
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout)[0]["trials"] == 33
    before = contents(w.home)
    again = command(w, "loop", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert contents(w.home) == before


async def test_a_baseline_named_later_takes_the_promoted_variant_out_of_the_rule_with_a_word(world: Make) -> None:
    """The rule serves what is measured and judged; that it changes is said and audited."""
    w = world(m=model("fenced"))
    await w.loop(ATOMIC)
    promoted = w.rules()[M, "atomic"]
    await w.loop("scripted/m atomic constrained", max_candidates=0)
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert rule.variant.name == "constrained"
    (said,) = [text for text in w.said("note") if "the baseline that was named" in text]
    assert f"native_parsed@2 ({promoted.spec_id}) is replaced by constrained" in said
    with w.app() as app:
        assert app.enforcer.verify().ok
        record = current_baseline(app.ledger, M, "atomic")
        assert record is not None
        assert (record.source, record.previous_spec_id) == ("flag", promoted.spec_id)


async def test_the_rule_of_a_named_baseline_serves_what_was_measured(world: Make) -> None:
    """Never promoted, yet `run` uses the variant that the verdict to allow rests on."""
    w = world(m=model("fenced"))
    await w.loop("scripted/m atomic native_parsed", max_candidates=0)
    with w.app() as app:
        served = await measure_model(app, MeasureRequest(M, "atomic"))
        record = current_baseline(app.ledger, M, "atomic")
        assert record is not None
        assert served.spec.spec_id == record.spec_id


async def test_an_edited_suite_gives_the_baseline_its_new_content(world: Make) -> None:
    """The promoted variant is kept, measured on the suite as it is now; nothing is compared across the edit."""
    w = world(m=model("fenced"))
    await w.loop(ATOMIC)
    w.write(small=suite("small", "atomic", "Weather in", ("Hello!", "Bye!", "Why?", "How?")))
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    with w.ledger() as ledger:
        records = list(ledger.read(Baseline))
        assert [b.source for b in records] == ["flag", "promotion", "adapted"]
        spec = spec_by_id(ledger, records[-1].spec_id)
        assert spec.variant.name == "native_parsed@2"
    (check,) = cycle.remedies
    assert (check.helped, check.withdrawn) == (None, False)
    assert "has changed in between" in check.detail


@pytest.mark.parametrize(
    ("text", "error"),
    [("{", CorruptError), ('{"schema_version": 99}', NewerSchemaError), ('{"schema_version": 1}', CorruptError)],
)
@pytest.mark.parametrize("name", ["harness_feedback.json", "routing_config.json"])
async def test_an_unreadable_file_is_refused_before_anything_is_measured(
    world: Make, name: str, text: str, error: type[Exception]
) -> None:
    """Named, left as it is, no trial spent."""
    w = world(m=model())
    w.write()
    w.home.mkdir(mode=0o700)
    path = w.home / name
    path.write_text(
        text if name != "routing_config.json" or text != '{"schema_version": 1}' else '{"schema_version": 1, "rules": 3}'
    )
    kept = path.read_bytes()
    with pytest.raises(error, match=name):
        await w.loop(ATOMIC)
    assert path.read_bytes() == kept
    with w.ledger() as ledger:
        assert not list(ledger.read(Trial))


async def test_a_bad_file_of_candidates_is_refused_before_anything_is_measured(world: Make, tmp_path: Path) -> None:
    """Also one that is missing."""
    w = world(m=model())
    path = tmp_path / "candidates.yaml"
    with pytest.raises(UsageError, match="no such file"):
        await w.loop(ATOMIC, candidates=path)
    path.write_text("- variant: nope\n")
    with pytest.raises(UsageError, match="unknown variant"):
        await w.loop(ATOMIC, candidates=path)
    with w.ledger() as ledger:
        assert not list(ledger.read(Trial))


async def test_a_baseline_of_an_endpoint_that_is_gone_is_named(world: Make) -> None:
    """With what to type instead."""
    w = world(m=model())
    await w.loop(ATOMIC, max_candidates=0)
    with w.app() as app:
        settings = app.settings.model_copy(
            update={"endpoints": {k: v for k, v in app.settings.endpoints.items() if k != "scripted"}}
        )
        app.settings = settings
        with pytest.raises(UnknownModelError, match="--baseline"):
            await run_loop(app, [])


async def test_a_rollback_is_not_undone_by_the_next_cycle(world: Make) -> None:
    """The loop starts from what the earlier rules served; what was taken back is not proposed, and going forth works too."""
    w = world(m=model("fenced"))
    await w.loop(ATOMIC)
    promoted = w.rules()[M, "atomic"]
    with w.app() as app:
        assert (await roll_back(app, 0)).rules == ()
        record = current_baseline(app.ledger, M, "atomic")
        assert record is not None
        assert (record.source, record.previous_spec_id) == ("rollback", promoted.spec_id)
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    assert cycle.targets[0].baseline_variant == "native_api"
    assert promoted.spec_id not in {r.spec_id for r in cycle.targets[0].candidates}
    with w.app() as app:
        again = (await roll_back(app, 1)).rule_for(M, "atomic")
        assert again is not None
        assert again.spec_id == promoted.spec_id
        record = current_baseline(app.ledger, M, "atomic")
        assert record is not None
        assert record.spec_id == promoted.spec_id
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    assert cycle.targets[0].baseline_variant == "native_parsed@2"


@pytest.mark.parametrize("cycles", [1, 2])
async def test_a_warm_up_that_was_rolled_back_is_not_recommended_again(world: Make, cycles: int) -> None:
    """Neither by the loop nor by `feedback` and `enforce`; whether or not a cycle has measured with it."""
    w = world(m=model(load_ms=2000, initially_loaded=False))
    await w.loop(ATOMIC, cycles=cycles)
    assert w.rules()[M, "atomic"].warm_up
    with w.app() as app:
        await roll_back(app, 0)
        await make_feedback(app)
        enforce_file(app)
    assert not w.rules()[M, "atomic"].warm_up
    (cycle,) = await w.loop(keys=[(M, "atomic")])
    assert not w.rules()[M, "atomic"].warm_up
    with w.ledger() as ledger:
        assert not any(e.warm_up for e in ledger.read(Evaluation, {"cycle_id": cycle.cycle_id}))


async def test_a_denial_that_was_rolled_back_is_asked_for_again_unless_a_hand_pins_the_opposite(world: Make) -> None:
    """As docs/ROLLBACK.md says: the measurements still ask for it, and a person's word counts more."""
    w = world(m=model(extended="mute"))
    await w.loop(f"{M} extended native_api")
    with w.app() as app:
        await roll_back(app, 0)
        enforce_file(app)
    assert not w.rules()[M, "extended"].allow
    with w.app() as app:
        app.enforcer.set_rule(M, "extended", allow=True)
    await w.loop(keys=[(M, "extended")])
    assert w.rules()[M, "extended"].allow


async def test_a_version_that_is_not_kept_rolls_nothing_back(world: Make) -> None:
    """Neither rules nor baselines."""
    w = world(m=model("fenced"))
    await w.loop(ATOMIC)
    with w.app() as app, pytest.raises(UsageError, match="version 7 is not kept"):
        await roll_back(app, 7)
    with w.ledger() as ledger:
        assert [b.source for b in ledger.read(Baseline)] == ["flag", "promotion"]
