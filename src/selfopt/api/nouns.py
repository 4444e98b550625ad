"""The nouns of an open home: rules, audit trail, keys, trust, models and variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfopt.records import AuditRecord, Ban, LedgerReport, RoutingConfig, ToolMatch, Variant
from selfopt.verbs.keys import add_key, list_keys, revoke_key, set_key
from selfopt.verbs.ledger import ImportedLedger, MigratedLedger, ShownLedger, import_ledger, migrate_ledger, show_ledger
from selfopt.verbs.models import list_models, model_status, pull_model, remove_model
from selfopt.verbs.routing import (
    Traced,
    audit_records,
    bans_in_force,
    import_routes,
    lift_bans,
    roll_back,
    rule_history,
    rules_in_force,
    trace_rule,
)
from selfopt.verbs.ruling import RouteChoice, remove_route, set_route
from selfopt.verbs.tools import Tools
from selfopt.verbs.trusting import TrustProposal, TrustRow, accept_trust, propose_trust, trusted_folders, withdraw_trust
from selfopt.verbs.usage import By, KeyUsage, key_usage
from selfopt.verbs.variants import VariantDifference, diff_variants, list_parts, list_variants, one_variant, render_variant
from selfopt.verbs.verifying import HomeReport, audit_anchor, verify_audit, verify_home, verify_ledger, verify_requests

from .runner import Noun

if TYPE_CHECKING:
    from selfopt.verbs.variants import VariantPart


class Ledgers(Noun):
    """The ledger, in a file or in a database: `selfopt ledger`."""

    def migrate(self, url: str | None = None, *, grant: Sequence[str] = (), gateways: Sequence[str] = ()) -> MigratedLedger:
        """Makes the ledger of a database, or brings it up to date.

        Raises:
            UsageError, StoreError: as `selfopt ledger migrate` says.
        """
        return migrate_ledger(self._app, url, grant=grant, gateways=gateways)

    def import_(self, source: str | Path | None = None) -> ImportedLedger:
        """Moves a ledger file into the database that the settings name.

        Raises:
            UsageError, CorruptError, LockedError, StoreError: as `selfopt ledger import` says.
        """
        return import_ledger(self._app, source)

    def show(self) -> ShownLedger:
        """Returns how large the ledger is, what it holds, and who works under it. StoreError if it cannot be read."""
        return show_ledger(self._app)


class Routes(Noun):
    """The rules in force: `selfopt routes`."""

    def show(self) -> RoutingConfig:
        """Returns the rules in force."""
        return rules_in_force(self._app)

    def history(self) -> tuple[Any, ...]:
        """Lists every version, with version, at, cause, reason, changes, in_force and aborted."""
        return rule_history(self._app)

    def set(
        self,
        model: str,
        phase: str,
        *,
        allow: bool,
        fallback: str | None = None,
        reason: str = "",
        serve_when: str | None = None,
        when: ToolMatch | None = None,
    ) -> RoutingConfig:
        """Sets one rule by hand.

        Args:
            serve_when: the id of a calibration; answers that are not as sure as its threshold go to
                the fallback.
            when: which requests it is about, by their tools; None for all of the model and phase.
        """
        return set_route(self._app, model, phase, RouteChoice(allow, fallback, reason, when, serve_when))

    def remove(self, model: str, phase: str, *, when: ToolMatch | None = None) -> RoutingConfig:
        """Removes the rule of exactly this model, phase and tools."""
        return remove_route(self._app, model, phase, when)

    def import_file(self, path: str | Path) -> RoutingConfig:
        """Imports rules from a JSON file."""
        return import_routes(self._app, Path(path))

    def rollback(self, version: int) -> RoutingConfig:
        """Puts an earlier version in force again, as a new version. The loop then starts from what
        it serves.

        version: 0 means no rules.
        """
        return self._runner.wait(roll_back(self._app, version))

    def bans(self) -> list[Ban]:
        """Lists what was taken back and is not tried again."""
        return bans_in_force(self._app)

    def unban(self, model: str, phase: str | None = None) -> list[Ban]:
        """Lets what was taken back of a model be tried again, and returns it."""
        return self._runner.wait(lift_bans(self._app, model, phase))


class Audit(Noun):
    """The audit trail: `selfopt audit`."""

    def show(self, last: int | None = None) -> list[AuditRecord]:
        """Lists the newest records, the oldest first. last: how many; None means all."""
        return audit_records(self._app, last)

    def verify(self) -> Any:
        """Checks the trail and the rules.

        The report has ok, n, head_hash, first_bad_line, torn_tail, reason and problems.
        """
        return verify_audit(self._app)

    def verify_home(self, anchors: Sequence[str] = ()) -> HomeReport:
        """Checks everything that vouches for the past. The report has ok, and parts with name,
        problems and notes.

        anchors: What `anchor` returned earlier.
        """
        return verify_home(self._app, anchors)

    def anchor(self) -> str:
        """Returns one line to keep elsewhere.

        It proves later that the past until now is unchanged.
        """
        return audit_anchor(self._app)

    def verify_requests(self) -> Any:
        """Checks the live requests that the trail seals.

        The report has ok, n, segments, problems, unsealed and torn.
        """
        return verify_requests(self._app)

    def verify_ledger(self) -> LedgerReport:
        """Checks the ledger against what was committed and sealed.

        The report has ok, commits, records, blobs, unsealed and faults.
        """
        return verify_ledger(self._app)

    def trace(self, rule: str) -> Traced:
        """Traces a rule down to the replies it rests on. `faults` and `missing` say what is not as
        it was committed.

        rule: Its id, or "MODEL PHASE".
        """
        return trace_rule(self._app, rule)


class Keys(Noun):
    """API keys of the gateway: `selfopt keys`."""

    def list(self) -> tuple[Any, ...]:
        """Lists all entries, revoked ones too: id, name, models, scopes, terms, created_at, revoked_at.

        Never the keys.
        """
        return list_keys(self._app).keys

    def add(
        self, name: str, *, models: Sequence[str] = (), scopes: Sequence[Any] = (), terms: Mapping[str, Any] | None = None
    ) -> tuple[str, Any]:
        """Makes a key.

        Args:
            models: Those it may ask; none means all.
            scopes: Of "phase", "variant", "feedback" and "admin".
            terms: `budget_day`, `budget_month`, `on_budget`, `requests_per_minute`, `tokens_per_minute`
                and `labels` by name.

        Returns:
            The key, which is stored nowhere, and its entry.
        """
        return add_key(self._app, name, models=models, scopes=scopes, terms=terms)

    def set(self, name: str, terms: Mapping[str, Any]) -> Any:
        """Changes what a key may use up.

        Args:
            name: Its id or name.
            terms: As of `add`. None takes a limit away, and an empty value a label.

        Returns:
            Its entry.
        """
        return set_key(self._app, name, terms)

    def usage(self, *, by: By = "key", since: str | None = None) -> KeyUsage:
        """Adds up what requests used, cost and saved.

        Args:
            by: "key", "label", "model" (the one asked for) or "day".
            since: The first day, as YYYY-MM-DD in UTC; None for the first of this month.
        """
        return key_usage(self._app, by=by, since=since)

    def revoke(self, name: str) -> Any:
        """Makes a key invalid for good. name: its id or name."""
        return revoke_key(self._app, name)


class Trust(Noun):
    """Project folders whose files count: `selfopt trust`.

    Changes affect homes that are opened afterwards.
    """

    def propose(self, folder: str | Path | None = None) -> TrustProposal:
        """Says what a folder asks for, without trusting it yet.

        folder: None means the nearest project upwards.
        """
        return propose_trust(Path(folder) if folder is not None else None, self._app.environ, self._app.cwd)

    def accept(self, proposal: TrustProposal) -> None:
        """Trusts a folder exactly as it was proposed."""
        accept_trust(proposal)

    def list(self) -> Sequence[TrustRow]:
        """Lists every trusted folder and home, with kind, folder, at, state and files."""
        return trusted_folders(self._app.environ)

    def withdraw(self, folder: str | Path) -> None:
        """Withdraws the trust of a folder. Raises UsageError if it was not trusted."""
        withdraw_trust(Path(folder), self._app.cwd)


class Models(Noun):
    """Models of the embedded engine, and which models servers have loaded: `selfopt models`."""

    def list(self) -> list[dict[str, Any]]:
        """Lists the models, with name, size_bytes, sha256, installed and path."""
        return list_models(self._app)

    def pull(self, name: str, show: Callable[[str], None] = lambda text: None) -> Path:
        """Fetches and verifies a model.

        Returns its path. show: is called with the progress, as text.
        """
        return pull_model(self._app, name, show)[0]

    def ps(self, *names: str) -> Sequence[dict[str, Any]]:
        """Says which models are loaded, without loading any."""
        return self._runner.wait(model_status(self._app, names))

    def rm(self, name: str) -> bool:
        """Removes a pulled model. Returns False if it was not there."""
        return remove_model(self._app, name)


class Variants(Noun):
    """Ways to put tools and prompts to a model: `selfopt variants`."""

    def list(self) -> dict[str, Variant]:
        """Returns the variants of the catalogue and of your own file, by name."""
        return dict(list_variants(self._app))

    def show(self, name: str) -> Variant:
        """Returns one variant."""
        return one_variant(self._app, name)

    def parts(self) -> Sequence[VariantPart]:
        """Returns the parts that points are put together from."""
        return list_parts()

    def diff(self, one: str, other: str) -> Sequence[VariantDifference]:
        """Returns the fields in which two variants differ."""
        return diff_variants(self._app, one, other)

    def render(self, name: str, prompt: str, *, tools: Tools) -> Sequence[dict[str, Any]]:
        """Returns what a variant would send, without sending it."""
        return render_variant(self._app, name, tools, prompt)
