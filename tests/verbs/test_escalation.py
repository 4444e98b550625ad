"""May a model serve when it is sure? Stored answers tell, and no model is asked."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import selfopt
from selfopt.errors import UsageError
from selfopt.ledger import open_ledger
from selfopt.records import Calibration, Spec
from selfopt.scripted.script import Script
from selfopt.verbs.costing import rules_pay
from selfopt.wiring.app import App
from tests.cli.servers import scripted_server
from tests.cli.test_logprobs import lab
from tests.cli.world import Project
from tests.verbs.test_parity import lives_in

TOOL = {
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OSLO = json.dumps({"name": "get_weather", "arguments": {"city": "Oslo"}})
ROME = json.dumps({"name": "get_weather", "arguments": {"city": "Rome"}})
# It is right where it is sure, and unsure where it is wrong.
SMALL: list[dict[str, Any]] = [
    {"match": {"contains": "gentle"}, "text": OSLO, "logprob": -0.01},
    {"match": {"contains": "stormy"}, "text": ROME, "logprob": -1.0},
]
# Of the prompts to fit on some come with log probabilities, and of those to calibrate on none.
HALF = [{**one, "match": {"contains": ["search", one["match"]["contains"]]}} for one in SMALL]
SCRIPT = Script.model_validate(
    {
        "models": {
            "small": {"digest": "s1", "replies": SMALL, "default": {"text": "No."}},
            "large": {"digest": "l1", "default": {"text": OSLO, "logprob": -0.01}},
            "blind": {"digest": "b1", "default": {"text": OSLO}},
            "half": {"digest": "h1", "replies": HALF, "default": {"text": OSLO}},
        }
    }
)
SHARE = ("--variant", "native_parsed@2", "--max-bad-share", "0.2")
TO = ("--to", "lab/large", "--to-variant", "native_parsed@2")
SUITES = ("--fit", "s.yaml:search", "--calibrate", "s.yaml:heldout")


def suite() -> str:
    """Forty prompts to fit on, forty to calibrate on and twenty more, a quarter of them stormy, over two tool sets."""
    prompts = []
    for split, count in (("search", 40), ("heldout", 40), ("canary", 20)):
        for number in range(count):
            mood = "stormy" if number % 4 == 0 else "gentle"
            said = f"Is the {mood} weather in Oslo worth a walk? {split} {number}"
            prompts.append(
                {
                    "id": f"{split}-{number}",
                    "kind": "direct",
                    "split": split,
                    "tool_set": "one" if number % 2 else "two",
                    "messages": [{"role": "user", "content": said}],
                    "expected": [[{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]],
                    "reason": "It is asked for.",
                }
            )
    other = {**TOOL, "name": "get_tide", "description": "Tide of a city."}
    return json.dumps(
        {"name": "s", "phase": "atomic", "scope": "whole", "tool_sets": {"one": [TOOL], "two": [TOOL, other]}, "prompts": prompts}
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The small model and the larger one were asked once; the server is gone since."""
    project = Project(tmp_path_factory.mktemp("escalation"))
    project.write("s.yaml", suite())
    project.user_config.write_text("", "utf-8")
    with pytest.MonkeyPatch.context() as patch, scripted_server(SCRIPT) as url:
        project.user_config.write_text(f"[endpoints.{lab(url)}", "utf-8")
        patch.setenv("SELFOPT_CONFIG", str(project.user_config))
        lives_in(project, patch)
        patch.setenv("SELFOPT_CONFIG", str(project.user_config))
        for model in ("small", "large", "blind", "half"):
            project.ok("run", f"lab/{model}", "atomic", "native_parsed@2", "--suite", "s.yaml", "--split", "all", "--force-model")
    with pytest.MonkeyPatch.context() as patch:
        lives_in(project, patch)
        patch.setenv("SELFOPT_CONFIG", str(project.user_config))
        yield project


