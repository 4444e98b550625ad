"""The gates about races, held-out tests and restraint. Silent under the plain policy."""

from __future__ import annotations

from dataclasses import replace

from selfopt.records import PromptEvidence, RaceEvidence
from selfopt.words.evidence import standing_text

from .base import GateCase, Look, PlainGate


class EvidenceGate:
    """Promotes a candidate that won its race, rejects one that lost, and holds otherwise.

    If both specs are deterministic, the difference on the suite is known, and other gates decide
    whether it is a gain. If a race was wanted but did not take place, this gate is a precondition:
    the other gates see only a few passes of a spec whose repeats differ, and chance may have made
    the difference.
    """

    name = "evidence"

    def look(self, case: GateCase) -> Look | None:
        """None for a first baseline, which replaces nothing."""
        state = case.evidence
        if state is None or case.baseline is None:
            return None
        if state.race is not None:
            return _of_race(state.race, undecided="not_enough_evidence")
        if all(side.has_copies for side in case.sides):
            known = "both are deterministic: the difference on this suite is known"
            return Look("exact", "exact", True, known, reason_code="not_enough_evidence")
        missing = state.not_raced
        code, why = (missing.code, missing.detail) if missing is not None else ("not_enough_evidence", "")
        return replace(_nothing(why), reason_code=code, precondition=missing is not None)


def _nothing(why: str) -> Look:
    return Look(None, None, None, f"no evidence was gathered{f': {why}' if why else ''}")


def _of_race(race: RaceEvidence, *, lost: str | None = None, undecided: str) -> Look:
    detail = f"log E {race.log_e:.2f} of {race.log_e_needed:.2f} needed, after {race.n_pairs} pairs"
    seen = Look(race.log_e, race.log_e_needed, True if race.state == "promoted" else None, detail, reason_code=undecided)
    if race.state == "dropped":
        return replace(
            seen, passed=False, detail=f"{detail}; dropped: {race.why}", reason_code=lost or race.why, on_fail="reject"
        )
    told = standing_text(race) if race.state == "held" else ""
    more = f"about {race.more_trials} more trials would decide" if race.more_trials is not None else ""
    return replace(seen, detail="; ".join(part for part in (detail, told, more) if part))


class HeldoutGate:
    """A claim about prompts outside the suite needs a held-out test that passed."""

    name = "heldout"

    def look(self, case: GateCase) -> Look | None:
        """None if the decision is about this suite only."""
        state = case.evidence
        if state is None or case.baseline is None or state.claim != "prompts_like_these":
            return None
        found = state.heldout
        if state.not_tried is not None:
            return Look(None, None, None, state.not_tried, reason_code="not_tried_on_heldout")
        if isinstance(found, RaceEvidence):
            return _of_race(found, lost="worse_on_heldout", undecided="not_shown_on_heldout")
        return replace(_of_test(found) if found is not None else _nothing(""), reason_code="not_shown_on_heldout")


def _of_test(test: PromptEvidence) -> Look:
    detail = f"log E {test.log_e:.2f} of {test.log_e_needed:.2f} needed, after {test.n} pairs"
    return Look(test.log_e, test.log_e_needed, test.passed or None, detail if test.passed else f"{detail}; not enough prompts")


def _restraint(case: GateCase) -> Look | None:
    """Rejects a candidate whose restraint is shown to be worse than the baseline's by the margin.

    The gate reports a proof that the candidate is *not* worse, but does not demand one. With a
    quarter of the suite's prompts, such a proof takes several times the trials of the race, and the
    accuracy that the race compares already includes the cost of a worse restraint. There is no
    such evidence if no prompt needs restraint, or if the baseline gets no call right: its perfect
    restraint would block every useful candidate.
    """
    seen = case.evidence.restraint if case.evidence is not None else None
    if seen is None:
        return None
    lost, shown = seen.log_worse >= seen.log_e_needed, seen.log_e >= seen.log_e_needed
    says = "worse" if lost else "not worse" if shown else "not enough pairs to tell whether it is worse"
    detail = f"{says} by {seen.margin * 100:g} points on {seen.n_pairs} pairs of prompts that need no call"
    return Look(seen.log_e, seen.log_e_needed, False if lost else True if shown else None, detail, binding=lost)


EVIDENCE = EvidenceGate()
HELDOUT = HeldoutGate()
RESTRAINT_EVIDENCE = PlainGate("restraint_evidence", "restraint_worse", "reject", _restraint)
