"""Calls are compared with those of a second way of asking, as far as stored answers tell."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfopt.ledger import open_ledger
from selfopt.records import Environment, Spec, evidence_key
from selfopt.report.costs import calibrated_costs
from selfopt.scripted.script import Script
from tests.cli.servers import scripted_server
from tests.cli.test_logprobs import lab
from tests.cli.world import Project
from tests.verbs.test_escalation import OSLO, ROME, SUITES, kept, suite
from tests.verbs.test_parity import lives_in

# It is as sure of what is wrong as of what is right, but says something else when it is asked in another way.
TWIN = [
    {"match": {"contains": "heldout 37", "tools": False}, "fault": {"kind": "status", "status": 500}},
    {"match": {"contains": "stormy", "tools": True}, "text": ROME, "logprob": -0.3},
    {"match": {"contains": "Oslo"}, "text": OSLO, "logprob": -0.3},
]
SCRIPT = Script.model_validate({"models": {"twin": {"digest": "t1", "replies": TWIN, "default": {"text": "No."}}}})
FIRST, SECOND = "native_parsed@2", "tools=signatures"
ASKED = ("escalation", "lab/twin", "atomic", *SUITES, "--variant", FIRST, "--max-bad-share", "0.2")
COMPARED = (*ASKED, "--second", SECOND)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The model was asked in both ways, in the second on the search and held-out prompts alone."""
    project = Project(tmp_path_factory.mktemp("second"))
    project.write("s.yaml", suite().replace("in Oslo worth", "in Oslo, not in Rome, worth"))
    project.user_config.write_text("", "utf-8")
    with pytest.MonkeyPatch.context() as patch, scripted_server(SCRIPT) as url:
        project.user_config.write_text(f"[endpoints.{lab(url)}", "utf-8")
        lives_in(project, patch)
        patch.setenv("SELFOPT_CONFIG", str(project.user_config))
        for variant, split in ((FIRST, "all"), (SECOND, "search"), (SECOND, "heldout")):
            project.ok("run", "lab/twin", "atomic", variant, "--suite", "s.yaml", "--split", split, "--force-model")
    with pytest.MonkeyPatch.context() as patch:
        lives_in(project, patch)
        patch.setenv("SELFOPT_CONFIG", str(project.user_config))
        yield project


