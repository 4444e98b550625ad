"""API keys at rest: nothing that is kept can be presented."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, NewerSchemaError, StoreError, UsageError
from selfopt.home import GatewayKey, KeyFile, matching_key


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    """An empty one."""
    return KeyFile(tmp_path / "keys.json")


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
    with pytest.raises(UsageError, match="valid are: none"):
        file.revoke("mine")


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x1b[2J"])
def test_a_name_is_printable(file: KeyFile, name: str) -> None:
    """It is shown in terminals and in the audit trail."""
    with pytest.raises(UsageError):
        file.add(name)
    assert not file.path.exists()


def test_what_is_told_before_can_stop_it(file: KeyFile) -> None:
    """A change that cannot be audited is not made."""

    def refuse(entry: GatewayKey) -> None:
        raise StoreError("no")

    with pytest.raises(StoreError):
        file.add("mine", before=refuse)
    assert file.read() == ()
    file.add("mine")
    with pytest.raises(StoreError):
        file.revoke("mine", before=refuse)
    assert file.read()[0].revoked_at is None


def test_a_damaged_or_newer_file_is_refused_without_showing_it(file: KeyFile) -> None:
    """And left as it is."""
    key, _ = file.add("mine")
    body = json.loads(file.path.read_text())
    body["keys"][0]["sha256"] = key
    file.path.write_text(json.dumps(body))
    with pytest.raises(CorruptError) as damaged:
        file.add("other")
    assert key not in str(damaged.value)
    file.path.write_text('{"schema_version": 2, "keys": []}')
    with pytest.raises(NewerSchemaError):
        file.read()
