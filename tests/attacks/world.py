"""A gateway as anybody starts it, a hostile server behind it, and a second process that watches it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from selfopt.home import KeyFile
from selfopt.records import Phase, Rule
from selfopt.routing import rule_id_of
from selfopt.variants import get_variant
from selfopt.wiring.app import App

from .replies import KEY, LONG, REPLIES
from .watch import Sample, read_samples

__all__ = ["LONG", "TOOLS", "Figures", "World", "attacked_world", "chat_body"]

HEALTH_LIMIT_MS = 250.0
VERIFY_EVERY = 10  # attacks, in the short form
RSS_FACTOR = 1.5
GIVEN_BACK_S = 60.0 if LONG else 20.0
ROOT = Path(__file__).parents[2]
PHASES: tuple[Phase, ...] = ("atomic", "extended")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "w",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def chat_body(model: str, **fields: Any) -> dict[str, Any]:
    """A chat that asks for this reply."""
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}


@dataclass(slots=True)
class Figures:
    """One attack: how long /health took meanwhile, what was held, how long it took to be given back."""

    name: str
    seconds: float
    samples: list[Sample]
    given_back_s: float = 0.0
    rss_after: int = 0

    @property
    def unanswered(self) -> int:
        """How often /health was not answered at all."""
        return sum(sample.ms < 0 for sample in self.samples)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        times = sorted(sample.ms for sample in self.samples if sample.ms >= 0)
        return times[min(len(times) - 1, int(share * len(times)))] if times else -1.0

    def row(self, idle: int) -> str:
        """One line of the table."""
        peak = max((sample.rss for sample in self.samples), default=0)
        return (
            f"{self.name[:46]:46} {self.seconds:7.1f} {len(self.samples):6} {self.percentile(0.5):7.1f} {self.percentile(0.99):8.1f} "
            f"{self.percentile(1):8.1f} {self.unanswered:4} {peak / 1e6:8.0f} {self.rss_after / 1e6:7.0f} {self.rss_after / max(idle, 1):5.2f} "
            f"{self.given_back_s:6.1f}"
        )


HEADING = f"{'attack':46} {'s':>7} {'looks':>6} {'p50 ms':>7} {'p99 ms':>8} {'max ms':>8} {'none':>4} {'peak MB':>8} {'then MB':>7} {'/idle':>5} {'back s':>6}"


@dataclass(slots=True)
class World:
    """What an attack has before it. secrets: what nobody may see; hidden: what clients may not see."""

    folder: Path
    home: Path
    port: int
    key: str
    pid: int
    environ: dict[str, str]
    samples: Path
    log: Path
    secrets: tuple[bytes, ...]
    hidden: tuple[bytes, ...]
    idle_rss: int = 0
    figures: list[Figures] = field(default_factory=list)

    def ask(
        self, body: Mapping[str, Any] | bytes, *, timeout_s: float = 90.0, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One chat: status and every byte that came back, head included; (0, what came) where the answer broke off."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        own = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}", **(headers or {})}
        got = b""
        try:
            connection.request("POST", "/v1/chat/completions", data, own)
            response = connection.getresponse()
            got = str(response.getheaders()).encode()
            while piece := response.read1(65_536):
                got += piece
            return response.status, got
        except http.client.IncompleteRead as error:
            return 0, got + error.partial
        except (OSError, http.client.HTTPException):
            return 0, got
        finally:
            connection.close()

    def assert_hides(self, *seen: bytes) -> None:
        """Nothing that a client may not see is in these bytes."""
        for secret in self.secrets + self.hidden:
            assert not any(secret in data for data in seen), f"a client saw {secret[:8]!r}..."

    def assert_sound(self) -> None:
        """An honest chat is answered, nothing leaked into a file, records and trail verify."""
        status, got = self.ask(chat_body("up/honest"))
        assert status == 200, got[-500:]
        assert b"Hello, I am an honest model." in got
        assert b"SMUGGLED" not in got
        for path in [self.log, *(p for p in self.home.rglob("*") if p.is_file())]:
            data = path.read_bytes()
            for secret in self.secrets:
                assert secret not in data, f"{path.name} holds a key"
        if LONG or len(self.figures) % VERIFY_EVERY == 0:
            self.assert_verifies()

    def assert_verifies(self) -> None:
        """Trail, rules and records of requests."""
        done = self.selfopt("audit", "verify")
        assert done.returncode == 0, done.stdout + done.stderr

    def selfopt(self, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """One command line, in a process of its own, in this world's home."""
        command = [sys.executable, "-m", "selfopt", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, env=self.environ, cwd=self.folder, check=False
        )

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Note what /health and the memory do meanwhile, and until the memory is given back."""
        began = time.monotonic()
        yield
        done = time.monotonic()
        found = Figures(name, done - began, [])
        while time.monotonic() - done < GIVEN_BACK_S:
            time.sleep(0.1)  # the gateway's memory is not ours to wait for in another way
            last = self._seen(time.monotonic() - 1.0)
            if last and last[-1].rss <= RSS_FACTOR * self.idle_rss and last[-1].ms >= 0:
                break
        found.given_back_s = time.monotonic() - done
        found.samples = self._seen(began)
        found.rss_after = found.samples[-1].rss if found.samples else 0
        self.figures.append(found)

    def _seen(self, since: float) -> list[Sample]:
        return read_samples(self.samples, since, time.monotonic())

    def assert_alive(self) -> None:
        """/health was answered in time all the while, and the memory came back."""
        found = self.figures[-1]
        assert found.samples, "nothing was seen of the gateway"
        assert not found.unanswered, f"/health went unanswered {found.unanswered} times"
        worst = found.percentile(1)
        assert worst <= HEALTH_LIMIT_MS, f"/health took {worst:.0f} ms"
        assert found.rss_after <= RSS_FACTOR * self.idle_rss, (
            f"{found.rss_after / self.idle_rss:.2f} times the idle memory is kept"
        )

    def settle(self) -> None:
        """What the gateway holds when it has served a little and rests."""
        for model in ("up/honest", "via/honest", "anth/honest", "olla/honest"):
            for streamed in (False, True):
                assert self.ask(chat_body(model, stream=streamed, tools=TOOLS))[0] == 200, model
        time.sleep(1.0)  # the watcher has to see it
        self.idle_rss = self._seen(time.monotonic() - 1.0)[-1].rss

    def table(self) -> str:
        """All figures."""
        rows = [HEADING, *(found.row(self.idle_rss) for found in self.figures)]
        return "\n".join([*rows, f"idle: {self.idle_rss / 1e6:.0f} MB; load average {os.getloadavg()[0]:.1f}"])


def _prepare(folder: Path, upstream: str) -> tuple[dict[str, str], Path, str]:
    config, home = folder / "own.toml", folder / "home"
    kinds = {"up": "openai_compatible", "via": "openai_compatible", "anth": "anthropic", "olla": "ollama"}
    entries = "".join(
        f'[endpoints.{name}]\nkind = "{kind}"\nbase_url = "{upstream}"\napi_key = "{KEY}"\nlocal = true\n'
        for name, kind in kinds.items()
    )
    config.write_text(
        f"[gateway]\nbreaker_faults = 1000\n[limits]\ntimeout_s = {20 if LONG else 5}\nretries = 0\n{entries}", "utf-8"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SELFOPT_", "OPENAI_", "ANTHROPIC_", "OLLAMA_"))}
    environ = {**kept, "SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(home), "PYTHONPATH": str(ROOT)}
    app = App.open(environ=environ, cwd=folder)
    app.home.ensure()
    variant = get_variant("native_parsed")
    rules = [
        Rule(rule_id=rule_id_of(f"via/{name}", phase), model=f"via/{name}", phase=phase, allow=True, variant=variant)
        for name in REPLIES
        for phase in PHASES
    ]
    app.enforcer.apply(rules, event="test", reason="the campaign")
    key, _ = KeyFile(app.home.keys, app.enforcer.trail).add("campaign", scopes=("phase", "variant", "feedback"))
    return environ, home, key


def _started(arguments: list[str], environ: Mapping[str, str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=log, env=dict(environ), cwd=folder)


@contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def attacked_world(folder: Path) -> Iterator[World]:
    """All processes, with the memory of an idle gateway known."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    log, samples = folder / "log.txt", folder / "samples.txt"
    with log.open("wb") as errors, _ending(_started(["tests.attacks.upstream"], environ, ROOT, errors)) as upstream:
        assert upstream.stdout is not None
        where = f"127.0.0.1:{int(upstream.stdout.readline())}"
        environ, home, key = _prepare(folder, f"http://{where}")
        with _ending(_started(["selfopt", "serve", "--port", "0"], environ, folder, errors)) as gateway:
            assert gateway.stdout is not None
            port = int(gateway.stdout.readline().decode().split("127.0.0.1:")[1].partition("/")[0])
            watch = ["tests.attacks.watch", str(port), str(gateway.pid), str(samples)]
            with _ending(_started(watch, {**environ, "WATCH_KEY": key}, ROOT, errors)):
                secrets, hidden = (KEY.encode(), key.encode()), (where.encode(), b"own.toml", str(home).encode())
                world = World(folder, home, port, key, gateway.pid, environ, samples, log, secrets, hidden)
                world.settle()
                yield world
