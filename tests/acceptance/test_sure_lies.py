"""A server that tells lies of log probabilities, or of the model behind a name, gets nothing served by a threshold."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import openai
import pytest

from selfopt.cli.main import run
from selfopt.records import ServeWhen
from selfopt.scripted.script import Script
from tests.cli.servers import scripted_server

from .lying_server import LIES, LyingServer, lying_server
from .sure_world import CALIBRATED, FALLBACK, SMALL, SUITE, VARIANT, Prompt, World, prompts, script
from .test_sure_client import asked, client_of

SURE = ("p2", "p3")
"""A text and a call, of both of which the small model is sure."""
BLIND = ("none", "empty", "nan", "words", "positive", "nameless")


@dataclass(frozen=True, slots=True)
class Lies:
    """A world whose small model was calibrated while its server told the truth."""

    world: World
    server: LyingServer
    when: ServeWhen


class Within(World):
    """Runs its commands in this process, as only the gateway has to be one of its own here."""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def lies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lies]:
    """One rule for the small model, and the same for a copy of it for each lie."""
    world = Within(tmp_path_factory.mktemp("lies"))
    models = json.loads(script())["models"]
    models.update(dict.fromkeys(LIES, models["small"]))
    with pytest.MonkeyPatch.context() as patch:
        environ = world.environ()
        for name in set(os.environ) - set(environ):
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.chdir(world.root)
        with scripted_server(Script.model_validate({"models": models})) as behind, lying_server(behind) as (server, url):
            world.settle(url)
            world.measure()
            rule = world.rule(world.calibrate()["calibration"]["calibration_id"])
            whole = json.loads(world.ok("routes", "show", "--json"))
            whole["rules"] += [{**rule, "rule_id": f"rule-{lie}", "model": f"lab/{lie}"} for lie in LIES]
            (world.root / "rules.json").write_text(
                json.dumps({key: whole[key] for key in ("schema_version", "version", "rules")})
            )
            world.ok("routes", "import", "rules.json")
            yield Lies(world, server, ServeWhen.model_validate(rule["serve_when"]))


@pytest.fixture(scope="module")
def client(lies: Lies) -> Iterator[openai.OpenAI]:
    """Of a gateway that is started while all is well."""
    with lies.world.process("serve", "--port", "0") as (_, url, _), client_of(url) as client:
        yield client


def some() -> list[Prompt]:
    """The prompts whose answers are sure."""
    found = [one for one in prompts() if one.id in SURE]
    assert {one.tool_set in CALIBRATED for one in found} == {True}
    return found


def test_the_same_answers_are_served_where_the_server_tells_the_truth(lies: Lies, client: openai.OpenAI) -> None:
    """Else the tests below would show nothing."""
    for prompt in some():
        for stream in (False, True):
            assert asked(client, prompt, stream=stream).headers["x-selfopt-model"] == SMALL


@pytest.mark.parametrize("lie", LIES)
def test_what_the_server_lies_about_escalates(lies: Lies, client: openai.OpenAI, lie: str) -> None:
    """Whole and streamed, in text and in calls. Who gave none is not asked again at once."""
    before = lies.server.asked[lie]
    for prompt in some():
        for stream in (False, True):
            answer = asked(client, prompt, stream=stream, model=f"lab/{lie}")
            assert answer.headers["x-selfopt-model"] == FALLBACK
            assert "Gern geschehen" not in answer.text
            assert answer.headers["x-selfopt-escalated"] == "no_logprobs"
    assert lies.server.asked[lie] - before == (1 if lie in BLIND else 4)


def test_nothing_is_calibrated_on_lies(lies: Lies) -> None:
    """What live traffic does not take, a measurement does not either."""
    lies.world.ok("run", "lab/nan", "atomic", VARIANT, "--suite", SUITE, "--split", "all", "--force-model")
    parts = ("--fit", f"{SUITE}:search", "--calibrate", f"{SUITE}:heldout", "--variant", VARIANT)
    lies.world.refused(2, "has log probabilities", by=("escalation", "lab/nan", "atomic", *parts))


def until(client: openai.OpenAI, model: str) -> dict[str, str]:
    """Ask until this model answers; the headers. The test's timeout bounds it."""
    prompt = some()[0]
    while (headers := asked(client, prompt, stream=False).headers)["x-selfopt-model"] != model:
        pass
    return headers


def test_another_model_behind_the_name_voids_the_threshold_while_it_serves(lies: Lies, client: openai.OpenAI) -> None:
    """And it holds again when the model is back."""
    lies.server.digest = "sha256:other"
    try:
        assert until(client, FALLBACK)["x-selfopt-escalated"] == "voided"
    finally:
        lies.server.digest = "sha256:small"
    assert "x-selfopt-escalated" not in until(client, SMALL)
    told = [one for one in lies.world.trail() if one["event"] == "threshold_void" and one["original_model"] == SMALL]
    assert [one["details"]["voided"]["differs"] for one in told] == [["digest"]]


def test_a_model_that_changed_between_calibration_and_start_serves_nothing(lies: Lies) -> None:
    """The log says so. (That the start waits for the first look is tested with the watch.)"""
    lies.server.digest = "sha256:other"
    try:
        with lies.world.process("serve", "--port", "0") as (_, url, log), client_of(url) as own:
            assert until(own, FALLBACK)["x-selfopt-escalated"] == "voided"
    finally:
        lies.server.digest = "sha256:small"
    assert any(f"the threshold of {SMALL} atomic" in line and "is void" in line for line in log), log
