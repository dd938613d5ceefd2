"""Storage in a folder, local or mounted from a network."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from app.errors import BusyError, NotFound
from app.storage.product import Product, no_such, size_of

_BLOCK_BYTES = 1 << 20


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _file(folder: Path, name: str) -> Product:
    try:
        path = (folder / name).resolve()
        stat = path.stat() if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):
        stat = None
    if stat is None:
        raise no_such(name)
    return Product(name, str(path), f"{stat.st_mtime_ns:x}-{stat.st_size:x}", stat.st_size)


class _Partial:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.write = file.write

    def make_safe(self) -> None:
        """Write through to the disk."""
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def complete(self) -> None:
        """Keep the last bytes."""
        self.make_safe()


class FolderStorage:
    """Folders of surveys below one root.

    Parameters
    ----------
    root : Path
    """

    is_shared = True

    def __init__(self, root: Path) -> None:
        self.root = self.disk = root

    @classmethod
    def from_url(cls, url: str) -> FolderStorage:
        """Storage at ``file:///folder``; the folder is made."""
        root = Path(unquote(urlsplit(url).path))
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def check(self) -> None:
        """See whether the folder can be written."""
        if not os.access(self.root, os.W_OK):
            raise OSError(f"{self.root} cannot be written.")

    def begin(self, upload_id: UUID) -> None:
        """Make the file of an upload."""
        self._upload(upload_id).touch()

    @contextmanager
    def go_on(self, upload_id: UUID, safe: Callable[[], int]) -> Iterator[_Partial]:
        """Open the file of an upload for one request alone."""
        try:
            file = self._upload(upload_id).open("r+b")
        except FileNotFoundError as error:
            raise NotFound("The upload's bytes are gone.", "Begin it again.") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "Another request is sending this file.", "Wait for it to end."
                ) from error
            offset = safe()
            file.truncate(offset)
            file.seek(offset)
            yield _Partial(file)

    @contextmanager
    def arrived(self, upload_id: UUID) -> Iterator[Path]:
        """The file of an upload."""
        yield self._upload(upload_id)

    def take(self, upload_id: UUID, survey_id: UUID, name: str) -> None:
        """Link the file of an upload into the photos."""
        photo = self.photos(survey_id) / name
        photo.unlink(missing_ok=True)
        _link(self._upload(upload_id), photo)

    def give_up(self, upload_id: UUID) -> None:
        """Remove the file of an upload."""
        self._upload(upload_id).unlink(missing_ok=True)

    def photos(self, survey_id: UUID) -> Path:
        """Folder of the photos of a survey."""
        return self._folder("surveys", str(survey_id), "photos")

    def products(self, survey_id: UUID) -> Path:
        """Link to the folder with the products that count, an empty one before the first."""
        products = self._folder("surveys", str(survey_id)) / "products"
        if not products.is_symlink():
            self._folder("surveys", str(survey_id), "products-none")
            with suppress(FileExistsError):
                products.symlink_to("products-none")
        return products

    def workspace(self, survey_id: UUID) -> Path:
        """Folder that the survey is processed in; finished stages stay in it for the next run."""
        return self._folder("surveys", str(survey_id), "workspace")

    def held_bytes(self, survey_id: UUID) -> int:
        """Bytes of the workspace."""
        return size_of(self.root / "surveys" / str(survey_id) / "workspace")

    def bring(self, survey_id: UUID, files: Iterable[Path]) -> None:
        """Nothing to do: they are where they were."""

    def keep(self, survey_id: UUID, stage: str) -> None:
        """Nothing to do: stages are where the next worker finds them."""

    def send(self, survey_id: UUID, name: str, path: Path) -> None:
        """Copy a file to where all workers see it."""
        target = self._folder("surveys", str(survey_id), "handed") / name
        fresh = target.with_name(f".{uuid4().hex}")
        shutil.copyfile(path, fresh)
        fresh.replace(target)

    def fetch(self, survey_id: UUID, name: str, path: Path) -> None:
        """Link the file."""
        _link(self._folder("surveys", str(survey_id), "handed") / name, path)

    def drop(self, survey_id: UUID) -> None:
        """Remove the folder of such files."""
        shutil.rmtree(self._folder("surveys", str(survey_id), "handed"), ignore_errors=True)

    def publish(self, survey_id: UUID, names: list[str]) -> None:
        """Link products into a folder of their own and turn ``products``, a symbolic link, to it.

        The version before stays: somebody may still be reading it.
        """
        products, workspace = self.products(survey_id), self.workspace(survey_id)
        fresh = products.with_name(f"products-{uuid4().hex}")
        fresh.mkdir()
        try:
            for name in names:
                source = workspace / name
                if source.is_dir():
                    shutil.copytree(source, fresh / name, copy_function=_link)
                elif source.suffix == ".jsonl":
                    # The log grows where it is.
                    shutil.copy2(source, fresh / name)
                else:
                    _link(source, fresh / name)
        except BaseException:
            shutil.rmtree(fresh)
            raise
        before = products.resolve()
        turned = products.with_name("products.turned")
        turned.unlink(missing_ok=True)
        turned.symlink_to(fresh.name)
        turned.replace(products)
        for old in products.parent.glob("products-*"):
            if old not in (fresh, before):
                shutil.rmtree(old, ignore_errors=True)

    def release(self, survey_id: UUID) -> None:
        """Nothing to do: there is no copy."""

    def names(self, survey_id: UUID) -> set[str]:
        """Names of the products."""
        folder = self.products(survey_id)
        return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}

    def product(self, survey_id: UUID, name: str) -> Product:
        """A file of the survey folder, unless the name leads out of it."""
        return _file(self.products(survey_id).resolve(), name)

    def original(self, survey_id: UUID, name: str) -> Product:
        """A file of the photos, unless the name leads out of them."""
        return _file(self.photos(survey_id).resolve(), name)

    def blocks(self, product: Product, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read a part of a file."""
        left = (product.size if end is None else end) - start
        with open(product.path, "rb") as file:
            file.seek(start)
            while left > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
                left -= len(block)
                yield block

    def on_disk(self, survey_id: UUID) -> Path:
        """The survey folder itself."""
        return self.products(survey_id)

    def link(self, product: Product) -> None:
        """None: files on disk are sent by the server itself."""

    def remove_survey(self, survey_id: UUID) -> None:
        """Remove the folder of a survey."""
        shutil.rmtree(self.root / "surveys" / str(survey_id), ignore_errors=True)

    def _upload(self, upload_id: UUID) -> Path:
        return self._folder("uploads") / str(upload_id)

    def _folder(self, *names: str) -> Path:
        folder = self.root.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
