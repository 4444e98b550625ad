"""The gateway's API keys on disk. The file keeps only a hash of each key, which recognises the key
but cannot replace it.

The audit trail records each new key, and each revocation, before the file does. The file counts
only as far as the trail confirms it: neither adding a key to the file nor removing the file opens
the gateway.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfopt.errors import AuditError, UsageError
from selfopt.records import AuditRecord, canonical_json, sha256_hex, utc_now

from .chain import ChainedFile
from .files import atomic_write_text, guarded, read_model
from .key_terms import NO_TERMS, KeyTerms
from .text import readable_json

KeyScope = Literal["phase", "variant", "feedback", "admin"]
KEY_SCOPES: tuple[KeyScope, ...] = ("phase", "variant", "feedback", "admin")
MAX_KEYS = 1000
_ADDED, _CHANGED, _REVOKED = "key_added", "key_changed", "key_revoked"
_WITH_TERMS = 2  # version of a file with terms; selfopt before 0.3 reads version 1
_WHAT = "the file of API keys"
_START = "sk-selfopt-"
_REPAIRED = "the next `selfopt keys add`, `set` or `revoke` repairs that"


def hash_of_key(key: str) -> str:
    """Returns the SHA-256 of a key, as the file keeps it."""
    # A key has 256 random bits, so guessing needs no slower hash.
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class GatewayKey(BaseModel):
    """One API key, as the file keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^key-[0-9a-f]{8}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    models: tuple[str, ...] | None = None  # full names of the models that it may ask; None for all
    scopes: tuple[KeyScope, ...] = ()
    created_at: str
    revoked_at: str | None = None  # None while it is valid
    terms: KeyTerms = NO_TERMS

    @property
    def seal(self) -> str:
        """SHA-256 of everything about the key that never changes."""
        return sha256_hex(canonical_json(self.model_dump(mode="json", exclude={"revoked_at", "terms"})))


