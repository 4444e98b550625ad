"""The page with figures: the Markdown report's text, nothing from elsewhere, nothing active, whatever models and suites wrote."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from selfopt.ledger import MemoryLedger
from selfopt.records import CandidateResult
from selfopt.report import Course, CoursePoint, gather, report_html
from selfopt.report.race_figures import GainBar, course_svg, gains_svg

from . import world

POINTS = tuple(
    CoursePoint(50 * n, 0.4 * n, -0.3 * n, 0.05 + 0.01 * n if n else None, (-1 + 0.1 * n, 1 - 0.09 * n)) for n in range(9)
)
VOID = {"meta", "br", "hr", "img", "link", "input"}
SVG = "{http://www.w3.org/2000/svg}"


def course(name: str = "restrained", points: tuple[CoursePoint, ...] = POINTS, null_mean: float = 0.0) -> Course:
    """One candidate's way."""
    return Course(name, world.SMALL, "atomic", "search", 1, "is held: max_trials", 3.7, 2.3, null_mean, 0.95, points)


def page(*courses: Course) -> str:
    """Of the reports' world."""
    return report_html(gather(world.full_ledger(), world.CONFIG, world.AUDIT), courses)


class Reader(HTMLParser):
    """Tags and attributes, every tag closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One opens."""
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One that is closed at once."""
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """The innermost closes."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


def test_it_says_what_the_markdown_says_with_figures_among_it() -> None:
    """Sections in their order, tables as tables, the gain of each candidate, the course of each race."""
    text = page(course(), course("constrained", null_mean=-0.03))
    titles = re.findall(r"<h[23]>(.*?)</h[23]>", text)
    assert titles[:3] == ["Right answers, before and after", "What to do next", "Evidence"]
    assert titles[3:5] == ["Improvements made", "Warm-up impact"]
    assert titles[-4:] == ["For auditors", "Decisions and their gates", "Evaluations", "Terms"]
    assert text.index("<h4>Evidence over trials</h4>") < text.index("Warm-up impact")
    assert text.count('<table class="table') >= 3
    assert text.count('<svg viewBox="0 0 360') >= 3
    assert "restrained" in Reader(text).text


def test_nothing_in_it_can_act_or_come_from_elsewhere() -> None:
    """No scripts, no handlers, no resources, links within the page alone; a policy that forbids them; hostile names are text."""
    text = page(course(world.HOSTILE))
    seen = Reader(text).seen
    tags = {tag for tag, _ in seen}
    assert tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "code", "div", "table", "thead", "tbody",
        "tr", "th", "td", "figure", "figcaption", "b", "svg", "text", "line", "path", "circle", "a", "details", "dd", "dl", "dt", "fieldset",
        "h4", "header", "input", "label", "legend", "main", "nav", "pre", "section", "span", "summary",
    }  # fmt: skip
    names = {name for _, attributes in seen for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style", "srcset", "xlink:href", "action")}
    places = {attributes["id"] for _, attributes in seen if "id" in attributes}
    led = {attributes["href"] or "" for tag, attributes in seen if tag == "a"}
    assert {link.removeprefix("#") for link in led} <= places, "within the page, and to what is there"
    policies = [
        attributes["content"] or "" for _, attributes in seen if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert [policy.split("; ")[0] for policy in policies] == ["default-src 'none'"]
    assert "script-src" not in policies[0]
    assert "url(" not in text
    assert "@import" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script" not in text
    assert "alert(1)" in text, "it is shown, as text"


def test_a_candidate_that_names_itself_as_markup_stays_text() -> None:
    """In the bars, which come from the ledger."""
    data = gather(world.full_ledger(), world.CONFIG)
    cycle = data.cycles[0]
    target = cycle.targets[0]
    hostile = [
        CandidateResult.model_validate(c.model_dump() | {"changed": "<img src=x onerror=alert(1)>"}) for c in target.candidates
    ]
    changed = cycle.model_copy(update={"targets": (target.model_copy(update={"candidates": tuple(hostile)}),)})
    text = report_html(type(data)(cycles=(changed,), evaluations=data.evaluations, decisions=data.decisions))
    assert "<img" not in text
    assert "&lt;img" in text


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], POINTS[:2], (CoursePoint(50, 90.0, -90.0, 0.9, None),)])
def test_every_course_is_a_whole_figure_with_its_borders(points: tuple[CoursePoint, ...]) -> None:
    """Well-formed, with words for both borders, within the width of a phone; however few blocks there are."""
    root = ElementTree.fromstring(course_svg(course(points=points)))
    words = " ".join(element.text or "" for element in root.iter("text"))
    assert "E = 40.4 wins, F = 9.97 drops" in words
    assert f"{points[-1].trials} trials" in words
    assert root.find("title") is not None
    assert root.get("role") == "img"
    places = [float(n) for path in root.iter("path") for n in re.findall(r"-?\d+\.\d", path.get("d") or "")]
    assert all(-1000 < place < 1000 for place in places)


