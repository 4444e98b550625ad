"""Rules that a database hands out: what this home knows of them, takes over, and adds.

A home applies them as its own change: its audit trail, its version, its routing_config.json. It
serves by these files, whether the database is there or not.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from selfopt.errors import NewerSchemaError, SelfoptError, StoreError, UsageError
from selfopt.home import Home, atomic_write_text, escape_control, guarded
from selfopt.ledger.postgres_rules import HandedRules, PostgresRules
from selfopt.ledger.postgres_session import driver
from selfopt.records import ROUTING_SCHEMA_VERSION, RoutingConfig, Rule
from selfopt.routing import Enforcer, RuleChange, check_rules, diff, merged
from selfopt.routing.store import parsed_config

logger = logging.getLogger("selfopt.rules")

EVENT = "handed_out"
"""The cause of a change, in the audit trail, that came from the database."""

_LISTEN_S = 0.5
_LOOKS_EVERY = 10  # look even if nothing is told: a connection may be dead without saying so
_AGAIN_S = 0.5
_TRIES = 50  # other nodes that come first, one after another


class HandedOut:
    """The rules of one home and of the database. Several threads and processes may use it.

    Args:
        enforcer: applies what the database hands out, without handing it out again.
        patience_s: how long a database that goes away is waited for. Who follows does not wait.
    """

    def __init__(self, url: str, home: Home, enforcer: Enforcer, *, patience_s: float = 0.0) -> None:
        self._url = url
        self._patience_s = patience_s
        self._home = home
        self._enforcer = enforcer
        self._rules: PostgresRules | None = None
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._follower: threading.Thread | None = None
        self._warned: set[str] = set()

    def take(self) -> bool:
        """Take over the newest version. Returns whether there was a newer one.

        A change that this home made and could not hand out yet stays, unless the newer version changes
        the same rule: then that one counts.

        A version that has no seal, or is no set of rules, is passed over with a warning: the next change of rules
        takes its place.

        Raises:
            AuditError: the database does not hold the version that is known here. Nothing is changed.
            StoreError: the database cannot be used, or a newer selfopt made the version.
        """
        with self._alone():
            known = self._known()
            newest = self._newest(known)
            if newest.version == known.version:
                return False
            try:
                self._take(known, newest, follows=not known.version)
            except _UnreadableError as error:
                if not known.version:
                    raise
                self._warn(f"{error}; the rules before stay")
                return False
            return True

    def refresh(self) -> None:
        """Take over the newest version, or go on with the rules of this home, with a warning, where that cannot be."""
        try:
            self.take()
        except SelfoptError as error:
            self._warn(f"the rules of this home are used, as they were verified last: {error}")

    def _newest(self, known: HandedRules) -> HandedRules:
        source = self._source()
        newest = source.follow(known)
        if source.passed_over:
            numbers = ", ".join(map(str, source.passed_over[:10]))
            self._warn(f"no node takes version {numbers} of the rules in {source.place}: it does not have its seal")
        return newest

    def _warn(self, text: str) -> None:
        """Say something once."""
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s", escape_control(text, 500))

    def _take(self, known: HandedRules, newest: HandedRules, *, follows: bool = False) -> tuple[RuleChange, ...]:
        """Take over a version. Returns changes of this home that it undoes. follows: keep none of them."""
        theirs, lost = _parsed(newest).rules, list[RuleChange]()
        base = _parsed(self._source().body_of(known))

        def rules(current: RoutingConfig) -> Sequence[Rule]:
            if follows:
                return theirs
            found, left_out = merged(base, current, theirs)
            try:
                check_rules(found)
            except UsageError:  # each was possible, but not both
                found, left_out = theirs, diff(base, current)
            lost[:] = left_out
            return found

        why = f"version {newest.version} of {self._source().place}, made by {newest.node}"
        self._enforcer.update(rules, event=EVENT, reason=escape_control(why, 300))
        self._note(newest)
        for change in lost:
            logger.warning("%s of the rules changes a rule that was changed here, too: %s", why, change.describe())
        return tuple(lost)

    def begin_change(self) -> None:
        """Be up to date before a change of the rules: take over what is newer, and add what could not be added before.

        Raises as `take`. Then nothing is changed.
        """
        with self._lock:
            self.take()
            if self._known().version:
                self.add(self._enforcer.load(repair_pending=False))

    def add(self, config: RoutingConfig) -> None:
        """Hand out the rules of this home, unless the database has them.

        What other nodes have changed meanwhile is taken over, and kept: every version follows the one
        that its node has seen. Only what two nodes changed in the same rule is refused to the second.

        Raises StoreError when that fails, or another node has changed the same rule.
        """
        with self._alone():
            for _ in range(_TRIES):
                known = self._known()
                newest = self._newest(known)
                readable = newest.version <= known.version or self._taken_before_adding(known, newest)
                config = self._enforcer.load(repair_pending=False)  # with what others, also of this home, changed meanwhile
                if readable and newest.version and not diff(_parsed(self._source().body_of(newest)), config):
                    return
                if self._added(newest, config):
                    return
        raise StoreError(
            f"version {config.version} of the rules is in force in this home, but was not handed out: other nodes keep changing "
            "rules; the next change of rules hands it out"
        )

    def _taken_before_adding(self, known: HandedRules, newest: HandedRules) -> bool:
        """Take over a version that came meanwhile. Returns False for one that is no set of rules, and is replaced."""
        try:
            lost = self._take(known, newest)
        except _UnreadableError:
            if not known.version:
                raise
            return False
        if lost:
            rule = lost[0].rule
            raise StoreError(
                f"another node changed the rule for {rule.model} {rule.phase} in {self._source().place} meanwhile; its version counts: "
                "look at it, and repeat the command if it is wrong"
            )
        return True

    def _added(self, newest: HandedRules, config: RoutingConfig) -> bool:
        """Add the version that follows the newest one. Returns whether no other node came first."""
        body = {"schema_version": config.schema_version, "rules": config.model_dump(mode="json")["rules"]}
        node = escape_control(f"{socket.gethostname()}:{self._home.root}", 200)
        try:
            made = self._source().add(newest, node, json.dumps(body, sort_keys=True))
            if made is not None:
                self._note(made)
        except StoreError as error:
            raise StoreError(
                f"version {config.version} of the rules is in force in this home, but was not handed out ({error}); the next "
                "change of rules hands it out"
            ) from error
        return made is not None

    def follow(self) -> None:
        """Take over versions from now on, in a thread, within a second after they are made."""
        driver()  # told now, when it is missing
        self._ending = threading.Event()
        self._patience_s = 0.0
        self.refresh()
        self._follower = threading.Thread(target=self._follow, name="rules", daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        fault, looks = "", 0
        while not self._ending.is_set():
            try:
                told = looks % _LOOKS_EVERY == 0
                if told and self.take():
                    logger.info("took over the newest rules of the database")
                if fault:
                    logger.warning("the rules are followed again")
                fault, looks = "", looks + 1
                if self._source().wait(_LISTEN_S):
                    looks = 0
            except SelfoptError as error:
                looks = 0
                if str(error) != fault and not self._ending.is_set():
                    fault = str(error)
                    logger.warning("the rules stay as they were verified last: %s", escape_control(fault, 500))
                self._ending.wait(_AGAIN_S)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads, and other processes of this home, from taking over or adding a version meanwhile."""
        self._home.ensure()
        with self._lock, guarded(self._home.rules_note.with_suffix(".lock"), what="the rules that a database hands out"):
            yield

    def close(self) -> None:
        """End following, and close the connection. May be called twice."""
        self._ending.set()
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.join()
        if self._rules is not None:
            self._rules.close()

    def _source(self) -> PostgresRules:
        if self._rules is None:
            self._rules = PostgresRules(self._url, patience_s=self._patience_s)
        return self._rules

    def _known(self) -> HandedRules:
        # Of another database nothing is known.
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(self._home.rules_note.read_bytes())
            if told["ledger"] == self._source().identity():
                return HandedRules(int(told["version"]), str(told["seal"]))
        return HandedRules()

    def _note(self, newest: HandedRules) -> None:
        told = {"ledger": self._source().ledger_id, "version": newest.version, "seal": newest.seal}
        atomic_write_text(self._home.rules_note, json.dumps(told) + "\n", within=self._home.root)


class _UnreadableError(StoreError):
    """A version that is sealed and is no set of rules: another program made it."""


def _parsed(handed: HandedRules) -> RoutingConfig:
    if not handed.version:
        return RoutingConfig()
    what = f"version {handed.version} of the rules in the database"
    try:
        told = json.loads(handed.body)
        if told["schema_version"] > ROUTING_SCHEMA_VERSION:
            raise NewerSchemaError(
                f"{what} has schema version {told['schema_version']:d}, up to {ROUTING_SCHEMA_VERSION} is read here; update selfopt"
            )
        return parsed_config({**told, "version": handed.version, "generated_at": handed.at})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _UnreadableError(f"{what} is no set of rules ({escape_control(str(error), 200)})") from None
