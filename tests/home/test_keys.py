"""API keys at rest: nothing that is kept can be presented."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from selfopt.errors import AuditError, CorruptError, NewerSchemaError, UsageError
from selfopt.home import ChainedFile, GatewayKey, KeyFile, KeyTerms, keys_by_hash
from selfopt.home import matching_key as matching


def matching_key(keys: tuple[GatewayKey, ...], presented: str) -> GatewayKey | None:
    """The valid key that was presented."""
    return matching(keys_by_hash(keys), presented)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    """An empty one."""
    return KeyFile(tmp_path / "keys.json", ChainedFile(tmp_path / "trail.jsonl"))


def test_a_key_is_recognised_and_not_kept(file: KeyFile) -> None:
    """The file has its hash, mode 0600, and no other key is taken for it."""
    key, entry = file.add("mine", models=["b/y", "a/x"], scopes=["feedback", "phase"])
    other, _ = file.add("other")
    text = file.path.read_text()
    assert key not in text
    assert key.removeprefix("sk-selfopt-") not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert len(key) > 50
    assert key != other
    assert (entry.models, entry.scopes) == (("a/x", "b/y"), ("phase", "feedback"))
    keys = file.read()
    assert matching_key(keys, key) == entry
    for wrong in ("", key[:-1], key + "x", key.upper(), entry.sha256, entry.id, "\ud800"):
        assert matching_key(keys, wrong) is None


def test_a_revoked_key_is_none_and_its_name_is_free(file: KeyFile) -> None:
    """By id or by name; twice is an error that names what is valid."""
    key, entry = file.add("mine")
    with pytest.raises(UsageError, match="already"):
        file.add("mine")
    assert file.revoke("mine").revoked_at is not None
    assert matching_key(file.read(), key) is None
    again, second = file.add("mine")
    assert second.id != entry.id
    assert file.revoke(second.id).name == "mine"
    assert matching_key(file.read(), again) is None
    with pytest.raises(UsageError, match="valid keys: none"):
        file.revoke("mine")


def test_a_key_can_be_an_administrators(file: KeyFile) -> None:
    """The scope is one that no other key has."""
    _, entry = file.add("boss", scopes=["admin"])
    _, other = file.add("mine", scopes=["phase", "variant", "feedback"])
    assert (entry.scopes, "admin" in other.scopes, file.check().problems) == (("admin",), False, ())


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x1b[2J"])
def test_a_name_is_printable(file: KeyFile, name: str) -> None:
    """It is shown in terminals and in the audit trail."""
    with pytest.raises(UsageError):
        file.add(name)
    assert not file.path.exists()


def trail_of(file: KeyFile) -> ChainedFile:
    """The trail that seals these keys."""
    return ChainedFile(file.path.with_name("trail.jsonl"))


def rewrite(file: KeyFile, **changed: object) -> None:
    """Change the first key in the file by hand."""
    body = json.loads(file.path.read_text())
    body["keys"][0].update(changed)
    file.path.write_text(json.dumps(body))


def test_a_change_that_cannot_be_audited_is_not_made(file: KeyFile) -> None:
    """Neither a new key nor the end of one."""
    trail = trail_of(file).path
    trail.mkdir()
    with pytest.raises(AuditError):
        file.add("mine")
    assert file.read() == ()
    trail.rmdir()
    file.add("mine")
    moved = trail.rename(trail.with_name("moved"))
    trail.mkdir()
    with pytest.raises(AuditError):
        file.revoke("mine")
    trail.rmdir()
    moved.rename(trail)
    assert file.read()[0].revoked_at is None


def test_a_key_that_somebody_wrote_into_the_file_opens_nothing(file: KeyFile) -> None:
    """The trail never added it."""
    other = KeyFile(file.path.with_name("other.json"), ChainedFile(file.path.with_name("other.jsonl")))
    key, entry = other.add("smuggled")
    file.add("mine")
    body = json.loads(file.path.read_text())
    body["keys"].append(entry.model_dump(mode="json"))
    file.path.write_text(json.dumps(body))
    checked = file.check()
    assert matching_key(checked.keys, key) is None
    assert [e.name for e in checked.keys] == ["mine"]
    assert entry.id in checked.problems[0]
    file.add("third")
    assert [e.name for e in file.read()] == ["mine", "third"]


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "0" * 64}, {"models": None}, {"scopes": ["phase", "variant"]}, {"name": "yours"}, {"created_at": "2000"}],
    ids=lambda change: next(iter(change)),
)
def test_a_key_that_was_changed_by_hand_opens_nothing(file: KeyFile, changed: dict[str, object]) -> None:
    """Another hash, more models, more scopes: none of it was ever sealed."""
    key, entry = file.add("mine", models=["a/x"], scopes=["phase"])
    assert file.check().problems == ()
    rewrite(file, **changed)
    checked = file.check()
    assert matching_key(checked.keys, key) is None
    assert entry.id in checked.problems[0]
    assert checked.required


def test_a_key_that_is_no_longer_revoked_in_the_file_stays_revoked(file: KeyFile) -> None:
    """The trail knows its end; the next command writes it into the file again."""
    key, entry = file.add("mine")
    file.revoke("mine")
    rewrite(file, revoked_at=None)
    checked = file.check()
    assert matching_key(checked.keys, key) is None
    assert entry.id in checked.problems[0]
    file.add("other")
    assert file.check().problems == ()
    assert file.read()[0].revoked_at is not None


def test_a_key_that_is_revoked_in_the_file_alone_is_over(file: KeyFile) -> None:
    """It opens nothing, verification names it, and the next command puts its end into the trail."""
    key, entry = file.add("mine")
    rewrite(file, revoked_at="2026-01-01T00:00:00.000Z")
    checked = file.check()
    assert matching_key(checked.keys, key) is None
    assert entry.id in checked.problems[0]
    file.add("other")
    assert file.check().problems == ()
    assert [r.event for r in trail_of(file).records()] == ["key_added", "key_revoked", "key_added"]


def test_without_its_file_a_gateway_still_wants_keys(file: KeyFile) -> None:
    """A file that is removed opens no door, and what it held is over once a command has said so."""
    _, entry = file.add("mine")
    text = file.path.read_text()
    file.path.unlink()
    checked = file.check()
    assert (checked.keys, checked.required) == ((), True)
    assert entry.id in checked.problems[0]
    file.add("other")
    assert file.check().problems == ()
    file.path.write_text(text)
    assert [e.revoked_at is None for e in file.check().keys] == [False]


def test_keys_that_0_1_sealed_without_their_hash_are_valid(file: KeyFile) -> None:
    """By name, models and scopes, which its trail does hold."""
    key, entry = file.add("mine", models=["a/x"])
    trail_of(file).path.unlink()
    trail_of(file).head.path.unlink()
    told = {"key": entry.id, "name": entry.name, "models": entry.models, "scopes": entry.scopes}
    trail_of(file).append("key_added", details=told)
    assert matching_key(file.check().keys, key) == entry
    rewrite(file, models=None)
    assert file.check().keys == ()


def test_a_damaged_or_newer_file_is_refused_without_showing_it(file: KeyFile) -> None:
    """And left as it is."""
    key, _ = file.add("mine")
    body = json.loads(file.path.read_text())
    body["keys"][0]["sha256"] = key
    file.path.write_text(json.dumps(body))
    with pytest.raises(CorruptError) as damaged:
        file.add("other")
    assert key not in str(damaged.value)
    file.path.write_text('{"schema_version": 3, "keys": []}')
    with pytest.raises(NewerSchemaError):
        file.read()


BLUE = KeyTerms(budget_day=5, budget_month=50, currency="USD", tokens_per_minute=1000, labels={"team": "blue"})


def test_terms_are_kept_and_change_with_the_trail(file: KeyFile) -> None:
    """What is not named stays, None takes a limit away, and so does an empty label."""
    key, entry = file.add("mine", terms=BLUE)
    assert (entry.terms, file.check().keys[0].terms) == (BLUE, BLUE)
    changed = file.change("mine", {"budget_day": None, "requests_per_minute": 60, "labels": {"team": "", "use": "batch"}})
    expected = BLUE.model_copy(update={"budget_day": None, "requests_per_minute": 60, "labels": {"use": "batch"}})
    assert changed.terms == expected
    checked = file.check()
    assert (checked.keys, checked.problems) == ((changed,), ())
    assert matching_key(checked.keys, key) == changed
    assert [record.event for record in trail_of(file).records()] == ["key_added", "key_changed"]
    file.change("mine", {"requests_per_minute": 60})  # nothing new
    assert len(list(trail_of(file).records())) == 2
    with pytest.raises(UsageError, match="no valid key"):
        file.change("yours", {"budget_day": 1})


def test_terms_in_the_file_count_for_nothing_without_the_trail(file: KeyFile) -> None:
    """The key stays valid under the terms that were sealed, and the next command writes these again."""
    key, entry = file.add("mine", terms=BLUE)
    for other in ({"budget_day": 5000.0}, {}):
        rewrite(file, terms=other)
        checked = file.check()
        assert matching_key(checked.keys, key) == entry
        assert "other terms" in checked.problems[0]
        file.change("mine", {"labels": {"team": "blue"}})
        assert file.check().problems == ()
    assert file.read() == (entry,)


def test_a_change_that_was_killed_before_the_file_holds(file: KeyFile) -> None:
    """The trail is written first."""
    _, entry = file.add("mine")
    trail_of(file).append("key_changed", details={"key": entry.id, "terms": {"budget_day": 1.0}})
    assert file.check().keys[0].terms == KeyTerms(budget_day=1)


def test_a_file_without_terms_is_one_that_older_versions_read(file: KeyFile) -> None:
    """Schema version 1, and no field that they don't know; with terms it is version 2."""
    file.add("mine")
    body = json.loads(file.path.read_text())
    assert (body["schema_version"], set(body["keys"][0])) == (
        1,
        {"id", "name", "sha256", "models", "scopes", "created_at", "revoked_at"},
    )
    file.change("mine", {"budget_day": 0})
    assert json.loads(file.path.read_text())["schema_version"] == 2
    file.change("mine", {"budget_day": None})
    assert json.loads(file.path.read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"budget_day": -1},
        {"budget_month": float("nan")},
        {"budget_month": float("inf")},
        {"requests_per_minute": 0},
        {"tokens_per_minute": 1.5},
        {"labels": {"Team": "blue"}},
        {"labels": {"team": "b\x1b[2J"}},
        {"labels": {f"l{n}": "x" for n in range(17)}},
    ],
    ids=repr,
)
def test_terms_that_make_no_sense_are_refused(file: KeyFile, changes: dict[str, object]) -> None:
    """On one line, and nothing is changed."""
    _, entry = file.add("mine")
    with pytest.raises(UsageError) as refused:
        file.change("mine", changes)
    assert "\n" not in str(refused.value)
    assert file.read() == (entry,)


def test_keys_are_numbered_in_the_order_in_which_they_were_added(file: KeyFile) -> None:
    """A number never goes to another key, also when one is revoked."""
    ids = [file.add(name)[1].id for name in "abc"]
    file.revoke("b")
    file.change("a", {"budget_day": 1})
    ids.append(file.add("d")[1].id)
    assert file.check().numbers == {key_id: number for number, key_id in enumerate(ids)}
