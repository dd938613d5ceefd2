"""Where photos and products lie: a folder, or a store that speaks S3, as ``STORAGE_URL`` says.

Both do the same, and `tests/app/test_storage.py` asks both the same questions. Names in storage
come from identifiers and from names that `app.services.uploads` cleaned, never from an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from app.storage.local import FolderStorage
from app.storage.product import Product
from app.storage.s3 import S3Storage

# What storage raises where a disk is full or a store is away.
FAILURES = (OSError, BotoCoreError, Boto3Error, ClientError)


class Partial(Protocol):
    """The bytes of an upload, as they come."""

    def write(self, block: bytes) -> None:
        """Take the next bytes."""

    def make_safe(self) -> None:
        """Return once all bytes so far would survive a power cut."""

    def complete(self) -> None:
        """Make a file of the bytes: there are no more."""


class Storage(Protocol):
    """Everything that the application asks of storage.

    ``disk`` is a folder on the disk that surveys are processed on, which all workers share or those
    of one machine.
    """

    @property
    def disk(self) -> Path:
        """Where surveys are processed."""

    @property
    def is_shared(self) -> bool:
        """Whether workers of other machines process on the same disk."""

    def held_bytes(self, survey_id: UUID) -> int:
        """What lies in the workspace of a survey on this disk."""

    def check(self) -> None:
        """Raise an error of `FAILURES` where nothing can be kept."""

    def begin(self, upload_id: UUID) -> None:
        """Make room for an upload."""

    def go_on(self, upload_id: UUID, safe: Callable[[], int]) -> AbstractContextManager[Partial]:
        """Go on with an upload after the bytes that are safe; what came after them is dropped.

        In a folder for one request alone, and ``safe`` is asked when it is alone.
        """

    def arrived(self, upload_id: UUID) -> AbstractContextManager[Path]:
        """The complete file of an upload, on disk."""

    def take(self, upload_id: UUID, survey_id: UUID, name: str) -> None:
        """Make the file of an upload one of a survey; the upload's own stays until `give_up`."""

    def give_up(self, upload_id: UUID) -> None:
        """Remove an upload."""

    def photos(self, survey_id: UUID) -> Path:
        """Folder on disk with all files that were uploaded to a survey."""

    def workspace(self, survey_id: UUID) -> Path:
        """Folder on disk that a survey is processed in, with the stages that were kept."""

    def bring(self, survey_id: UUID, files: Iterable[Path]) -> None:
        """Have these photos, and the finished stages that these files are of, on disk."""

    def keep(self, survey_id: UUID, stage: str) -> None:
        """Keep a finished stage for whoever goes on after this worker."""

    def send(self, survey_id: UUID, name: str, path: Path) -> None:
        """Hand a file over to another worker of the survey."""

    def fetch(self, survey_id: UUID, name: str, path: Path) -> None:
        """Get a file that was handed over; `FileNotFoundError` where it is not there any more."""

    def drop(self, survey_id: UUID) -> None:
        """Remove all files that were handed over."""

    def publish(self, survey_id: UUID, names: list[str]) -> None:
        """Put products of the workspace in the place of the earlier ones, all at once."""

    def release(self, survey_id: UUID) -> None:
        """Remove what lies on this machine only because a survey was processed here."""

    def names(self, survey_id: UUID) -> set[str]:
        """Names of the products of a survey; empty before the first were published."""

    def product(self, survey_id: UUID, name: str) -> Product:
        """A product; raises `NotFound` where there is none of that name."""

    def original(self, survey_id: UUID, name: str) -> Product:
        """A file as it was uploaded; raises `NotFound` where there is none of that name."""

    def blocks(self, product: Product, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``."""

    def on_disk(self, survey_id: UUID) -> Path:
        """Folder on disk with the surface and what is known of it, to measure on."""

    def link(self, product: Product) -> str | None:
        """Address that gives a product to whoever has it, for some minutes; None on disk."""

    def remove_survey(self, survey_id: UUID) -> None:
        """Remove all files of a survey."""


def from_url(url: str) -> Storage:
    """Storage at ``file:///folder``, which is made, or at ``s3://bucket/folder``."""
    return S3Storage.from_url(url) if url.startswith("s3:") else FolderStorage.from_url(url)


__all__ = ["FAILURES", "FolderStorage", "Partial", "Product", "S3Storage", "Storage", "from_url"]
