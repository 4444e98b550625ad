"""A home with everything that pages show, made by the commands that a user types, and `selfopt ui` on it."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.acceptance.sure_world import FALLBACK, SMALL, World, ended, prompts, script, tools_of

PRICES = """
[suites]
atomic = "s.json"
[prices."lab/small"]
input = 0.1
output = 0.4
[prices."lab/large"]
input = 3
output = 15
"""
CHECK = f"suite: s.json\nmodel: {SMALL}\nvariant: native_api@2\nmin_accuracy: 0.9\nmust_pass: true\nmax_trials: 400\n"


@contextlib.contextmanager
def shown_world(world: World) -> Iterator[World]:
    """A home with measurements of two models, a threshold in force, versions of the rules, and live requests of several sorts.

    The models' server goes on until the end.
    """
    (world.root / "script.yaml").write_text(script(), "utf-8")
    with world.process("scripted", "script.yaml") as (_, url, _):
        world.settle(url, more=PRICES)
        world.measure()
        found = world.calibrate()
        world.rule(found["calibration"]["calibration_id"])
        world.ok("routes", "set", FALLBACK, "extended", "--deny")
        (world.root / "selfopt.check.yaml").write_text(CHECK, "utf-8")
        assert world.run("check").returncode in (0, 100)
        world.ok("loop", "--baseline", f"{SMALL} atomic native_api@2", "--max-candidates", "2")
        with world.process("serve", "--port", "0") as (_, base, _):
            ask_all(base)
        yield world


def ask_once(base: str, model: str, said: str, key: str = "") -> int:
    """Ask one chat; return the status."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=300)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    body = {"model": model, "messages": [{"role": "user", "content": said}]}
    connection.request("POST", f"{place.path}/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def ask_all(base: str) -> None:
    """Every prompt once, as a client asks it; every seventh streamed, and some that are refused or wrong."""
    place = urlsplit(base)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=300)
    headers = {"Content-Type": "application/json"}

    def ask(body: object) -> None:
        connection.request("POST", f"{place.path}/chat/completions", json.dumps(body), headers)
        connection.getresponse().read()

    for number, prompt in enumerate(prompts()):
        said = [{"role": "user", "content": prompt.said}]
        ask({"model": SMALL, "messages": said, "tools": tools_of(prompt), "stream": number % 7 == 0})
    ask({"model": "lab/unheard-of", "messages": [{"role": "user", "content": "Hello"}]})
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    ask({"model": FALLBACK, "messages": turns, "tools": tools_of(prompts()[0])})
    connection.close()


@contextlib.contextmanager
def page_of(world: World) -> Iterator[str]:
    """`selfopt ui` of a home. Gives the address that signs in once."""
    command = [sys.executable, "-m", "selfopt", "ui", "--no-open", "--port", "0", "--json"]
    process = subprocess.Popen(command, cwd=world.root, env=world.environ(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield json.loads(said)["url"]
    finally:
        ended(process)
