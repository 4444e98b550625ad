"""What commands measure and decide is told to an OpenTelemetry collector, where the settings want that."""

from __future__ import annotations

import pytest

from selfopt.wiring import otel_spans
from tests.gateway.collector import Collector, Span, collecting, published_names

from .world import Project

WRITER = "scripted/writer atomic native_api"


def want(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    """Set what a user would."""
    monkeypatch.setenv("SELFOPT_OTEL__ENABLED", "true")
    monkeypatch.setenv("SELFOPT_OTEL__ENDPOINT", collector.url)


def results(spans: list[Span], name: str) -> list[dict[str, object]]:
    """The results of this name."""
    return [facts for span in spans for _, facts in span.events if facts["gen_ai.evaluation.name"] == name]


def test_a_cycle_is_one_trace_with_its_scores_and_decisions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under published names; the figures are those of the report, and nothing is sent twice."""
    with collecting() as collector:
        want(monkeypatch, collector)
        cycle = project.ok("loop", "--baseline", WRITER, "--json").json()[0]
        spans = list(collector.spans)
        project.ok("routes", "show")
        assert collector.spans == spans
    assert {span.kind for span in spans} == {"internal"}
    assert len({span.trace_id for span in spans if "selfopt.cycle.id" in span.facts}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    assert {name for span in spans for name, _ in span.events} == {"gen_ai.evaluation.result"}
    used = {name for span in spans for facts in (span.facts, *(facts for _, facts in span.events)) for name in facts}
    assert {name for name in used if not name.startswith("selfopt.")} <= published_names()
    decided = [span for span in spans if span.name.startswith("decide ")]
    promoted = [
        span.facts["selfopt.variant"] for span in decided if span.events[0][1]["gen_ai.evaluation.score.label"] == "promote"
    ]
    assert cycle["targets"][0]["winner_variant"] in promoted
    accuracies = results(spans, "accuracy")
    assert len(accuracies) >= 2
    assert all(0 <= float(str(one["gen_ai.evaluation.score.value"])) <= 1 for one in accuracies)
    sent = b"".join(collector.bodies)
    assert b"Oslo" not in sent
    assert b"weather" not in sent


@pytest.mark.parametrize("broken", ["collector", "extra"])
def test_what_cannot_be_told_is_no_fault_of_the_command(project: Project, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """It is said in one line."""
    with collecting(400) as collector:
        want(monkeypatch, collector)
        if broken == "extra":
            monkeypatch.setattr(otel_spans, "find_spec", lambda name: None)
        result = project.ok("run", "good", "atomic")
    said = [line for line in result.err.splitlines() if "opentelemetry" in line.lower()]
    assert len(said) == 1, result.err
    assert ("pip install" in said[0]) == (broken == "extra")


def test_a_run_tells_its_scores(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One evaluation, with the suite and the tokens that it took."""
    with collecting() as collector:
        want(monkeypatch, collector)
        project.ok("run", "good", "atomic")
    assert [span.name for span in collector.spans] == ["evaluate scripted/good"]
    assert collector.spans[0].facts["selfopt.suite"] == "small"
    assert len(results(collector.spans, "accuracy")) == 1


def test_nothing_is_told_without_the_setting(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the variables of OpenTelemetry say."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        project.ok("run", "good", "atomic")
    assert collector.headers == []
