"""Storage in a folder, local or mounted from a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from app.errors import NotFound


class Storage:
    """Folders of surveys below one root. Names come from identifiers, never from people.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def from_url(cls, url: str) -> Storage:
        """Storage at ``file:///folder``; the folder is made."""
        root = Path(unquote(urlsplit(url).path))
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def photos(self, survey_id: UUID) -> Path:
        """Folder of the photos of a survey."""
        return self._folder("surveys", str(survey_id), "photos")

    def products(self, survey_id: UUID) -> Path:
        """The survey folder that `reconstruction` writes."""
        return self._folder("surveys", str(survey_id), "products")

    def product(self, survey_id: UUID, name: str) -> Path:
        """A file of a survey folder.

        Raises
        ------
        NotFound
            When there is none, or the name leads out of the folder.
        """
        folder = self.products(survey_id).resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise NotFound(f"The survey has no file {name!r}.", "Its page lists those it has.")
        return path

    def upload(self, upload_id: UUID) -> Path:
        """File of an upload that is not complete."""
        return self._folder("uploads") / str(upload_id)

    def remove_survey(self, survey_id: UUID) -> None:
        """Remove all files of a survey."""
        shutil.rmtree(self.root / "surveys" / str(survey_id), ignore_errors=True)

    def _folder(self, *names: str) -> Path:
        folder = self.root.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
