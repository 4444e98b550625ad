"""Other gateways in front of the same upstream, each from its registry into an environment of its own in the cache folder.

LiteLLM: the proxy of the wheel `litellm[proxy]`, one worker. TensorZero: no registry has its gateway as a program; the Python wheel
`tensorzero` holds the whole of it (in Rust) and can open it as an HTTP server inside a Python process that does nothing else, which
is what is measured: with observability off, as it needs a database. Portkey: the npm package `@portkey-ai/gateway` under Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from .processes import GATEWAY_CORE, Child, free_port, start, wait_until_answers
from .requests import Shape, Target

__all__ = ["PEERS", "Peer", "running"]

KEY = "sk-perf-0123456789abcdef"
LITELLM, TENSORZERO, PORTKEY = "litellm[proxy]==1.108.7", "tensorzero==2026.6.0", "@portkey-ai/gateway@1.15.2"
START_TIMEOUT_S = 180.0
_OPEN_TENSORZERO = """
import sys, time, pathlib, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
while True:
    time.sleep(3600)
"""


@dataclass(slots=True)
class Peer:
    """A running one."""

    name: str
    child: Child
    url: str
    model: str
    ready_s: float
    headers: dict[str, str] = field(default_factory=dict)
    key: str = ""

    def target(self, shape: Shape) -> Target:
        """A kind of request to it."""
        return Target(self.name, self.url, shape, self.model, self.key, more=self.headers)


def _cache(name: str) -> Path:
    folder = Path(platformdirs.user_cache_dir("selfopt")) / "perf" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _python_with(package: str) -> Path:
    """A Python that has this package; its environment is made once."""
    folder = _cache(package.replace("[", "-").replace("]", "").replace("==", "-"))
    python, ready = folder / "env" / "bin" / "python", folder / "ready"
    if not ready.exists():
        _tell(f"installing {package} (once)")
        venv.EnvBuilder(with_pip=False, clear=True).create(folder / "env")
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--only-binary", ":all:", package], check=True, capture_output=True, text=True)
        ready.touch()
    return python


def _node_with(package: str) -> Path:
    """The folder of this npm package, installed once."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise RuntimeError("Node and npm are not installed")
    folder = _cache(package.strip("@").replace("/", "-").replace("@", "-"))
    ready = folder / "ready"
    if not ready.exists():
        _tell(f"installing {package} (once)")
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), package]
        subprocess.run(npm, check=True, capture_output=True, text=True)
        ready.touch()
    return folder / "node_modules" / package.rpartition("@")[0]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _litellm(folder: Path, upstream: str) -> Peer:
    python = _python_with(LITELLM)
    config, port = folder / "litellm.yaml", free_port()
    served = {"model": "openai/fixed", "api_base": f"{upstream}/v1", "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "fixed", "litellm_params": served}]}), "utf-8")
    command = [
        str(python.with_name("litellm")),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--num_workers",
        "1",
    ]
    environ = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOG": "ERROR",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    child = start("litellm", command, folder, core=GATEWAY_CORE, environ=environ)
    ready_s = _ready(child, f"http://127.0.0.1:{port}/health/liveliness")
    return Peer("litellm", child, f"http://127.0.0.1:{port}/v1/chat/completions", "fixed", ready_s, key=KEY)


def _tensorzero(folder: Path, upstream: str) -> Peer:
    python = _python_with(TENSORZERO)
    config, said = folder / "tensorzero.toml", folder / "tensorzero.url"
    provider = f'type = "openai"\nmodel_name = "fixed"\napi_base = "{upstream}/v1"\napi_key_location = "none"\n'
    config.write_text(
        f'[gateway]\nobservability.enabled = false\n[models.fixed]\nrouting = ["up"]\n[models.fixed.providers.up]\n{provider}',
        "utf-8",
    )
    began = time.perf_counter()
    child = start("tensorzero", [str(python), "-c", _OPEN_TENSORZERO, str(config), str(said)], folder, core=GATEWAY_CORE)
    while not (said.exists() and said.read_text("utf-8")):
        if child.process.poll() is not None or time.perf_counter() - began > START_TIMEOUT_S:
            child.end()
            raise RuntimeError(f"tensorzero did not start: {child.tail()}")
        time.sleep(0.01)
    url = said.read_text("utf-8")
    return Peer("tensorzero", child, f"{url}/chat/completions", "tensorzero::model_name::fixed", time.perf_counter() - began)


def _portkey(folder: Path, upstream: str) -> Peer:
    script = _node_with(PORTKEY) / "build" / "start-server.js"
    port = free_port()
    environ = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    child = start("portkey", ["node", str(script), f"--port={port}", "--headless"], folder, core=GATEWAY_CORE, environ=environ)
    ready_s = _ready(child, f"http://127.0.0.1:{port}/")
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"{upstream}/v1"}
    return Peer("portkey", child, f"http://127.0.0.1:{port}/v1/chat/completions", "fixed", ready_s, headers, KEY)


def _ready(child: Child, url: str) -> float:
    try:
        return wait_until_answers(child, url, START_TIMEOUT_S)
    except RuntimeError:
        child.end()
        raise


PEERS: dict[str, Callable[[Path, str], Peer]] = {"tensorzero": _tensorzero, "litellm": _litellm, "portkey": _portkey}


@contextmanager
def running(name: str, folder: Path, upstream: str) -> Iterator[Peer]:
    """One of them in front of this upstream. RuntimeError says why it could not be run."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        peer = PEERS[name](folder, upstream)
    except (OSError, subprocess.CalledProcessError) as error:
        text = str(getattr(error, "stderr", None) or error).strip()
        raise RuntimeError(f"{name} could not be installed or started: {text[-300:]}") from None
    try:
        peer.target("plain").check()
        yield peer
    finally:
        peer.child.end()
