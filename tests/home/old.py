"""A trail as selfopt 0.1 left it: no head, and no record that tells of one."""

from __future__ import annotations

import json

from selfopt.home import GENESIS_HASH, ChainedFile
from selfopt.home.chain_line import sealed_body, written

__all__ = ["without_head"]


def without_head(chain: ChainedFile) -> dict[str, str]:
    """Rewrite the trail without its head; returns new hashes by old ones."""
    last, lines, hashes = GENESIS_HASH, [], {}
    for line in chain.path.read_bytes().splitlines():
        body = json.loads(line)
        old = body.pop("hash")
        body["details"].pop("head_kept", None)
        body = sealed_body(body | {"previous_hash": last})
        hashes[old] = last = body["hash"]
        lines.append(written(body))
    chain.path.write_bytes(b"".join(lines))
    chain.head.path.unlink()
    return hashes