@pytest.fixture
def home(measured: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the measured home for one test."""
    shutil.copytree(measured.home, tmp_path / "home")
    monkeypatch.setenv("SELFOPT_HOME", str(tmp_path / "home"))
    return measured


def plain(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def kept(where: Path) -> list[Calibration]:
    """The calibrations in a home."""
    return list(open_ledger(where / "ledger.sqlite3").read(Calibration))


def test_the_first_sentence_says_that_it_may_serve_and_the_record_holds_the_trials(home: Project, tmp_path: Path) -> None:
    """What was shown stands below: bound, curve, tool sets, and both models beside each other."""
    done = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--to", "lab/large", "--to-variant", "native_parsed@2")
    said = " ".join(done.out.split())
    assert said.startswith("Yes, lab/small may serve when its confidence is ")
    assert "30 of 40 prompts over 2 tool sets" in said
    assert "everything else goes to lab/large" in said
    assert "both in turn are right on 100 %, lab/large alone on 100 %: +0.0 points" in said
    assert "<- here" in done.out
    calibration = kept(tmp_path / "home")[0]
    assert calibration.serve_when is not None
    assert (calibration.serve_when.bound.served, calibration.serve_when.bound.bad) == (30, 0)
    assert (len(calibration.fit_trials), len(calibration.calibration_trials)) == (40, 40)
    assert not set(calibration.fit_trials) & set(calibration.calibration_trials)
    assert calibration.serve_when.calibration_id == calibration.calibration_id
    assert set(calibration.serve_when.tool_sets) == set(calibration.shares)
    assert len(calibration.serve_when.tool_sets) == 2
    assert list(open_ledger(tmp_path / "home" / "ledger.sqlite3").read(Spec, {"id": calibration.spec_id}))


@pytest.fixture
def priced(home: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the prices of one test."""

    def write(prices: str) -> None:
        config = tmp_path / "selfopt.toml"
        config.write_text(prices + home.user_config.read_text("utf-8"), "utf-8")
        monkeypatch.setenv("SELFOPT_CONFIG", str(config))

    return write


def test_a_price_per_hour_counts_the_time_of_every_trial(home: Project, priced: Callable[[str], None]) -> None:
    """A unit of money for each second, here."""
    priced('\n[prices."lab/small"]\nper_hour = 3600\n')
    figures = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--json").json()["figures"][0]
    assert figures["small"]["latency_s"] > 0
    assert figures["small"]["cost"] == pytest.approx(figures["small"]["latency_s"])


def test_the_break_even_share_is_told_wherever_the_rule_is(home: Project, priced: Callable[[str], None], tmp_path: Path) -> None:
    """In the words of the calibration, beside the rule in force and in the reports, by the prices of now."""
    priced('\ncurrency = "EUR"\n[prices."lab/small"]\ninput = 1\noutput = 1\n\n[prices."lab/large"]\ninput = 4\noutput = 4\n')
    asked = ("escalation", "lab/small", "atomic", *SUITES, *SHARE, *TO)
    found = home.ok(*asked, "--json").json()
    figures = found["figures"][0]
    assert figures["pays_below"] == pytest.approx(1 - figures["paired_small"]["cost"] / figures["large"]["cost"])
    assert figures["faster_below"] is not None
    share = (
        f"Beside lab/large alone, both in turn cost less while fewer than {figures['pays_below'] * 100:.3g} % are escalated, and "
    )
    page = tmp_path / "page.html"
    assert f"{share}" in plain(home.ok(*asked, "--html", str(page)).out)
    assert "; here 25 % are escalated" in plain(home.ok(*asked).out)
    assert "cost of 1,000 (EUR)" in page.read_text("utf-8")
    assert share in page.read_text("utf-8")
    assert "both in turn</td><td>30 of 40 served by the small one" in page.read_text("utf-8")
    rule = ("lab/small", "atomic", "--allow", "--fallback", "lab/large", "--serve-when", found["calibration"]["calibration_id"])
    home.ok("routes", "set", *rule)
    shown = plain(home.ok("routes", "show").out)
    assert share in shown
    assert "of the calibration prompts 25 % are escalated" in shown
    (told,) = home.ok("routes", "show", "--json").json()["pays"].values()
    assert told["cost_below"] == pytest.approx(figures["pays_below"])
    assert told["escalated"] == pytest.approx(0.25)
    app = App.open()
    try:
        (made,) = app.enforcer.load().rules
        assert made.serve_when is not None
        at_once = made.model_copy(update={"serve_when": made.serve_when.model_copy(update={"parallel": True})})
        assert set(rules_pay(app, [made])) == {made.rule_id}
        assert rules_pay(app, [at_once]) == {}
    finally:
        app.release()
    home.ok("report")
    for name in ("SELF_OPTIMIZING_REPORT.md", "SELF_OPTIMIZING_REPORT.html"):
        assert share in (tmp_path / "home" / "reports" / name).read_text("utf-8")


def test_without_prices_the_break_even_share_is_that_of_time(home: Project) -> None:
    """What costs nothing on this machine is not compared by cost; where nothing is served, nothing is said to be escalated."""
    for bound in (SHARE, ("--variant", "native_parsed@2", "--max-bad-share", "0.02")):
        done = home.ok("escalation", "lab/small", "atomic", *SUITES, *bound, *TO)
        said = plain(done.out)
        assert "Beside lab/large alone, both in turn " in said
        assert "take less time" in said
        assert "cost less" not in said
        assert ("; here 25 % are escalated" in said) is (bound is SHARE)


def test_prompts_of_the_verification_took_no_part(home: Project) -> None:
    """They say whether the bound kept its promise."""
    found = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--verify", "s.yaml:canary", "--json").json()
    shown = {one["sample"]: one for one in found["figures"]}
    assert (shown["verify"]["prompts"], shown["verify"]["served"], shown["verify"]["bad"]) == (20, 15, 0)
    text = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--verify", "s.yaml:canary").out
    assert "The verification agrees" in " ".join(text.split())


def test_the_same_answers_give_the_same_calibration(home: Project, tmp_path: Path) -> None:
    """A void threshold is not lifted by asking again; another bound, or another second way, is another calibration."""
    asked = ("escalation", "lab/small", "atomic", *SUITES, *SHARE)
    ids = [home.ok(*asked, *more, "--json").json()["calibration"]["calibration_id"] for more in ((), (), TO)]
    assert len(set(ids)) == 1
    assert [one.calibration_id for one in kept(tmp_path / "home")] == ids[:1]
    other = home.ok(*asked, "--confidence", "0.9", "--json").json()["calibration"]["calibration_id"]
    assert other != ids[0]
    assert len(kept(tmp_path / "home")) == 2


def test_a_model_is_not_its_own_stronger_one(home: Project) -> None:
    """What it is not sure of would go to itself. Asked in another way it may be."""
    itself = (*SUITES, *SHARE, "--to", "lab/small", "--to-variant", "native_parsed@2")
    home.run("escalation", "lab/small", "atomic", *itself).assert_refused(2, "--to lab/small is the model itself")


def test_every_confidence_that_is_allowed_is_computed(home: Project) -> None:
    """Down to the lowest and up to the last number below 1."""
    for confidence in ("0.01", "0.9999999999999999"):
        home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--confidence", confidence)


def test_the_same_prompts_are_used_once(home: Project) -> None:
    """A prompt of the fit is left out of the calibration, and one of both out of the verification."""
    again = ("--calibrate", "s.yaml:all", "--verify", "s.yaml:search")
    found = home.ok("escalation", "lab/small", "atomic", "--fit", "s.yaml:search", *again, *SHARE, "--json").json()
    used = {one["sample"]: (one["used"], one["repeated"]) for one in found["samples"]}
    assert used == {"fit": (40, 0), "calibrate": (60, 40), "verify": (0, 40)}


def test_a_prompt_that_stands_twice_in_a_suite_counts_once(
    measured: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under whatever id; else it would count as two that show the same."""
    body = json.loads(suite())
    body["name"] = "twice"
    body["prompts"] += [{**one, "id": f"again-{one['id']}"} for one in body["prompts"] if one["split"] == "heldout"]
    measured.write("twice.yaml", json.dumps(body))
    monkeypatch.setenv("SELFOPT_HOME", str(tmp_path / "home"))
    with scripted_server(SCRIPT) as url:
        measured.user_config.write_text(f"[endpoints.{lab(url)}", "utf-8")
        measured.ok("run", "lab/small", "atomic", "native_parsed@2", "--suite", "twice.yaml", "--split", "all", "--force-model")
    parts = ("--fit", "twice.yaml:search", "--calibrate", "twice.yaml:heldout")
    found = measured.ok("escalation", "lab/small", "atomic", *parts, *SHARE, "--json").json()
    assert [(one["used"], one["repeated"]) for one in found["samples"]] == [(40, 0), (40, 40)]
    assert found["calibration"]["serve_when"]["bound"]["n"] == 40


def test_where_no_threshold_holds_it_says_what_would(home: Project) -> None:
    """And nothing is served."""
    done = home.ok("escalation", "lab/small", "atomic", *SUITES, "--variant", "native_parsed@2", "--max-bad-share", "0.02")
    said = " ".join(done.out.split())
    assert said.startswith("No, not at this bound: no confidence of lab/small is shown to keep at most 2 % wrong")
    assert re.search(r"could be shown for a share of \d+ %", said)
    assert re.search(r"With about \d+ more prompts", said)


def test_tools_not_seen_are_a_claim_of_their_own(home: Project) -> None:
    """Two tool sets show nothing of others."""
    done = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--claim", "unseen-tools")
    assert "on tools not seen" in " ".join(done.out.split())
    assert done.out.startswith("No, not at this bound")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ("--variant", "tools=signatures"),
            ("no stored answer", "selfopt run lab/small atomic tools=signatures --suite s.yaml --split search"),
        ),
        (("--fit", "s.yaml:nonsense"), ("there is no split 'nonsense'",)),
        (("--fit", "small_extended"), ("small_extended",)),
        (("--fit", "s.yaml:search", "--calibrate", "s.yaml:search"), ("all prompts took part before",)),
    ],
)
def test_what_is_missing_is_said_in_one_line(home: Project, more: tuple[str, ...], words: tuple[str, ...]) -> None:
    """With the command that makes it."""
    options = ("--variant", "native_parsed@2") if "--variant" not in more else ()
    both = SUITES if "--fit" not in more else ()
    home.run("escalation", "lab/small", "atomic", *both, *options, *more).assert_refused(2, *words)


def test_a_home_without_any_answer_says_all_that_is_to_be_measured(
    measured: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command once, and nothing is made."""
    monkeypatch.setenv("SELFOPT_HOME", str(tmp_path / "none"))
    measured.run("escalation", "lab/small", "atomic", *SUITES, "--variant", "native_parsed@2").assert_refused(
        2,
        "to s:search (for the fit) and s:heldout (for the calibration); measure them first: selfopt run lab/small atomic "
        "native_parsed@2 --suite s.yaml --split search --force-model && selfopt run lab/small atomic native_parsed@2 --suite "
        "s.yaml --split heldout --force-model",
    )
    # Without options, the suite of a newcomer has nothing left to calibrate on, and that is said before anything is measured.
    measured.run("escalation", "lab/small", "atomic").assert_refused(
        2, "small:all (for the calibration): all prompts took part before; name others with --calibrate SUITE[:SPLIT]"
    )
    assert not (tmp_path / "none").exists()


def test_answers_without_log_probabilities_are_not_enough(home: Project) -> None:
    """It says how to get them."""
    refused = home.run("escalation", "lab/blind", "atomic", *SUITES, "--variant", "native_parsed@2")
    refused.assert_refused(2, "has log probabilities", "selfopt run lab/blind atomic native_parsed@2", "--fresh")


def test_where_nothing_is_told_of_the_calibration_nothing_is_served(home: Project, tmp_path: Path) -> None:
    """However right the answers are: live traffic would hand on each of them. Text, page and report say so."""
    page = tmp_path / "page.html"
    done = home.ok("escalation", "lab/half", "atomic", *SUITES, *SHARE, "--html", str(page))
    assert done.out.startswith("No, not at this bound")
    said = " ".join(done.out.split())
    assert "40 replies came without log probabilities of all that they say" in said
    assert "of 40 calibration prompts" in said
    assert "0 % (0)" in said
    assert "not at this bound" in page.read_text("utf-8")
    home.ok("report")


def test_both_doors_give_the_same(home: Project) -> None:
    """Python returns what --json prints, but for times and ids."""
    printed = home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--json").json()
    with selfopt.open() as harness:
        fit, calibrate = ("s.yaml:search",), ("s.yaml:heldout",)
        found = harness.escalation(
            "lab/small", "atomic", variant="native_parsed@2", max_bad_share=0.2, fit=fit, calibrate=calibrate
        )
        with pytest.raises(UsageError):
            harness.escalation("lab/small", "sideways")
    told = found.model_dump(mode="json")
    for one in (printed, told):
        one["calibration"].pop("created_at")
        one["calibration"].pop("calibration_id")
        one["calibration"]["serve_when"].pop("calibration_id")
    assert printed == told


@pytest.mark.parametrize("columns", ["50", "80"])
def test_it_fits_the_terminal(home: Project, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """At 50 columns the figures that matter stay."""
    monkeypatch.setenv("COLUMNS", columns)
    out = home.ok(
        "escalation", "lab/small", "atomic", *SUITES, *SHARE, "--to", "lab/large", "--to-variant", "native_parsed@2"
    ).out
    tables = out[out.index("of 40 calibration prompts") :]
    assert max(map(len, tables.splitlines())) <= int(columns)
    assert "<-" in tables
    assert "\u2026" not in tables
    assert ("confidence" if columns == "80" else "sure") in tables
    for head in ("served", "wrong", "at most", "tool set", "both in turn"):
        assert head in out


def test_the_page_and_the_report_draw_the_curve(home: Project, tmp_path: Path) -> None:
    """Nothing in them is active, whatever a suite is called."""
    page = tmp_path / "page.html"
    home.ok("escalation", "lab/small", "atomic", *SUITES, *SHARE, "--html", str(page))
    home.ok("report")
    report = (tmp_path / "home" / "reports" / "SELF_OPTIMIZING_REPORT.html").read_text("utf-8")
    for text in (page.read_text("utf-8"), report):
        assert "wrong among the served" in text
        assert "Yes, lab/small may serve when its confidence is" in text
        assert "<script" not in text
    assert "<h3>Serving when sure</h3>" in report


def test_the_bound_of_the_settings_counts_and_a_plan_says_what_it_takes(home: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked."""
    monkeypatch.setenv("SELFOPT_SERVE__MAX_BAD_SHARE", "0.05")
    found = home.ok("escalation", "lab/small", "atomic", *SUITES, "--variant", "native_parsed@2", "--json").json()
    assert (found["calibration"]["max_bad_share"], found["calibration"]["confidence"]) == (0.05, 0.95)
    plan = " ".join(home.ok("loop", "--dry-run", "--baseline", "good atomic native_api").out.split())
    assert "at most 5 % wrong at 95 % confidence: needs at least 59 calibration prompts" in plan
    monkeypatch.setenv("SELFOPT_SERVE__MAX_BAD_SHARE", "1.5")
    home.run("escalation", "lab/small", "atomic").assert_refused(2, "serve.max_bad_share")
