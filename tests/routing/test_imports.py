"""Rules from a file that a person wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.errors import NewerSchemaError, UnknownModelError, UsageError
from selfopt.routing import Enforcer

from .make import advice

ALIASES = {"lfm2.5-thinking:1.2b": "ollama/lfm2.5-thinking:1.2b", "haiku": "anthropic/claude-haiku-4-5"}

SPECIFICATION_EXAMPLE = """
{
  "rules": [
    {"model": "lfm2.5-thinking:1.2b", "phase": "extended", "allow": false},
    {"model": "lfm2.5-thinking:1.2b", "phase": "atomic", "allow": true}
  ]
}
"""


def resolve(name: str) -> str:
    if "/" in name:
        return name
    if name not in ALIASES:
        raise UnknownModelError(f"unknown model {name}")
    return ALIASES[name]


def write(folder: Path, text: str) -> Path:
    path = folder / "rules.json"
    path.write_text(text)
    return path


def test_the_specifications_example_loads(enforcer: Enforcer, tmp_path: Path) -> None:
    """As it stands there; its aliases resolved; a second time changes nothing."""
    path = write(tmp_path, SPECIFICATION_EXAMPLE)
    config = enforcer.import_file(path, resolve=resolve)
    assert [(r.model, r.phase, r.allow, r.source) for r in config.rules] == [
        ("ollama/lfm2.5-thinking:1.2b", "atomic", True, "import"),
        ("ollama/lfm2.5-thinking:1.2b", "extended", False, "import"),
    ]
    assert enforcer.import_file(path, resolve=resolve).version == 1


def test_the_short_form_keeps_other_rules_and_details(enforcer: Enforcer, tmp_path: Path) -> None:
    """It sets what it names; fallback, reason and warm-up may be given; others stay."""
    enforcer.enforce([advice(1, "ollama/other", fallback="a/2")])
    path = write(
        tmp_path,
        '{"rules": [{"model": "haiku", "phase": "extended", "allow": false, "fallback": "lfm2.5-thinking:1.2b",'
        ' "reason": "costs", "warm_up": true}]}',
    )
    config = enforcer.import_file(path, resolve=resolve)
    assert len(config.rules) == 2
    made = config.rule_for("anthropic/claude-haiku-4-5", "extended")
    assert made is not None
    assert (made.fallback, made.reason, made.warm_up) == ("ollama/lfm2.5-thinking:1.2b", "costs", True)


def test_an_edited_configuration_replaces_all_rules(enforcer: Enforcer, tmp_path: Path) -> None:
    """The exported file, edited, is the whole new set; manual rules stay manual."""
    enforcer.enforce([advice(1, "a/1"), advice(2, "a/2")])
    enforcer.set_rule("a/3", "atomic", allow=False)
    body = json.loads(enforcer.home.routing_config.read_text())
    body["rules"] = [r for r in body["rules"] if r["model"] != "a/2"]
    body["rules"][0]["allow"] = True
    config = enforcer.import_file(write(tmp_path, json.dumps(body)))
    assert [(r.model, r.allow, r.source) for r in config.rules] == [("a/1", True, "import"), ("a/3", False, "manual")]
    assert enforcer.verify().ok


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", UsageError, "not valid JSON"),
        ("[]", UsageError, "not an object"),
        ("{}", UsageError, "rules: Field required"),
        ('{"rules": 1}', UsageError, "rules"),
        ('{"rules": [], "more": 1}', UsageError, "more"),
        (
            '{"rules": [{"model": "a/1", "phase": "middle", "allow": true}]}',
            UsageError,
            r"rules\[0\]\.phase.*'atomic' or 'extended'",
        ),
        ('{"rules": [{"model": "a/1", "phase": "atomic", "allow": "no"}]}', UsageError, r"rules\[0\]\.allow"),
        ('{"rules": [{"model": "a/1", "phase": "atomic", "allow": true, "x": 1}]}', UsageError, r"rules\[0\]\.x"),
        ('{"rules": [{"model": "nobody", "phase": "atomic", "allow": true}]}', UnknownModelError, "nobody"),
        (
            '{"rules": [{"model": "haiku", "phase": "atomic", "allow": true},'
            ' {"model": "anthropic/claude-haiku-4-5", "phase": "atomic", "allow": false}]}',
            UsageError,
            "two rules",
        ),
        ('{"rules": [{"model": "a/1", "phase": "atomic", "allow": false, "fallback": "a/1"}]}', UsageError, "circle"),
        ('{"schema_version": 99, "rules": []}', NewerSchemaError, "99"),
        ('{"schema_version": "1", "rules": []}', UsageError, "schema_version"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    enforcer: Enforcer, tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    """The entry is named, and nothing is changed."""
    with pytest.raises(error, match=said) as caught:
        enforcer.import_file(write(tmp_path, text), resolve=resolve)
    assert str(caught.value).isprintable()
    assert enforcer.load().version == 0
    assert not enforcer.home.audit_trail.exists()


def test_a_missing_file_is_a_usage_error(enforcer: Enforcer, tmp_path: Path) -> None:
    """Exit code 2, the path named."""
    with pytest.raises(UsageError, match="none"):
        enforcer.import_file(tmp_path / "none.json")
