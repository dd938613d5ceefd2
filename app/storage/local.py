"""Storage in a folder, local or mounted from a network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from app.errors import NotFound


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


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

    def workspace(self, survey_id: UUID) -> Path:
        """Folder that the survey is processed in; finished stages stay in it for the next run."""
        return self._folder("surveys", str(survey_id), "workspace")

    def publish(self, survey_id: UUID, names: list[str]) -> None:
        """Put products of the workspace in the place of the earlier ones, all at once.

        Files are linked, not copied; where the file system cannot link, they are copied.
        """
        products, workspace = self.products(survey_id), self.workspace(survey_id)
        fresh, old = products.with_name("products.new"), products.with_name("products.old")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for name in names:
            source = workspace / name
            if source.is_dir():
                shutil.copytree(source, fresh / name, copy_function=_link)
            else:
                _link(source, fresh / name)
        shutil.rmtree(old, ignore_errors=True)
        products.rename(old)
        fresh.rename(products)
        shutil.rmtree(old, ignore_errors=True)

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
