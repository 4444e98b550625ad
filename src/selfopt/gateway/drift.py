"""Watches whether live requests are still like those on which the thresholds of rules were calibrated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field

from selfopt.dialects.chat_body import ChatBody
from selfopt.errors import StoreError, UsageError
from selfopt.home import escape_control
from selfopt.records import RoutingConfig, Rule, Voided, utc_now
from selfopt.records.rule import ShareRise
from selfopt.routing import ThresholdsHeld
from selfopt.stats import RiseDetector, escalations_detector, outcomes_detector
from selfopt.words.rules import rule_text
from selfopt.words.thresholds import rise_text

from .drift_file import DetectorStates, DriftFile, Watched
from .shared_marks import SharedMarks

log = logging.getLogger("selfopt.gateway")
REMEMBERED = 65_536
"""Places for requests whose outcome may be told, and for requests that are not counted again."""
SAVE_S = 60.0
RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class DriftMarks:
    """What all processes know of the requests that were judged.

    Attributes:
        asked: by rule and content. A repeated request tells nothing new.
        served: by rule and id: those that the rule's model answered, and whose outcome was not told yet.
    """

    asked: SharedMarks = field(default_factory=lambda: SharedMarks(REMEMBERED))
    served: SharedMarks = field(default_factory=lambda: SharedMarks(REMEMBERED))


@dataclass(slots=True)
class _Threshold:
    """A threshold that is watched.

    Attributes:
        mark: names the rule as it stands. A rule that is changed begins anew.
        detectors: by what they look at. Without `escalations` where the bound is about tools not seen:
            of these, each may escalate as often as it likes.
        void: whether one of them went off.
    """

    rule: Rule
    mark: str
    calibration_id: str
    detectors: Mapping[Watched, RiseDetector]
    void: bool = False

    @classmethod
    def of(cls, rule: Rule, states: Mapping[str, DetectorStates]) -> _Threshold | None:
        """The threshold of a rule; None if it has none, or a void one. states: of before, by mark."""
        when = rule.serve_when
        if when is None or rule.voided is not None:
            return None
        detectors: dict[Watched, RiseDetector] = {"outcomes": outcomes_detector(when.bound.max_bad_share)}
        if when.bound.claim == "these_tools":
            detectors["escalations"] = escalations_detector(when.bound.n, when.bound.served)
        mark = f"{rule.rule_id} {rule.since_version} {when.calibration_id}"
        for name, state in states.get(mark, {}).items():
            try:
                if name in detectors:
                    detectors[name].resume(state)
            except ValueError as error:
                log.warning("a drift detector of %s begins anew: %s", rule_text(rule), error)
        return cls(rule, mark, when.calibration_id, detectors)

    def named(self, more: bytes) -> tuple[bytes, bytes, bytes]:
        """What a mark is made of, together with a part of a request."""
        return self.rule.rule_id.encode(), self.calibration_id.encode(), more


class DriftWatch:
    """Watches the requests of each rule that serves when sure, and voids the threshold of one that drifts.

    Two shares are watched: of the judged requests those that are not sure enough, against what the
    calibration saw; and of the served ones whose outcome was told those that are wrong, against what
    the bound allows. Several processes each watch what they see. What one of them voids, it voids at
    once for itself, and for all through the rules. Only a new calibration lifts it.

    A request that is, word for word, one of those before counts once: a client that repeats itself
    says nothing new about the rest.
    """

    def __init__(
        self,
        held: ThresholdsHeld,
        void: Callable[[Rule, Voided], object],
        *,
        marks: DriftMarks | None = None,
        file: DriftFile | None = None,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        """Begin; `follow` says what is watched.

        Args:
            held: is told at once what does not hold any more.
            void: puts that into the rules. Called in a thread; raises as `Enforcer.void`.
            marks: what several processes share.
            file: keeps how far the detectors have come; None where nothing does.
        """
        self._held = held
        self._void = void
        self._marks = marks or DriftMarks()
        self._file = file
        self._clock = clock
        self._thresholds: dict[str, _Threshold] = {}
        self._voids: dict[str, int] = {}
        self._told = {"right": 0, "wrong": 0, "unknown": 0}
        self._states: Mapping[str, DetectorStates] = {} if file is None else file.read()
        self._changed = False
        self._saving: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def follow(self, config: RoutingConfig) -> None:
        """Watch these rules from now on. One that is as it was goes on; a changed one begins anew."""
        before, self._thresholds = self._thresholds, {}
        for rule in config.rules:
            known = before.get(rule.rule_id)
            found = known if known is not None and known.rule == rule else _Threshold.of(rule, self._states)
            if found is not None:
                self._thresholds[rule.rule_id] = found
        self._states = {}
        for one in self._thresholds.values():
            for name, detector in one.detectors.items():
                if detector.alarmed and not one.void:  # before a restart, when the rules could not be written
                    self._alarm(one, name, detector)

    def judged(self, rule: Rule, request_id: str, chat: ChatBody, sure: bool) -> None:
        """Take in whether a model was sure enough of its answer. Never waits.

        rule: the one that asked for it, maybe of an earlier version.
        """
        found = self._thresholds.get(rule.rule_id)
        if found is None or found.void or rule.serve_when is None or rule.serve_when.calibration_id != found.calibration_id:
            return
        fields = (bytes(chat.fields[name]) for name in ("messages", "tools") if name in chat.fields)
        asked = self._marks.asked.hashing(*found.named(b""), *fields).digest()
        if asked in self._marks.asked:
            return
        self._marks.asked.add(asked)
        if sure:
            self._marks.served.add(self._served(found, request_id))
        self._add(found, "escalations", rise=not sure)

    def failed(self, rule: Rule, request_id: str) -> None:
        """Take in that an answer could not be served in the end: its outcome is that of another model."""
        found = self._thresholds.get(rule.rule_id)
        if found is not None:
            self._marks.served.discard(self._served(found, request_id))

    def _served(self, found: _Threshold, request_id: str) -> bytes:
        return self._marks.served.hashing(*found.named(request_id.encode())).digest()

    def told(self, request_id: str, right: bool) -> str | None:
        """Take in the outcome of a request. Returns the id of the rule that served it; None if nobody knows.

        Each counts once. Those of a threshold that is void are not known any more.
        """
        for found in self._thresholds.values():
            if self._marks.served.discard(self._served(found, request_id)):
                self._told["right" if right else "wrong"] += 1
                self._add(found, "outcomes", rise=not right)
                return found.rule.rule_id
        self._told["unknown"] += 1
        return None

    def _add(self, found: _Threshold, name: Watched, *, rise: bool) -> None:
        detector = found.detectors.get(name)
        if detector is None or found.void:
            return
        self._changed = True
        if self._saving is None and self._file is not None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_S, self._save)
        if detector.add(rise):
            self._alarm(found, name, detector)

    def _alarm(self, found: _Threshold, name: Watched, detector: RiseDetector) -> None:
        found.void = True
        self._voids[name] = self._voids.get(name, 0) + 1
        seen = ShareRise(usual=detector.usual, of=detector.lately, risen=detector.risen, seen=detector.seen)
        why = rise_text(name, seen)
        voided = Voided(kind=name, calibration_id=found.calibration_id, why=why, at=self._clock(), rise=seen)
        self._held.drifted(found.rule, voided)
        self._begin(self._put_in_rules(found.rule, voided))

    async def _put_in_rules(self, rule: Rule, voided: Voided) -> None:
        """Void the threshold in the rules; again after a minute, where that fails."""
        while not self._closing.is_set():
            try:
                await asyncio.to_thread(self._void, rule, voided)
            except UsageError as gone:  # somebody else was first, with a new calibration or without the rule
                log.warning("the threshold of %s is void in this process alone: %s", rule_text(rule), gone)
                return
            except StoreError as error:
                told = escape_control(str(error), 500)
                log.error("the threshold of %s is void in this process alone, for now: %s", rule_text(rule), told)
            else:
                return
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._closing.wait()
            except TimeoutError:
                continue

    def _begin(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _save(self) -> None:
        self._saving = None
        if self._changed:
            self._begin(self._write())

    async def _write(self) -> None:
        self._changed = False
        states = {one.mark: {name: d.state for name, d in one.detectors.items()} for one in self._thresholds.values()}
        assert self._file is not None
        try:
            await asyncio.to_thread(self._file.write, states)
        except StoreError as error:
            log.warning("a restart will begin the drift detectors anew: %s", escape_control(str(error), 500))

    def lines(self, config: RoutingConfig) -> Iterator[str]:
        """The figures in Prometheus's text format. config: the rules in force."""
        kinds: dict[str, int] = {}
        for rule in config.rules:
            voided = self._held.standing(rule)
            if voided is not None:
                kinds[voided.kind] = kinds.get(voided.kind, 0) + 1
        yield from _figures("selfopt_void_thresholds", "gauge", "Rules whose threshold is void now, by why.", "reason", kinds)
        text = "Thresholds that the traffic of this process voided, by why."
        yield from _figures("selfopt_threshold_voids_total", "counter", text, "reason", self._voids)
        text = "Told outcomes, by whether a threshold served the request and the answer was right."
        yield from _figures("selfopt_told_outcomes_total", "counter", text, "outcome", self._told)
        levels: dict[str, float] = {"escalations": 0.0, "outcomes": 0.0}
        for one in self._thresholds.values():
            for name, detector in one.detectors.items():
                levels[name] = max(levels[name], detector.level)
        text = "How near the nearest drift detector is to its alarm, which goes off at 1."
        yield from _figures("selfopt_drift_level", "gauge", text, "watched", levels)

    async def close(self) -> None:
        """Finish what is being written, and keep how far the detectors are. May be called twice."""
        self._closing.set()
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._changed and self._file is not None:
            await self._write()


def _figures(name: str, kind: str, text: str, label: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    yield from (f'{name}{{{label}="{value}"}} {number:g}' for value, number in sorted(values.items()))