@pytest.fixture
def home(asked: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the measured home for one test."""
    shutil.copytree(asked.home, tmp_path / "home")
    monkeypatch.setenv("SELFOPT_HOME", str(tmp_path / "home"))
    return asked


def test_agreement_tells_what_the_first_way_alone_does_not(home: Project, tmp_path: Path) -> None:
    """A threshold holds with it, and without it none does. The calibration names the second way.

    Of thirty right answers one is not known to agree, as its second request failed, and is not served.
    """
    assert home.ok(*ASKED).out.startswith("No, not at this bound")
    done = home.ok(*COMPARED)
    said = " ".join(done.out.split())
    assert said.startswith("Yes, lab/twin may serve when its confidence is ")
    assert "29 of 40 prompts over 2 tool sets" in said
    assert (
        "whether the calls of tools=signatures are the same; 40 of 40 calibration prompts would be asked so, since only that "
        "tells whether the answer is served"
    ) in said
    alone, compared = sorted(kept(tmp_path / "home"), key=lambda one: one.second is not None)
    when = compared.serve_when
    assert when is not None
    assert when.second is not None
    assert when.environment is not None
    assert when.compares
    assert (compared.second, when.second.variant.name) == (when.second, SECOND)
    assert len(compared.second_trials) == len(set(compared.second_trials)) == 80
    assert not {*compared.second_trials} & {*compared.fit_trials, *compared.calibration_trials}
    assert when.evidence_key == evidence_key(compared.spec_id, when.environment, when.second)
    assert when.evidence_key != evidence_key(compared.spec_id, when.environment)
    ledger = open_ledger(tmp_path / "home" / "ledger.sqlite3")
    (spec,) = ledger.read(Spec, {"id": when.second.spec_id})
    assert spec.variant == when.second.variant
    assert list(ledger.read(Environment, {"id": compared.environment_id}))
    assert (alone.second, alone.second_trials) == (None, ())
    assert "second" not in alone.model_dump(mode="json")


def test_both_in_turn_take_the_time_and_the_money_of_the_second_way(home: Project) -> None:
    """For as many prompts as are asked so. The stronger model is the same one here, asked in that way."""
    table = '[prices."lab/twin"]\ninput = 1.0\noutput = 2.0\n'
    home.user_config.write_text(f"{home.user_config.read_text('utf-8')}\n{table}", "utf-8")
    found = home.ok(*COMPARED, "--to", "lab/twin", "--to-variant", SECOND, "--json").json()
    (figures,) = found["figures"]
    small, large, both = (figures[name] for name in ("paired_small", "large", "cascade"))
    assert (figures["asked_twice"], figures["paired"], figures["paired_served"]) == (40, 39, 29)
    assert both["latency_s"] >= small["latency_s"] + large["latency_s"]
    assert large["cost"] > 0
    assert both["cost"] >= small["cost"] + large["cost"]
    # Whatever is escalated, the second way alone costs as much as the stronger model.
    assert figures["pays_below"] == figures["faster_below"] == 0


def test_a_rule_takes_the_second_way_and_the_account_names_it(home: Project, tmp_path: Path) -> None:
    """The rule that is put in force says in which way live traffic is asked again."""
    home.ok(*COMPARED)
    (found,) = kept(tmp_path / "home")
    home.ok("routes", "set", "lab/twin", "atomic", "--allow", "--fallback", "lab/large", "--serve-when", found.calibration_id)
    rules = json.loads((tmp_path / "home" / "routing_config.json").read_text("utf-8"))["rules"]
    assert rules[0]["serve_when"]["second"]["variant"]["name"] == SECOND
    shown = " ".join(home.ok("routes", "show").out.split())
    assert f", compared with {SECOND}: on these tools at most 20 % of what is served is wrong" in shown
    account = " ".join(home.ok("decide", "--explain", found.calibration_id).out.split())
    assert f"calls compared with those of {SECOND}, the spec " in account
    assert "80 trials" in account
    nothing_looked_up: Any = None
    assert calibrated_costs(nothing_looked_up, found, "lab/large") is None  # how many are asked twice it does not say


def test_prompts_that_were_not_asked_so_are_left_out_and_the_command_is_told(home: Project) -> None:
    """As are prompts that were not asked at all."""
    done = home.ok(*COMPARED, "--verify", "s.yaml:canary")
    said = " ".join(done.out.split())
    assert "20 of 20 prompts were not asked in the second way; measure them with: selfopt run lab/twin atomic" in said
    assert "--split canary --force-model" in said
    found = home.ok(*COMPARED, "--verify", "s.yaml:canary", "--json").json()
    (used,) = [one for one in found["samples"] if one["sample"] == "verify"]
    assert (used["prompts"], used["used"], used["unmeasured"], used["second_unmeasured"]) == (20, 0, 0, 20)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--second", FIRST), ("--second native_parsed@2 sends the same requests as native_parsed@2", "tools=signatures")),
        (("--second", "backing=strict"), ("sends the same requests",)),
        (
            ("--second", "tools=schemas"),
            (
                "with native_parsed@2 and with tools=schemas",
                "selfopt run lab/twin atomic tools=schemas --suite s.yaml --split search",
            ),
        ),
        (("--second", "tools=nonsense"), ("no choice 'nonsense'",)),
    ],
)
def test_what_can_not_be_compared_is_said_in_one_line(home: Project, more: tuple[str, ...], words: tuple[str, ...]) -> None:
    """With the command that makes it, where there is one."""
    home.run(*ASKED, *more).assert_refused(2, *words)
