"""Rule files of schema 1: read with the same meaning, sealed as before, never written any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import CorruptError
from selfopt.records import RoutingConfig, Rule
from selfopt.routing import Enforcer
from selfopt.routing.store import parsed_config

from .make import advice, rule, spec

REASON = (
    "a/1 on extended: accuracy 0.9 meets the minimum; a/1 on extended: 3 of 12 prompts fail while the model loads; warm the model up "
    "before the first request; not confirmed yet: run selfopt supervise a/1 extended; served with few_shot (spec-1)"
)
WEAK = rule("a/2", allow=False, fallback="a/1", reason="a/2 on extended: too weak; fallback: a/1 is better", evidence=("run-2",))


@pytest.fixture
def old(enforcer: Enforcer, monkeypatch: pytest.MonkeyPatch) -> Enforcer:
    """A home with versions 1 and 2 in schema 1, as a selfopt of before wrote them."""
    rules = (rule("a/1", warm_up=True, variant=spec("a/1").variant, spec_id="spec-1", reason=REASON), WEAK)
    strong, weak = parsed_config(RoutingConfig(schema_version=1, rules=rules).model_dump(mode="json")).rules
    with monkeypatch.context() as patch:
        patch.setattr("selfopt.routing.enforcer.schema_of", lambda _: 1)
        enforcer.apply([strong, weak], event="loop")
        enforcer.apply(enforcer.load().rules[:1], event="loop")
    return enforcer


def body_of(enforcer: Enforcer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(enforcer.home.routing_config.read_text("utf-8"))
    return found


def without_reasons(rules: tuple[Rule, ...]) -> list[Rule]:
    """What rules do and say, but not how their reasons are kept."""
    return [r.model_copy(update={"reasons": (), "confirmation": None, "since_version": 0}) for r in rules]


def test_a_file_of_schema_1_is_in_force_and_its_reasons_are_told_apart(old: Enforcer) -> None:
    """The seal covers what was written; reading changes no byte."""
    before = old.home.routing_config.read_bytes()
    found = old.look()
    assert (found.config.schema_version, found.said, found.sealed) == (1, "", True)
    (strong,) = old.load().rules
    assert [reason.kind for reason in strong.reasons] == ["gate", "warm_up", "promotion"]
    assert strong.reasons[1].text.endswith("warm the model up before the first request")
    assert strong.confirmation is not None
    assert strong.confirmation.status == "not_confirmed_yet"
    assert strong.reason == REASON
    assert old.verify().ok
    assert old.home.routing_config.read_bytes() == before
    assert "reasons" not in before.decode()


def test_what_does_not_change_anything_leaves_schema_1_in_force(old: Enforcer) -> None:
    """The same rules again are no new version."""
    assert old.apply(old.load().rules).version == 2
    assert body_of(old)["schema_version"] == 1


def test_the_first_change_writes_schema_2_and_seals_it(old: Enforcer) -> None:
    """Every rule of it; a rule that is not touched keeps the version since which it stands."""
    config = old.enforce([advice(3, "a/3")])
    body = body_of(old)
    assert (config.version, body["schema_version"]) == (3, 2)
    assert [r["since_version"] for r in body["rules"]] == [1, 3]
    assert body["rules"][0]["reasons"][0]["kind"] == "gate"
    assert body["rules"][0]["reason"] == REASON
    assert old.verify().ok
    assert json.loads((old.home.routing_versions / "2.json").read_text())["schema_version"] == 1


def test_a_rollback_to_a_version_of_schema_1_writes_its_meaning_in_schema_2(old: Enforcer) -> None:
    """A new version, audited and sealed; the old file stays as it is."""
    kept = (old.home.routing_versions / "1.json").read_bytes()
    config = old.rollback(1)
    assert (config.version, config.schema_version, body_of(old)["schema_version"]) == (3, 2, 2)
    assert without_reasons(config.rules) == without_reasons(old.version(1).rules)
    assert config.rules == tuple(
        r.model_copy(update={"since_version": n.since_version}) for r, n in zip(old.version(1).rules, config.rules, strict=True)
    )
    assert [reason.kind for reason in config.rules[1].reasons] == ["gate"]
    assert old.verify().ok
    assert (old.home.routing_versions / "1.json").read_bytes() == kept


def test_a_missing_file_of_schema_1_is_put_back_as_it_was(old: Enforcer) -> None:
    """Byte for byte, so that its seal holds."""
    before = old.home.routing_config.read_bytes()
    old.home.routing_config.unlink()
    assert old.load().version == 2
    assert old.home.routing_config.read_bytes() == before
    assert old.verify_rules().ok


def test_a_file_of_schema_1_with_fields_of_schema_2_is_refused(old: Enforcer) -> None:
    """No seal of schema 1 covers them."""
    body = body_of(old)
    body["rules"][0]["reasons"] = [{"kind": "manual", "text": "forged", "ids": []}]
    old.home.routing_config.write_text(json.dumps(body))
    with pytest.raises(CorruptError, match="reasons is no field of schema version 1"):
        old.load()


def test_a_file_of_schema_2_that_calls_itself_schema_1_is_not_what_was_sealed(enforcer: Enforcer) -> None:
    """The seal covers the number of the schema as well."""
    enforcer.apply([WEAK], event="set")
    body = body_of(enforcer)
    body["schema_version"] = 1
    enforcer.home.routing_config.write_text(json.dumps(body))
    assert enforcer.look().refused


@pytest.mark.parametrize("schema", [1, 2])
def test_an_edited_copy_of_either_schema_is_imported(old: Enforcer, tmp_path: Path, schema: int) -> None:
    """What a person wrote as the reason is the reason; rules that they left alone keep theirs."""
    if schema == 2:
        old.rollback(1)
    body = json.loads((old.home.routing_versions / f"{1 if schema == 1 else 3}.json").read_text())
    assert body["schema_version"] == schema
    body["rules"][1]["reason"] = "I tried it"
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(body))
    config = old.import_file(copy)
    assert config.schema_version == 2
    assert (config.rules[1].reason, [r.text for r in config.rules[1].reasons]) == ("I tried it", ["I tried it"])
    assert [reason.kind for reason in config.rules[0].reasons] == ["gate", "warm_up", "promotion"]
    assert config.rules[0].reason == REASON
    assert old.verify_rules().ok