@dataclass(frozen=True, slots=True)
class CheckedKeys:
    """What the file and the audit trail say together."""

    keys: tuple[GatewayKey, ...]  # those that the trail confirms, revoked ones included
    required: bool  # requests need a key, because there has been one
    problems: tuple[str, ...] = ()  # where the file and the trail differ
    numbers: Mapping[str, int] = field(default_factory=dict)  # by id, from 0, in the order in which they were added


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1, 2] = 1
    keys: tuple[GatewayKey, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """The trail's records of each key, by its id; of changes the newest."""

    added: dict[str, AuditRecord] = field(default_factory=dict)
    changed: dict[str, AuditRecord] = field(default_factory=dict)
    revoked: dict[str, AuditRecord] = field(default_factory=dict)

    def terms(self, key_id: str) -> KeyTerms:
        """The terms that were told last. Raises AuditError."""
        told = self.changed.get(key_id) or self.added[key_id]
        try:
            return KeyTerms.model_validate(told.details.get("terms", {}))
        except ValidationError:
            raise AuditError(f"the audit trail's terms of {key_id} cannot be read; see `selfopt audit verify`") from None


class KeyFile:
    """The file of keys (mode 0600) and the audit trail that seals them.

    Processes change the file one at a time.
    """

    def __init__(self, path: Path, trail: ChainedFile, *, clock: Callable[[], str] = utc_now) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")
        self._trail = trail
        self._clock = clock

    def read(self) -> tuple[GatewayKey, ...]:
        """Returns the keys in the file, oldest first; none when it is missing.

        Raises like `read_model`.
        """
        try:
            return read_model(self.path, what=_WHAT, model=_Keys, schema_version=_WITH_TERMS).keys
        except FileNotFoundError:
            return ()

    def check(self) -> CheckedKeys:
        """Compare the file with the trail.

        Raises like `read`, and AuditError when the trail is damaged.
        """
        told = self._told()
        kept, problems = list[GatewayKey](), list[str]()
        entries = self.read()
        for entry in entries:
            name = f"{entry.id} ({entry.name})"
            if entry.id not in told.added:
                problems.append(f"{name} is in the file, but the audit trail never added it: it is not valid")
            elif not _bears_out(told.added[entry.id], entry):
                problems.append(f"{name} was changed since it was added: it is not valid; revoke it and make another")
            else:
                if (entry.revoked_at is None) == (entry.id in told.revoked):
                    said = "is revoked, but not in the file" if entry.id in told.revoked else "is revoked only in the file"
                    problems.append(f"{name} {said}; {_REPAIRED}")
                if (terms := told.terms(entry.id)) != entry.terms:
                    problems.append(f"{name} has other terms in the file than in the audit trail, whose terms hold; {_REPAIRED}")
                record = told.revoked.get(entry.id)
                ended = record.timestamp if record is not None else entry.revoked_at
                kept.append(entry.model_copy(update={"revoked_at": ended, "terms": terms}))
        there = {entry.id for entry in entries}
        problems += [
            f"{key_id} was added, but is not in the file: it is not valid; restore the file, or the next `selfopt keys add` or `revoke` revokes it"
            for key_id in told.added
            if key_id not in there and key_id not in told.revoked
        ]
        numbers = {key_id: number for number, key_id in enumerate(reversed(told.added))}
        return CheckedKeys(tuple(kept), bool(entries or told.added), tuple(problems), numbers)

    def _told(self) -> _Told:
        told = _Told()
        found = {_ADDED: told.added, _CHANGED: told.changed, _REVOKED: told.revoked}
        for record in self._trail.newest_first(b'"event":"key_'):
            key_id = str(record.details.get("key"))
            if record.event in found and (record.event != _CHANGED or key_id not in told.changed):
                found[record.event][key_id] = record
        return told

    def add(
        self,
        name: str,
        *,
        models: Collection[str] | None = None,
        scopes: Collection[KeyScope] = (),
        terms: KeyTerms = NO_TERMS,
    ) -> tuple[str, GatewayKey]:
        """Make a new key. Returns the key itself, which is kept nowhere, and its entry in the file.

        Raises UsageError when the name is empty, too long, not printable or taken by a valid key;
        StoreError when the file cannot be written; otherwise like `check`.
        """
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise UsageError("a key's name must be 1 to 100 printable characters")
        with guarded(self._lock, what=_WHAT):
            keys = self._settled()
            if any(entry.name == name and entry.revoked_at is None for entry in keys):
                raise UsageError(f"a key named {name!r} already exists; choose another name, or revoke that one")
            if len(keys) >= MAX_KEYS:
                raise UsageError(f"there are already {MAX_KEYS} keys, and no more are kept; see `selfopt keys list`")
            key = _START + secrets.token_urlsafe(32)
            entry = GatewayKey(
                id=f"key-{secrets.token_hex(4)}",
                name=name,
                sha256=hash_of_key(key),
                models=None if models is None else tuple(sorted(set(models))),
                scopes=tuple(scope for scope in KEY_SCOPES if scope in scopes),
                created_at=self._clock(),
                terms=terms,
            )
            self._tell(_ADDED, entry)
            self._write((*keys, entry))
        return key, entry

    def revoke(self, name: str) -> GatewayKey:
        """Make a key invalid for good. Returns its entry.

        name: the id or the name of a valid key. Raises UsageError when there is no such key.
        """
        with guarded(self._lock, what=_WHAT):
            keys = self._settled()
            found = _found(keys, name)
            revoked = found.model_copy(update={"revoked_at": self._tell(_REVOKED, found).timestamp})
            self._write(tuple(revoked if entry is found else entry for entry in keys))
        return revoked

    def change(self, name: str, changes: Mapping[str, Any]) -> GatewayKey:
        """Change the terms of a key. Returns its entry.

        Args:
            name: the id or the name of a valid key.
            changes: new values by the names of `KeyTerms`. Labels are added to those it has; an
                empty value takes a label away.

        Raises:
            UsageError: there is no such key, or a value that none may have.
        """
        with guarded(self._lock, what=_WHAT):
            keys = self._settled()
            found = _found(keys, name)
            changes = {**changes}
            if "labels" in changes:
                labels = {**found.terms.labels, **changes["labels"]}
                changes["labels"] = {label: value for label, value in labels.items() if value}
            changed = found.model_copy(update={"terms": found.terms.changed(changes)})
            if changed.terms != found.terms:
                self._tell(_CHANGED, changed)
            self._write(tuple(changed if entry is found else entry for entry in keys))
        return changed

    def _settled(self) -> tuple[GatewayKey, ...]:
        """Finish what a killed command left undone. Returns the keys that the trail confirms.

        A key that never reached the file was shown to nobody: it is revoked. A key that is revoked
        only in the trail or only in the file is revoked in both.
        """
        there = {entry.id: entry for entry in self.read()}
        told = self._told()
        ended = {key_id for key_id, entry in there.items() if entry.revoked_at is not None}
        for key_id in sorted(set(told.added) - set(told.revoked) - (set(there) - ended)):
            self._trail.append(_REVOKED, reason=f"{key_id} is not valid in the file of keys", details={"key": key_id})
        return self.check().keys

    def _tell(self, event: str, entry: GatewayKey) -> AuditRecord:
        told: dict[str, Any] = entry.model_dump(include={"name", "models", "scopes"})
        told.update(key=entry.id, seal=entry.seal)
        if event == _CHANGED or entry.terms != NO_TERMS:
            told["terms"] = entry.terms.told()
        return self._trail.append(event, reason=f"{entry.id} ({entry.name})", details=told)

    def _write(self, keys: tuple[GatewayKey, ...]) -> None:
        body: dict[str, Any] = _Keys(keys=keys).model_dump(mode="json")
        for kept, entry in zip(body["keys"], keys, strict=True):
            kept["terms"] = entry.terms.told()
            if kept["terms"]:
                body["schema_version"] = _WITH_TERMS
            else:
                del kept["terms"]
        atomic_write_text(self.path, readable_json(body, indent=2) + "\n", within=self.path.parent)


def _found(keys: Collection[GatewayKey], name: str) -> GatewayKey:
    """Returns the valid key of that id or name. Raises UsageError."""
    found = next((e for e in keys if e.revoked_at is None and name in (e.id, e.name)), None)
    if found is None:
        known = ", ".join(f"{e.id} ({e.name})" for e in keys if e.revoked_at is None)[:300]
        raise UsageError(f"no valid key has the id or name {name!r}; valid keys: {known or 'none'}")
    return found


def _bears_out(record: AuditRecord, entry: GatewayKey) -> bool:
    """Returns whether this entry is the key that the record added.

    Version 0.1 sealed name, models and scopes only.
    """
    told = record.details
    if "seal" in told:
        return bool(told["seal"] == entry.seal)
    models = list(entry.models) if entry.models is not None else None
    return bool((told.get("name"), told.get("models"), told.get("scopes")) == (entry.name, models, list(entry.scopes)))


def keys_by_hash(keys: Collection[GatewayKey]) -> dict[str, GatewayKey]:
    """Returns the valid keys by their hash, for `matching_key`."""
    return {entry.sha256: entry for entry in keys if entry.revoked_at is None}


def matching_key(keys: Mapping[str, GatewayKey], presented: str) -> GatewayKey | None:
    """Returns the valid key that was presented, or None, however many keys there are.

    keys: of `keys_by_hash`. What the time of a look-up tells is about the hash of what was
    presented. Whoever presents it can't choose it, so it tells nothing about a key.
    """
    digest = hash_of_key(presented)
    found = keys.get(digest)
    return found if found is not None and hmac.compare_digest(found.sha256, digest) else None
