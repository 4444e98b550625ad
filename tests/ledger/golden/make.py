"""Makes the golden files. Run once per schema version, before the next one exists; the results are never made again.

python -m tests.ledger.golden.make
"""

from __future__ import annotations

import json
from pathlib import Path

from selfopt.ledger import SCHEMA_VERSION, open_ledger
from tests.ledger import samples


def main() -> None:
    """Write ledger-v<n>.sqlite3 and, beside it, what it must be read as."""
    path = Path(__file__).parent / f"ledger-v{SCHEMA_VERSION}.sqlite3"
    if path.exists():
        raise SystemExit(f"{path} is there already, and golden files are never replaced")
    ledger = open_ledger(path)
    samples.put(ledger, samples.every_kind())
    ledger.close()
    body = {r.ledger_kind: [r.record_id, r.model_dump(mode="json")] for r in samples.every_kind()}
    path.with_suffix(".json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
