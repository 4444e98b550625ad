"""The rules in force, as one immutable version, and the watch over their file."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from selfopt.errors import StoreError, UsageError
from selfopt.home import escape_control
from selfopt.records import NO_TOOLS, Phase, RouteDecision, RoutingConfig, ServeWhen, ToolOffer
from selfopt.routing import (
    InForce,
    RouteOptions,
    check_escalations,
    check_finer,
    check_rules,
    standby_decisions,
    validate_model_phase_compatibility,
)
from selfopt.variants import options_of
from selfopt.words.rules import no_tools_text

log = logging.getLogger("selfopt.gateway")
MAX_REMEMBERED = 4096
# Decisions about requests with longer names of tools are not remembered, so that clients can't fill the memory.
MAX_NAMES_CHARS = 4096
Candidates = Mapping[Phase, Sequence[str]]


class RulesInForce:
    """One version of the rules. A request takes it once and keeps it to its end."""

    __slots__ = ("_decided", "_options", "_standbys", "_sticky", "config")

    def __init__(self, config: RoutingConfig, options: RouteOptions, candidates: Candidates) -> None:
        """Raises VariantError when a rule's variant cannot be used here, and UsageError when what is not
        sure has nowhere to go (`check_escalations`).
        """
        check_finer(config.rules)
        if options.enabled:
            check_escalations(config.rules, options)
        for rule in config.rules:
            if rule.variant is not None:
                options_of(rule.variant)
            if rule.serve_when is not None and rule.serve_when.second is not None:
                options_of(rule.serve_when.second.variant)
        self.config = config
        self._options = options
        self._sticky = any(rule.serve_when is not None and rule.serve_when.sticky for rule in config.rules)

        @lru_cache(MAX_REMEMBERED)
        def decided(model: str, phase: Phase, calls_tools: bool, tools: ToolOffer = NO_TOOLS) -> RouteDecision:
            found = validate_model_phase_compatibility(config, model, phase, options=options, tools=tools)
            return found if calls_tools or found.rule is None or found.model == model else _as_addressed(found)

        @lru_cache(MAX_REMEMBERED)
        def standbys(model: str, phase: Phase, calls_tools: bool, tools: ToolOffer = NO_TOOLS) -> tuple[RouteDecision, ...]:
            now = self.decide(model, phase, calls_tools=calls_tools, tools=tools)
            return standby_decisions(config, now, options=options, candidates=candidates.get(phase, ()), tools=tools)

        self._decided, self._standbys = decided, standbys

    @property
    def finer(self) -> bool:
        """Whether a rule looks at the tools of a request. Otherwise no decision needs them."""
        return self.config.finer

    def decide(self, model: str, phase: Phase, *, calls_tools: bool = True, tools: ToolOffer = NO_TOOLS) -> RouteDecision:
        """Return the decision for a model, by its full name. Decisions are cached.

        Args:
            calls_tools: whether the request offers tools or its history has calls.
            tools: what it offers; not looked at unless the rules are `finer`.
        """
        if not self.config.finer:
            return self._decided(model, phase, calls_tools)
        decided = self._decided if _is_short(tools) else self._decided.__wrapped__
        return decided(model, phase, calls_tools, tools)

    def standbys(
        self, decision: RouteDecision, *, calls_tools: bool = True, tools: ToolOffer = NO_TOOLS
    ) -> tuple[RouteDecision, ...]:
        """Return who may serve instead if the decided model fails, in order. tools: as of `decide`."""
        if not self.config.finer:
            return self._standbys(decision.original_model, decision.phase, calls_tools)
        standbys = self._standbys if _is_short(tools) else self._standbys.__wrapped__
        return standbys(decision.original_model, decision.phase, calls_tools, tools)

    def serve_when(self, decision: RouteDecision) -> ServeWhen | None:
        """Return how sure the decided model has to be; None if all of its answers are served."""
        rule = decision.serving_rule
        if rule is None or decision.outcome == "forced" or not self._options.enabled:
            return None
        return rule.serve_when

    def stronger(self, decision: RouteDecision, *, tools: ToolOffer = NO_TOOLS) -> tuple[RouteDecision, ...]:
        """Return who answers if the decided model is not sure, in order: the fallbacks of its rule, and nobody else."""
        return standby_decisions(self.config, decision, options=self._options, tools=tools)

    @property
    def sticky(self) -> bool:
        """Whether conversations may stay with a stronger model."""
        return self._sticky

    def kept_with(self, decision: RouteDecision, *, tools: ToolOffer = NO_TOOLS) -> tuple[RouteDecision, ...]:
        """Return who goes on with a conversation that a stronger model answered before, in order.

        A tool loop is another phase than its first request. If no rule of this phase names a
        stronger model, that of the other phase does.
        """
        found = self.stronger(decision, tools=tools)
        if found or decision.model is None or decision.outcome == "forced":
            return found
        other: Phase = "atomic" if decision.phase == "extended" else "extended"
        rule = self.config.rule_for(decision.model, other, self._options.one_name, tools)
        if rule is None or rule.serve_when is None:
            return ()
        return self.stronger(decision.model_copy(update={"serving_rule": rule}), tools=tools)


def _is_short(tools: ToolOffer) -> bool:
    return sum(map(len, tools.names)) <= MAX_NAMES_CHARS


def _as_addressed(found: RouteDecision) -> RouteDecision:
    """Return the decision about a request without tools.

    Rules say how well a model calls tools, so it goes where it is addressed. It keeps the limits
    and the fallback of its model's rule.
    """
    update = {
        "outcome": "allow",
        "model": found.original_model,
        "rule": None,
        "serving_rule": found.rule,
        "reason": no_tools_text(),
    }
    return found.model_copy(update={**update, "skipped": (), "crosses_to_remote": False})


Stamp = tuple[int, int, int, int] | None


class RulesWatch:
    """Holds the version in force, and follows the rules' file.

    A file that cannot be used, or is not the newest version that the audit trail sealed, is refused
    with one error in the log. The earlier version stays in force.

    Attributes:
        current: the version in force.
        faults: how many files were refused.
        fault: why the newest file was refused; empty if it was not.
    """

    def __init__(
        self,
        path: Path,
        config: RoutingConfig,
        options: RouteOptions,
        *,
        poll_s: float,
        read: Callable[[int], InForce],
        candidates: Candidates | None = None,
        changed: Callable[[RulesInForce], None] = lambda rules: None,
    ) -> None:
        """Begin with a version; `start` begins to watch.

        Args:
            path: the rules' file.
            config: the rules in force.
            options: of decisions.
            poll_s: how often the file is looked at.
            read: given the newest known version number, returns the rules in force. Called in a
                thread when the file changed.
            candidates: full names of the settings' fallback candidates, by phase.
            changed: called on the loop with every new version.
        """
        self._path = path
        self._read = read
        self._options = options
        self._candidates = candidates or {}
        self._poll_s = poll_s
        self._changed = changed
        self._stamp = _stamp(path)
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self.current = RulesInForce(config, options, self._candidates)
        self.faults = 0
        self.fault = ""

    def start(self) -> None:
        """Begin to watch."""
        self._timer = asyncio.get_running_loop().call_later(self._poll_s, self._tick)

    def _tick(self) -> None:
        if self._reading is None or self._reading.done():
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reading = asyncio.get_running_loop().create_task(self.reload())
        self.start()

    async def reload(self) -> None:
        """Read the file now, and put it in force if it can be used."""
        now = self.current.config
        try:
            # The number of rules that no trail sealed does not count.
            found = await asyncio.to_thread(self._read, now.version if now.audit_hash else 0)
            check_rules(found.config.rules)
            if found.config.version == 0 and now.version:
                raise StoreError(f"{self._path} is missing; restore it: any `selfopt routes` command does")
            rules = RulesInForce(found.config, self._options, self._candidates)
        except (StoreError, UsageError) as error:
            self._refuse(str(error))
            return
        if found.refused or found.put_back:
            self._refuse(found.said)
        else:
            self.fault = ""
        if found.config != now:
            if found.said and not self.fault:
                log.warning("%s", escape_control(found.said, 1000))
            self.current = rules
            log.info("rules version %d is in force (before: %d)", found.config.version, now.version)
            self._changed(self.current)

    def _refuse(self, why: str) -> None:
        self.faults += 1
        self.fault = why
        log.error(
            "the changed rules are refused, version %d stays in force: %s", self.current.config.version, escape_control(why, 1000)
        )

    def close(self) -> None:
        """Stop watching. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()


def _stamp(path: Path) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)
