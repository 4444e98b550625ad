"""Runs deploy/clients.sh, which asks through the clients that people use, against gateways in front of scripted models.

    make test-clients                                            # installs them from PyPI and npm into a temporary folder
    make test-clients CLIENTS_FLAGS="--only 'no rule' --clients openai_node"

The models report their calls or write them as text, with and without a variant, behind servers of three dialects.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .conftest import environment, serving
from .probe import Gateway, reply, running, settle

ROOT = Path(__file__).resolve().parent.parent.parent
CALL = ("get_weather", {"city": "Oslo"})
GATEWAYS = (
    Gateway("native"),
    Gateway("written"),
    Gateway("native", variant="native_parsed@2"),
    Gateway("written", variant="atomic@2"),
    Gateway("native", "ollama"),
    Gateway("native", "anthropic"),
)


def script() -> dict[str, Any]:
    """Models that greet, call a tool when asked about the weather, and answer with its result."""
    models: dict[str, Any] = {}
    for way in ("native", "written"):
        rules = [
            {"match": {"conversation_contains": "It is raining."}, "text": "It rains in Oslo."},
            {"match": {"contains": "weather in Oslo"}, **reply(way, (CALL,), "")},
        ]
        models[way] = {"replies": rules, "default": {"text": "Hello!"}, "initially_loaded": True}
    return {"models": models}


def main() -> int:
    """Ask through each client, and say how it went."""
    parser = argparse.ArgumentParser(description="Runs deploy/clients.sh against gateways in front of scripted models.")
    parser.add_argument("--only", default="", help="ask the gateways whose names contain this")
    parser.add_argument("--clients", default="", help="ask through these clients, named as in deploy/clients.sh")
    parser.add_argument("--folder", default="", help="install the clients here, and keep them")
    chosen = parser.parse_args()
    gateways = [gateway for gateway in GATEWAYS if chosen.only in gateway.name]
    failed = not gateways
    with tempfile.TemporaryDirectory() as temporary:
        folder, more = Path(temporary), {"FOLDER": chosen.folder or f"{temporary}/clients"}
        (folder / "script.yaml").write_text(json.dumps(script()), "utf-8")
        (folder / "user.toml").touch()
        with running(["scripted", str(folder / "script.yaml")], environment(folder)) as url:
            settle(folder, url, gateways)
            with serving(folder) as port:
                for number, gateway in enumerate(gateways):
                    print(f"-- {gateway.name}", flush=True)
                    model = f"e{number}/{gateway.calls}"
                    embeds = {} if gateway.kind == "anthropic" else {"EMBEDDING": model}
                    only = {"CLIENTS": chosen.clients} if chosen.clients else {}
                    command = ["sh", str(ROOT / "deploy" / "clients.sh"), f"http://127.0.0.1:{port}/v1", model]
                    failed |= subprocess.run(command, env={**os.environ, **more, **embeds, **only}, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
