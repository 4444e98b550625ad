"""Model files in the user's cache folder."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ModelStore"]


class ModelStore:
    """Model files under `root`, one folder a model."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path_of(self, name: str) -> Path | None:
        """The model's file, or None when it is not pulled."""
        path = self.folder_of(name) / "model.gguf"
        return path if path.is_file() else None

    def folder_of(self, name: str) -> Path:
        """Where a model's files are kept."""
        return self.root / "models" / name.replace("/", "--").replace(":", "_")
