"""Style sheets, scripts and pictures. They are named after their content, so a browser keeps them for good."""

from __future__ import annotations

import hashlib
from pathlib import Path

from selfopt.report.pages import look_css

from .asked import Asked, PageAnswer, PageError

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
KEPT = b"Cache-Control: public, max-age=31536000, immutable"


class StaticFiles:
    """All files below `static`, and the look that the reports have as well, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): (path.read_bytes(), KINDS[path.suffix])
            for path in sorted(folder.rglob("*"))
            if path.suffix in KINDS
        }
        self._files["look.css"] = look_css().encode("utf-8"), KINDS[".css"]
        told = hashlib.sha256(b"".join(data for data, _ in self._files.values()))
        self._version = told.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Return the address of a file."""
        if name not in self._files:
            raise KeyError(name)
        return f"/ui/static/{self._version}/{name}"

    async def show(self, asked: Asked) -> PageAnswer:
        """PageAnswer with a file, whatever version the address names."""
        found = self._files.get("/".join(filter(None, (asked.parts.get("folder", ""), asked.parts["name"]))))
        if found is None:
            raise PageError(404, "There is no such file")
        return PageAnswer(found[0], kind=found[1], headers=(KEPT,))
