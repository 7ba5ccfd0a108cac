"""Where things lie: the folders of a project, and the cache that projects share."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """One folder with `build/` and `model_repository/` in it.

    Attributes:
        root: The project's folder.
    """

    root: Path

    @property
    def recipes(self) -> Path:
        """Folder of the recipes, one file a model."""
        return self.root / "build"

    @property
    def repository(self) -> Path:
        """The Triton model repository."""
        return self.root / "model_repository"

    @property
    def work(self) -> Path:
        """Intermediate files of builds; safe to delete."""
        return self.root / ".engineroom"

    @classmethod
    def find(cls, start: Path | None = None) -> "Project":
        """The project of `ENGINEROOM_PROJECT`, else the nearest folder upwards that has recipes or a repository.

        Args:
            start: Folder to begin at; the current one by default.

        Returns:
            The project found, or the one at `start` where nothing upwards looks like a project.
        """
        named = os.environ.get("ENGINEROOM_PROJECT")
        if named:
            return cls(Path(named).resolve())
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "model_repository").is_dir() or (folder / "build").is_dir():
                return cls(folder)
        return cls(here)


def cache_folder() -> Path:
    """Folder for what projects share, such as the embedded server.

    `ENGINEROOM_CACHE` names it; by default it is `engineroom` in the XDG cache folder
    (XDG Base Directory Specification: `$XDG_CACHE_HOME`, else `~/.cache`).
    """
    named = os.environ.get("ENGINEROOM_CACHE")
    if named:
        return Path(named).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "engineroom"
