"""The nouns of an open home: its rules, trail, keys, trust, models and variants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfopt.records import AuditRecord, LedgerReport, RoutingConfig, Variant
from selfopt.verbs.keys import add_key, list_keys, revoke_key
from selfopt.verbs.models import list_models, model_status, pull_model, remove_model
from selfopt.verbs.routing import (
    Traced,
    audit_records,
    import_routes,
    roll_back,
    rule_history,
    rules_in_force,
    set_route,
    trace_rule,
)
from selfopt.verbs.tools import Tools
from selfopt.verbs.trusting import TrustProposal, TrustRow, accept_trust, propose_trust, trusted_folders, withdraw_trust
from selfopt.verbs.variants import list_variants, one_variant, render_variant
from selfopt.verbs.verifying import HomeReport, audit_anchor, verify_audit, verify_home, verify_ledger, verify_requests

from .runner import Noun


class Routes(Noun):
    """The rules in force: `selfopt routes`."""

    def show(self) -> RoutingConfig:
        """The rules in force."""
        return rules_in_force(self._app)

    def history(self) -> tuple[Any, ...]:
        """Every version: version, at, cause, reason, changes, in_force, aborted."""
        return rule_history(self._app)

    def set(self, model: str, phase: str, *, allow: bool, fallback: str | None = None, reason: str = "") -> RoutingConfig:
        """Set one rule by hand."""
        return set_route(self._app, model, phase, allow=allow, fallback=fallback, reason=reason)

    def import_file(self, path: str | Path) -> RoutingConfig:
        """Import rules from a JSON file."""
        return import_routes(self._app, Path(path))

    def rollback(self, version: int) -> RoutingConfig:
        """Put an earlier version in force again, as a new one (0: no rules), and let the loop start from what it serves."""
        return self._runner.wait(roll_back(self._app, version))


class Audit(Noun):
    """The audit trail: `selfopt audit`."""

    def show(self, last: int | None = None) -> list[AuditRecord]:
        """The newest records, oldest first; None: all."""
        return audit_records(self._app, last)

    def verify(self) -> Any:
        """The report of checking the trail and the rules: ok, n, head_hash, first_bad_line, torn_tail, reason, problems."""
        return verify_audit(self._app)

    def verify_home(self, anchors: Sequence[str] = ()) -> HomeReport:
        """Everything that vouches for the past: ok, and parts with name, problems and notes. anchors: what `anchor` gave earlier."""
        return verify_home(self._app, anchors)

    def anchor(self) -> str:
        """One line to keep elsewhere, which proves later that the past until now is unchanged."""
        return audit_anchor(self._app)

    def verify_requests(self) -> Any:
        """The report of checking the live requests that the trail seals: ok, n, segments, problems, unsealed, torn."""
        return verify_requests(self._app)

    def verify_ledger(self) -> LedgerReport:
        """The report of checking the ledger against what was committed and sealed: ok, commits, records, blobs, unsealed, faults."""
        return verify_ledger(self._app)

    def trace(self, rule: str) -> Traced:
        """From a rule (its id, or "MODEL PHASE") down to the replies; `faults` and `missing` say what is not as it was committed."""
        return trace_rule(self._app, rule)


class Keys(Noun):
    """API keys of the gateway: `selfopt keys`."""

    def list(self) -> tuple[Any, ...]:
        """All, the revoked ones too: id, name, models, scopes, created_at, revoked_at; never the keys themselves."""
        return list_keys(self._app).keys

    def add(self, name: str, *, models: Sequence[str] = (), scopes: Sequence[Any] = ()) -> tuple[str, Any]:
        """(the key, which is kept nowhere; its entry). models: which may be asked, none for all; scopes: of phase, variant, feedback."""
        return add_key(self._app, name, models=models, scopes=scopes)

    def revoke(self, name: str) -> Any:
        """Make a key invalid for good, by its id or name."""
        return revoke_key(self._app, name)


class Trust(Noun):
    """Project folders whose files count: `selfopt trust`. What changes here counts for a home that is opened afterwards."""

    def propose(self, folder: str | Path | None = None) -> TrustProposal:
        """What a folder asks for (None: the nearest project upwards), to be looked at; nothing is trusted yet."""
        return propose_trust(Path(folder) if folder is not None else None, self._app.environ, self._app.cwd)

    def accept(self, proposal: TrustProposal) -> None:
        """Trust it, exactly as it was proposed."""
        accept_trust(proposal)

    def list(self) -> Sequence[TrustRow]:
        """Every trusted folder and home: kind, folder, at, state, files."""
        return trusted_folders(self._app.environ)

    def withdraw(self, folder: str | Path) -> None:
        """Trust it no more. UsageError where it was not trusted."""
        withdraw_trust(Path(folder), self._app.cwd)


class Models(Noun):
    """Models of the embedded engine, and what servers tell: `selfopt models`."""

    def list(self) -> list[dict[str, Any]]:
        """name, size_bytes, sha256, installed, path of each."""
        return list_models(self._app)

    def pull(self, name: str, show: Callable[[str], None] = lambda text: None) -> Path:
        """Fetch and verify a model; where it is. `show` is told how far it is."""
        return pull_model(self._app, name, show)[0]

    def ps(self, *names: str) -> Sequence[dict[str, Any]]:
        """Is a model loaded? Nothing is loaded by asking."""
        return self._runner.wait(model_status(self._app, names))

    def rm(self, name: str) -> bool:
        """Remove a pulled model; False when it was not there."""
        return remove_model(self._app, name)


class Variants(Noun):
    """`selfopt variants`."""

    def list(self) -> dict[str, Variant]:
        """By name: the catalogue and your own file."""
        return dict(list_variants(self._app))

    def show(self, name: str) -> Variant:
        """One variant."""
        return one_variant(self._app, name)

    def render(self, name: str, prompt: str, *, tools: Tools) -> Sequence[dict[str, Any]]:
        """What a variant would send; nobody is asked."""
        return render_variant(self._app, name, tools, prompt)