def test_a_test_on_prompts_shows_no_evidence_against_and_stays_in_sight_far_beyond_the_border() -> None:
    """One border, one line, prompts on the axis; its last point is within the figure."""
    points = tuple(CoursePoint(n, 0.5 * n - 1, None, n / 100, (-1.0, 1.0)) for n in range(101))
    root = ElementTree.fromstring(
        course_svg(Course("gated", world.SMALL, "atomic", "heldout", 1, "passes", 3.7, None, 0.0, 0.95, points, "prompts"))
    )
    words = " ".join(element.text or "" for element in root.iter("text"))
    assert "E = 40.4 wins" in words
    assert "drops" not in words
    assert "100 prompts" in words
    assert not [path for path in root.iter("path") if path.get("class") == "against"]
    inner = [float(circle.get("cy") or 0) for circle in root.iter("circle")]
    assert len(inner) == 2
    assert 22 <= inner[0] < 40


def test_how_to_read_evidence_is_told_where_evidence_is_shown() -> None:
    """A page with exact figures alone does not speak of E and F."""
    assert "E grows while" in page(course())
    assert "E grows while" not in page()
    assert "A dot is the gain" in page()


def test_the_interval_is_drawn_narrowing() -> None:
    """The band is wide at first and narrow at the end."""
    root = ElementTree.fromstring(course_svg(course()))
    (band,) = [path for path in root.iter("path") if path.get("class") == "band"]
    heights: dict[float, list[float]] = {}
    for x, y in re.findall(r"(-?\d+\.\d) (-?\d+\.\d)", band.get("d") or ""):
        heights.setdefault(float(x), []).append(float(y))
    spans = [max(ys) - min(ys) for _, ys in sorted(heights.items())]
    assert spans[-1] < spans[3]


def test_bars_show_gain_interval_verdict_and_claim() -> None:
    """And one without an estimate is left without a dot."""
    bars = [GainBar("a", 0.2, (0.1, 0.3), "promote, prompts like these"), GainBar("b", None, None, "hold, this suite only")]
    root = ElementTree.fromstring(gains_svg(bars))
    assert len(list(root.iter("circle"))) == 1
    words = " ".join(element.text or "" for element in root.iter("text"))
    assert "+20.0 points: promote, prompts like these" in words


def test_nothing_measured_has_no_figures() -> None:
    """The sentences of the Markdown report, and no empty section."""
    text = report_html(gather(MemoryLedger()))
    assert "Evidence over trials" not in text
    assert "Not measured yet" in text
    Reader(text)


@pytest.mark.parametrize(("gain", "kept"), [(0.42, ["0", "+44 points"]), (0.05, ["0", "-6 points", "+6 points"])])
def test_the_labels_of_the_axis_do_not_run_into_the_zero(gain: float, kept: list[str]) -> None:
    """A border too near to it goes without a label."""
    root = ElementTree.fromstring(gains_svg([GainBar("a", gain, None, "promote")]))
    assert [node.text for node in root.iter("text")][: len(kept)] == kept
