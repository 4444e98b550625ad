"""Scripts that compare and measure, as far as they go without what they compare with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import PERF, Run


def test_parity_without_the_official_package_says_not_run(run: Run, tmp_path: Path) -> None:
    """That is no failure."""
    for arguments in ((), ("--json",)):
        done = run(tmp_path, "bfcl_parity.py", *arguments)
        assert done.returncode == 0, done.stderr
        assert "not_run" in json.loads(done.stdout) if arguments else done.stdout.startswith("not run: ")


def test_scoring_speed_measures_both_ways_of_judging(run: Run, tmp_path: Path) -> None:
    """Without the leaderboard's data the built-in prompts stand in."""
    figures = json.loads(run(tmp_path, "scoring_speed.py", "--seconds", "0.01", "--json").stdout)
    assert figures["standard"]["verdicts_per_s"] > 0
    assert figures["bfcl"]["suites"] == "built-in prompts, bfcl rules"
    assert figures["bfcl"]["verdicts_per_s"] > 0


def test_what_parity_found_is_one_json_document() -> None:
    """Counts of errors included."""
    code = (
        "import collections, json, bfcl_parity\n"
        "found = bfcl_parity.Category('multiple', replies=4, agreed=3, raised=collections.Counter({'raised X (y)': 2}))\n"
        "print(json.dumps(found.as_json()))\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(PERF)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    body = json.loads(done.stdout)
    assert (body["agreement"], body["raised"]) == (0.75, {"raised X (y)": 2})


def test_the_figures_of_a_cascade_come_with_the_script(run: Run, tmp_path: Path) -> None:
    """Without a home they are told; what asks a model needs one."""
    told = run(tmp_path, "cascade.py")
    assert told.returncode == 0, told.stderr
    assert "local/qwen2.5-coder-0.5b -> local/qwen2.5-coder-1.5b, fit more, at most 0.2 wrong" in told.stdout
    rows = json.loads(run(tmp_path, "cascade.py", "--json").stdout)
    assert all(0 <= one["bad"] <= one["served"] <= one["prompts"] for row in rows for one in row["figures"])
    assert run(tmp_path, "cascade.py", "ask").returncode == 2


def test_patterns_simulates_with_the_real_classifier(run: Run, tmp_path: Path) -> None:
    """Few suites here, so only the shape of what it prints; a missed limit is exit code 1."""
    done = run(tmp_path, "patterns.py", "--scale", "0.01", "--json")
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert [figure["limit"] for figure in result["figures"]] == [0.002, 0.02, 0.7, 0.7, 0.9]
    assert all({"share", "se", "low95", "high95", "of", "met"} <= set(figure) for figure in result["figures"])


def test_promotion_simulates_with_the_real_policy(run: Run, tmp_path: Path) -> None:
    """Three worlds a row, so only the shape of what it prints; a missed limit is exit code 1."""
    done = run(
        tmp_path, "promotion.py", "--replications", "3", "--world", "12x4", "--world", "cycles", "--processes", "1", "--json"
    )
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    figures = result["worlds"]["12x4"]
    assert {"null_promoted", "null_promoted_upper95", "power_5", "power_10", "calls_null", "calls_5", "calls_10"} <= set(figures)
    assert {"plain_rule", "fixed_n", "lower_bound_calls_5"} <= set(figures)
    assert {"promoted_worse", "promoted_not_better", "plain_rule"} <= set(result["cycles"])
    assert all({"figure", "value", "limit", "met"} == set(row) for row in result["limits"])


def test_audit_verify_measures_the_trail_and_the_requests(run: Run, tmp_path: Path) -> None:
    """Few records here, so only the shape of what it prints; a missed limit is exit code 1."""
    done = run(tmp_path, "audit_verify.py", "--records", "100", "--json")
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads(done.stdout)
    assert figures["records"] == 100
    assert {"trail_per_s", "requests_per_s", "both_per_s", "met"} <= set(figures)


def test_replies_of_a_model_that_is_not_pulled_are_left_out(run: Run, tmp_path: Path) -> None:
    """That is no failure, but there is nothing to compare then."""
    done = run(tmp_path, "replies.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("left out: ")
    done = run(tmp_path, "replies.py", "--compare", "--chain", "native,json")
    assert done.returncode == 2
    assert "no reply is kept" in done.stderr


def test_a_chain_that_loses_a_right_verdict_fails(run: Run, tmp_path: Path) -> None:
    """The reply is named. A line that was torn at the end is neither read nor appended to."""
    code = (
        "import sys, replies\n"
        "from pathlib import Path\n"
        "from selfopt.records import ModelStatus, ReplyContent\n"
        "from selfopt.wiring.app import App\n"
        "app = App.open(sys.argv[1] + '/home')\n"
        "path = replies.kept_at(Path(sys.argv[1]), 'local/qwen2.5-coder-0.5b')\n"
        "path.parent.mkdir()\n"
        "path.write_text('{\"torn')\n"
        "question = next(one for one in replies.questions(app) if one.prompt.id == 'P1')\n"
        'text = \'{"name": "get_weather", "arguments": {"city": "Lisbon", "unit": "celsius"}}\'\n'
        "content, reader = ReplyContent(text=text, finish_reason='stop'), app.variant('native_parsed')\n"
        "kept = replies.Kept(path)\n"
        "kept.add(replies.line_of(question, reader, ModelStatus(state='loaded'), content, 1.0))\n"
        "kept.close()\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(PERF), "SELFOPT_CACHE": str(tmp_path), "PIP_NO_INDEX": "1"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environ, capture_output=True, text=True, check=True)
    done = run(tmp_path, "replies.py", "--compare", "--chain", "native,json")
    assert done.returncode == 0, done.stderr
    done = run(tmp_path, "replies.py", "--compare", "--chain", "native")
    assert done.returncode == 1, done.stderr
    assert "LOST: atomic P1 (native_api)" in done.stdout


def test_a_search_is_simulated_with_the_real_policy(run: Run, tmp_path: Path) -> None:
    """Few searches here, so only the shape of what it prints; a missed limit is exit code 1."""
    done = run(tmp_path, "search_null.py", "--replications", "2", "--candidates", "12", "--json")
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert list(result["worlds"]) == ["suite", "sample", "exact"]
    assert {row["limit"] for row in result["limits"]} == {0.05, 0.065, 0.8}
    assert all(figures["null"]["better"] == 0 for figures in result["worlds"].values())


def test_search_compares_searches_at_equal_requests(run: Run, tmp_path: Path) -> None:
    """One world and few requests here, so only the shape of what it prints; a rival ahead is exit code 1."""
    words = ("--seeds", "1", "--budget", "400", "--search", "ours", "--search", "random ways", "--processes", "1", "--json")
    done = run(tmp_path, "search.py", *words)
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert set(result["rows"]) == {"ours", "random ways"}
    for row in result["rows"].values():
        assert len(row["0"]["worth"]) == 8
        assert all(0 <= share <= 1 for share in row["0"]["worth"])


def test_what_keys_add_to_a_request_is_measured_beside_a_request_without(run: Run, tmp_path: Path) -> None:
    """Each round asks all arms, and what records add up to is checked."""
    found = json.loads(run(tmp_path, "keys.py", "--requests", "900", "--records", "10000", "--json").stdout)
    assert found["us"]["without keys"] < found["us"]["1 key without terms"] < found["us"]["1000 keys with budgets and rates"]
    assert found["added_up_s"] > 0


def test_what_requests_cost_is_measured_in_each_dialect(run: Run, tmp_path: Path) -> None:
    """Passed on, translated and through a variant, whole and streamed."""
    done = run(tmp_path, "dialects.py", "--requests", "2", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert {name.partition(",")[0] for name in json.loads(done.stdout)} == {"chat", "messages", "responses"}


def test_checks_of_builds_are_simulated_with_the_real_policy(run: Run, tmp_path: Path) -> None:
    """Few builds here, so only the shape of what it prints; a missed limit is exit code 1."""
    done = run(tmp_path, "check.py", "--replications", "3", "--recorded", "--json")
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert [row["shape"] for row in found["rows"]] == ["none", "stable_broken", "flaky_worse", "mixed"] * 2
    assert len(found["limits"]) == 9
    assert all(row["calls"] < row["fixed_calls"] for row in found["rows"])
    assert "decided right" in run(tmp_path, "check.py", "--replications", "2").stdout
