"""Whether a threshold holds for what serves now."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from selfopt.home import ChainedFile, Home
from selfopt.records import Rule, Voided, evidence_key
from selfopt.routing import THRESHOLD_VOID, ThresholdsHeld, void_event, voided_by

from .make import environment, rule, surely


def escalating(**fields: Any) -> Rule:
    return rule("a/1", fallback="a/2", **{"spec_id": "spec-1", "serve_when": surely(), **fields})


def test_a_threshold_holds_for_what_was_calibrated() -> None:
    """And where a server tells less than it did, or nobody asked it yet."""
    for now in (environment(), None, environment(digest="unknown"), environment(slots=8, hardware="other", context_size=1)):
        assert voided_by(escalating(), now) is None
    assert voided_by(rule("a/1"), environment(digest="sha256:2")) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"digest": "sha256:2"}, "the model file is not what was calibrated"),
        ({"quantization": "Q8_0"}, None),
        ({"engine": "ollama"}, "the engine is not what was calibrated"),
        ({"engine_build": "b2"}, "the build of the engine is not"),
        (
            {"digest": "sha256:2", "engine": "x", "engine_build": "b2"},
            "the model file, the engine and the build of the engine are not",
        ),
    ],
)
def test_another_environment_voids_it(fields: dict[str, str], told: str | None) -> None:
    """The reason names what differs. What the calibration did not know differs from nothing."""
    found = voided_by(escalating(), environment(**fields))
    assert (found is None) == (told is None)
    if found is not None and told is not None:
        assert (found.kind, found.differs) == ("environment", tuple(fields))
        assert told in found.why


def test_another_embedding_model_behind_the_name_voids_it() -> None:
    """It chooses the tools that the model is shown. The key of evidence is the same, and what is not known speaks against nothing."""
    one, other = (environment(embedding_digest=digest) for digest in ("e1", "e2"))
    calibrated = escalating(serve_when=surely(environment=one, evidence_key=evidence_key("spec-1", other)))
    found = voided_by(calibrated, other)
    assert found is not None
    assert (found.differs, found.why) == (("embedding_digest",), "the embedding model is not what was calibrated")
    for now in (one, environment()):
        assert voided_by(calibrated, now) is None
    assert voided_by(escalating(), other) is None
    thresholds = ThresholdsHeld()
    for now, void in ((other, True), (environment(), True), (one, False)):
        thresholds.observed("a/1", now)
        assert (thresholds.voided(calibrated) is not None) == void


def test_another_spec_voids_it() -> None:
    """A promotion changes what serves, whatever serves it; a key without its environment has to be the same."""
    found = voided_by(escalating(spec_id="spec-2"), None)
    assert found is not None
    assert found.differs == ("spec",)
    alone = surely(environment=None)
    assert voided_by(escalating(serve_when=alone), environment()) is None
    assert voided_by(escalating(serve_when=alone), environment(digest="sha256:2")) is not None


def test_what_was_voided_stays_void() -> None:
    """Even where everything is as it was calibrated."""
    drifted = Voided(kind="drift", calibration_id="calibration-1", why="drift")
    assert voided_by(escalating(voided=drifted), environment()) == drifted


def test_a_void_threshold_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each reason, in one line that says what happens and what to do; again after it held."""
    told: list[tuple[Rule, Voided]] = []
    thresholds = ThresholdsHeld(lambda one, why: told.append((one, why)))
    mine, plain = escalating(), rule("a/1")
    with caplog.at_level(logging.ERROR, "selfopt.routing"):
        assert thresholds.voided(mine) is None
        for digest in ("sha256:1", "sha256:2", "sha256:2", "sha256:1", "sha256:2"):
            thresholds.observed("a/1", environment(digest=digest))
            for _ in range(3):
                assert (thresholds.voided(mine) is not None) == (digest == "sha256:2")
            thresholds.observed("a/2", environment(engine="x"))
        assert thresholds.voided(plain) is None
    assert [one for one, _ in told] == [mine, mine]
    (line, _) = caplog.messages
    assert mine.rule_id in line
    assert "everything goes to a/2 until it is calibrated anew: selfopt escalation a/1 extended" in line


def test_a_server_that_falls_silent_lifts_nothing() -> None:
    """What it told last stays: another model file."""
    thresholds = ThresholdsHeld()
    thresholds.observed("a/1", environment(digest="sha256:2"))
    thresholds.observed("a/1", environment(digest="unknown"))
    assert thresholds.voided(escalating()) is not None
    thresholds.observed("a/1", environment(digest="sha256:1"))
    assert thresholds.voided(escalating()) is None


def test_a_rule_with_another_calibration_is_judged_anew() -> None:
    """A new version of the rules needs no restart."""
    thresholds = ThresholdsHeld()
    thresholds.observed("a/1", environment(digest="sha256:2"))
    assert thresholds.voided(escalating()) is not None
    renewed = surely(environment=environment(digest="sha256:2"))
    assert thresholds.voided(escalating(serve_when=renewed)) is not None  # its key is of another environment
    assert thresholds.voided(escalating(serve_when=None)) is None


def test_the_trail_holds_what_was_void(home: Home) -> None:
    """With calibration, threshold and bound."""
    home.ensure()
    mine, trail = escalating(), ChainedFile(home.audit_trail)
    found = voided_by(mine, environment(digest="sha256:2"))
    assert found is not None
    record = trail.append_all([void_event(mine, found, 7)])[0]
    assert (record.event, record.rule_id, record.config_version) == (THRESHOLD_VOID, mine.rule_id, 7)
    assert record.evidence == ("calibration-1",)
    assert (record.details["least"], record.details["bound"]["max_bad_share"]) == (0.83, 0.1)
    assert trail.verify().ok
