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
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from selfopt.errors import UsageError
from selfopt.records import AuditRecord, canonical_json, sha256_hex, utc_now

from .chain import ChainedFile
from .files import atomic_write_text, guarded, read_model
from .text import readable_json

KeyScope = Literal["phase", "variant", "feedback", "admin"]
KEY_SCOPES: tuple[KeyScope, ...] = ("phase", "variant", "feedback", "admin")
MAX_KEYS = 1000
_ADDED, _REVOKED = "key_added", "key_revoked"
_WHAT = "the file of API keys"
_START = "sk-selfopt-"


def _hash_of(key: str) -> str:
    """Returns the SHA-256 of a key. A key has 256 random bits, so guessing needs no slower hash."""
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

    @property
    def seal(self) -> str:
        """SHA-256 of everything about the key that never changes."""
        return sha256_hex(canonical_json(self.model_dump(mode="json", exclude={"revoked_at"})))


@dataclass(frozen=True, slots=True)
class CheckedKeys:
    """What the file and the audit trail say together."""

    keys: tuple[GatewayKey, ...]  # those that the trail confirms, revoked ones included
    required: bool  # requests need a key, because there has been one
    problems: tuple[str, ...] = ()  # where the file and the trail differ


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    keys: tuple[GatewayKey, ...] = ()


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
            return read_model(self.path, what=_WHAT, model=_Keys).keys
        except FileNotFoundError:
            return ()

    def check(self) -> CheckedKeys:
        """Compare the file with the trail.

        Raises like `read`, and AuditError when the trail is damaged.
        """
        added, revoked = self._sealed()
        kept, problems = list[GatewayKey](), list[str]()
        entries = self.read()
        for entry in entries:
            name = f"{entry.id} ({entry.name})"
            if entry.id not in added:
                problems.append(f"{name} is in the file, but the audit trail never added it: it is not valid")
            elif not _bears_out(added[entry.id], entry):
                problems.append(f"{name} was changed since it was added: it is not valid; revoke it and make another")
            else:
                if (entry.revoked_at is None) == (entry.id in revoked):
                    said = "is revoked, but not in the file" if entry.id in revoked else "is revoked only in the file"
                    problems.append(f"{name} {said}; the next `selfopt keys add` or `revoke` repairs that")
                record = revoked.get(entry.id)
                kept.append(entry.model_copy(update={"revoked_at": record.timestamp if record is not None else entry.revoked_at}))
        there = {entry.id for entry in entries}
        problems += [
            f"{key_id} was added, but is not in the file: it is not valid; restore the file, or the next `selfopt keys add` or `revoke` revokes it"
            for key_id in added
            if key_id not in there and key_id not in revoked
        ]
        return CheckedKeys(tuple(kept), bool(entries or added), tuple(problems))

    def _sealed(self) -> tuple[dict[str, AuditRecord], dict[str, AuditRecord]]:
        """Returns the trail's records of added keys and of revoked keys, each by key id."""
        found: dict[str, dict[str, AuditRecord]] = {_ADDED: {}, _REVOKED: {}}
        for record in self._trail.newest_first(b'"event":"key_'):
            if record.event in found:
                found[record.event][str(record.details.get("key"))] = record
        return found[_ADDED], found[_REVOKED]

    def add(
        self, name: str, *, models: Collection[str] | None = None, scopes: Collection[KeyScope] = ()
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
                sha256=_hash_of(key),
                models=None if models is None else tuple(sorted(set(models))),
                scopes=tuple(scope for scope in KEY_SCOPES if scope in scopes),
                created_at=self._clock(),
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
            found = next((e for e in keys if e.revoked_at is None and name in (e.id, e.name)), None)
            if found is None:
                known = ", ".join(f"{e.id} ({e.name})" for e in keys if e.revoked_at is None)[:300]
                raise UsageError(f"no valid key has the id or name {name!r}; valid keys: {known or 'none'}")
            revoked = found.model_copy(update={"revoked_at": self._tell(_REVOKED, found).timestamp})
            self._write(tuple(revoked if entry is found else entry for entry in keys))
        return revoked

    def _settled(self) -> tuple[GatewayKey, ...]:
        """Finish what a killed command left undone. Returns the keys that the trail confirms.

        A key that never reached the file was shown to nobody: it is revoked. A key that is revoked
        only in the trail or only in the file is revoked in both.
        """
        there = {entry.id: entry for entry in self.read()}
        added, revoked = self._sealed()
        ended = {key_id for key_id, entry in there.items() if entry.revoked_at is not None}
        for key_id in sorted(set(added) - set(revoked) - (set(there) - ended)):
            self._trail.append(_REVOKED, reason=f"{key_id} is not valid in the file of keys", details={"key": key_id})
        return self.check().keys

    def _tell(self, event: str, entry: GatewayKey) -> AuditRecord:
        told = {"key": entry.id, "name": entry.name, "models": entry.models, "scopes": entry.scopes, "seal": entry.seal}
        return self._trail.append(event, reason=f"{entry.id} ({entry.name})", details=told)

    def _write(self, keys: tuple[GatewayKey, ...]) -> None:
        atomic_write_text(
            self.path, readable_json(_Keys(keys=keys).model_dump(mode="json"), indent=2) + "\n", within=self.path.parent
        )


def _bears_out(record: AuditRecord, entry: GatewayKey) -> bool:
    """Returns whether this entry is the key that the record added.

    Version 0.1 sealed name, models and scopes only.
    """
    told = record.details
    if "seal" in told:
        return bool(told["seal"] == entry.seal)
    models = list(entry.models) if entry.models is not None else None
    return bool((told.get("name"), told.get("models"), told.get("scopes")) == (entry.name, models, list(entry.scopes)))


def matching_key(keys: Collection[GatewayKey], presented: str) -> GatewayKey | None:
    """Returns the valid key that was presented, or None.

    Compares with all keys, each in constant time.
    """
    digest = _hash_of(presented)
    found = None
    for entry in keys:
        if hmac.compare_digest(entry.sha256, digest) and entry.revoked_at is None:
            found = entry
    return found
