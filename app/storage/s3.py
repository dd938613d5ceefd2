"""Storage in a store that speaks S3.

    surveys/ID/photos/NAME            what was uploaded
    surveys/ID/work/STAGE.zip         finished stages, for the worker that goes on after a dead one
    surveys/ID/handed/NAME            shards of a stage and their results, on their way
    surveys/ID/products/VERSION/NAME  products of one run
    surveys/ID/products.json          which version counts, with the size of each of its files
    uploads/ID/…                      uploads on their way, see `s3_partial`

Products become visible by the one object that names their version: complete, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from botocore.exceptions import ClientError

from app import bundle
from app.storage.product import Product, no_such, size_of
from app.storage.s3_client import AT_ONCE, client, patiently, tell_gdal
from app.storage.s3_partial import S3Partial

_BLOCK_BYTES = 1 << 20
_LINK_S = 600
# How long a process may not notice that newer products were published; the version before stays.
_FRESH_S = 2.0
_MEASURED = ("dsm.tif", "dsm_quality.tif", "survey.json", "accuracy.json")
# What nobody used for so long is removed from a machine: it is in the store anyway.
_IDLE_S = 24 * 3600.0
_MISSING = ("NoSuchKey", "404")
# Metadata of a stage: tells it from those of other inputs and options.
_MADE_OF = "made-of"


class S3Storage:
    """Objects below one prefix of a bucket.

    Parameters
    ----------
    bucket : str
    prefix : str
        Empty, or a folder with a slash at its end.
    scratch : Path
        Folder of this machine for what programs need on disk. The same on all machines: stages know
        their photos by path.
    """

    is_shared = False

    def __init__(self, bucket: str, prefix: str, scratch: Path) -> None:
        self.bucket, self.prefix, self.scratch = bucket, prefix, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        self.disk = scratch
        self._client = client()
        self._known: dict[UUID, tuple[float, dict[str, Any]]] = {}
        tell_gdal(self._client.meta.endpoint_url)

    @classmethod
    def from_url(cls, url: str) -> S3Storage:
        """Storage at ``s3://bucket/folder``; keys, region and endpoint as boto3 finds them."""
        parts = urlsplit(url)
        folder = unquote(parts.path).strip("/")
        scratch = Path(tempfile.gettempdir()) / "cairn"
        return cls(parts.netloc, f"{folder}/" if folder else "", scratch)

    def check(self) -> None:
        """See whether the bucket answers."""
        self._client.head_bucket(Bucket=self.bucket)

    def begin(self, upload_id: UUID) -> None:
        """Begin a multipart upload."""
        S3Partial.begin(self._client, self.bucket, self._upload(upload_id))

    @contextmanager
    def go_on(self, upload_id: UUID, safe: Callable[[], int]) -> Iterator[S3Partial]:
        """Go on with a multipart upload."""
        yield S3Partial(self._client, self.bucket, self._upload(upload_id), safe())

    @contextmanager
    def arrived(self, upload_id: UUID) -> Iterator[Path]:
        """The file of an upload, fetched to look at it."""
        with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
            path = Path(folder) / "file"
            self._client.download_file(self.bucket, f"{self._upload(upload_id)}/file", str(path))
            yield path

    def take(self, upload_id: UUID, survey_id: UUID, name: str) -> None:
        """Copy the file of an upload to the photos, within the store."""
        source = {"Bucket": self.bucket, "Key": f"{self._upload(upload_id)}/file"}
        self._client.copy(source, self.bucket, f"{self._survey(survey_id)}photos/{name}")

    def give_up(self, upload_id: UUID) -> None:
        """Remove what came of an upload."""
        folder = self._upload(upload_id)
        S3Partial.abort(self._client, self.bucket, folder)
        self._remove(f"{folder}/")

    def photos(self, survey_id: UUID) -> Path:
        """Fetch the photos that are not on disk yet, with the times that they have in the store."""
        self._tidy()
        folder, there = self._place(survey_id, "photos"), self._photos(survey_id)
        for path in folder.iterdir():
            if path.name not in there and not path.name.startswith("."):
                path.unlink(missing_ok=True)
        self._fetch_photos(folder, there)
        return folder

    def _photos(self, survey_id: UUID) -> dict[str, Any]:
        """What the store says of the photos of a survey, by their names."""
        prefix = f"{self._survey(survey_id)}photos/"
        found = patiently(self._list, prefix)
        return {item["Key"].removeprefix(prefix): item for item in found}

    def _fetch_photos(self, folder: Path, there: dict[str, Any]) -> None:
        def fetch(name: str) -> None:
            path, item = folder / name, there[name]
            taken_s = item["LastModified"].timestamp()
            if path.is_file() and (path.stat().st_size, path.stat().st_mtime) == (
                item["Size"],
                taken_s,
            ):
                return
            self._fetch(item["Key"], path, taken_s)

        _at_once(fetch, there)

    def workspace(self, survey_id: UUID) -> Path:
        """Unpack the stages that an earlier worker kept and this one does not have."""
        folder, prefix = self._place(survey_id, "workspace"), f"{self._survey(survey_id)}work/"
        for item in patiently(self._list, prefix):
            kept = Path(item["Key"])
            if kept.suffix == ".zip" and not (folder / "work" / kept.stem).is_dir():
                self._unpack(item["Key"], folder / "work" / kept.stem)
        return folder

    def held_bytes(self, survey_id: UUID) -> int:
        """Bytes of the workspace on this machine."""
        return size_of(self.scratch / "surveys" / str(survey_id) / "workspace")

    def bring(self, survey_id: UUID, files: Iterable[Path]) -> None:
        """Fetch these photos and unpack the stages of these files."""
        photos = self._place(survey_id, "photos")
        work = self._place(survey_id, "workspace") / "work"
        names, stages = set(), set()
        for path in files:
            if path.is_relative_to(work):
                stages.add(path.relative_to(work).parts[0])
            else:
                names.add(path.relative_to(photos).as_posix())
        known = self._photos(survey_id) if names else {}
        self._fetch_photos(photos, {name: known[name] for name in names & known.keys()})
        for stage in stages:
            key = f"{self._survey(survey_id)}work/{stage}.zip"
            # What lies here may be of an earlier run with other options.
            if patiently(self._metadata, key).get(_MADE_OF) != _made_of(work / stage):
                self._unpack(key, work / stage)

    def _unpack(self, key: str, folder: Path) -> None:
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="stage-", dir=folder.parent.parent) as name:
            archive = Path(name) / "archive"
            patiently(self._client.download_file, self.bucket, key, str(archive))
            bundle.unpack(archive, Path(name) / folder.name)
            shutil.rmtree(folder, ignore_errors=True)
            # Another process of this machine may have been quicker.
            if not folder.is_dir():
                (Path(name) / folder.name).rename(folder)

    def keep(self, survey_id: UUID, stage: str) -> None:
        """Send the folder of a finished stage as one object, unless the store has it."""
        folder = self._place(survey_id, "workspace") / "work" / stage
        made_of = _made_of(folder)
        key = f"{self._survey(survey_id)}work/{stage}.zip"
        if patiently(self._metadata, key).get(_MADE_OF) == made_of:
            return
        with tempfile.NamedTemporaryFile(dir=self.scratch, suffix=".zip") as file:
            bundle.pack(folder, Path(file.name))
            extra = {"Metadata": {_MADE_OF: made_of}}
            patiently(self._client.upload_file, file.name, self.bucket, key, ExtraArgs=extra)

    def send(self, survey_id: UUID, name: str, path: Path) -> None:
        """Send a file."""
        key = f"{self._survey(survey_id)}handed/{name}"
        patiently(self._client.upload_file, str(path), self.bucket, key)

    def fetch(self, survey_id: UUID, name: str, path: Path) -> None:
        """Fetch a file."""
        key = f"{self._survey(survey_id)}handed/{name}"
        try:
            patiently(self._client.download_file, self.bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise FileNotFoundError(name) from error
            raise

    def drop(self, survey_id: UUID) -> None:
        """Remove such files."""
        patiently(self._remove, f"{self._survey(survey_id)}handed/")

    def publish(self, survey_id: UUID, names: list[str]) -> None:
        """Send all files as a new version, then say that it counts, then remove older ones."""
        workspace, version = self._place(survey_id, "workspace"), uuid4().hex
        files = dict(_files(workspace, names))
        prefix = f"{self._survey(survey_id)}products/"

        def send(name: str) -> None:
            key = f"{prefix}{version}/{name}"
            patiently(self._client.upload_file, str(files[name]), self.bucket, key)

        before = patiently(self._manifest, survey_id).get("version")
        _at_once(send, files)
        sizes = {name: path.stat().st_size for name, path in files.items()}
        patiently(
            self._client.put_object,
            Bucket=self.bucket,
            Key=f"{self._survey(survey_id)}products.json",
            Body=json.dumps({"version": version, "files": sizes}).encode(),
        )
        self._known.pop(survey_id, None)
        # Somebody may still be reading the version before.
        for item in patiently(self._list, prefix):
            if item["Key"].removeprefix(prefix).split("/")[0] not in (version, before):
                patiently(self._client.delete_object, Bucket=self.bucket, Key=item["Key"])

    def release(self, survey_id: UUID) -> None:
        """Remove photos and workspace from this machine."""
        shutil.rmtree(self.scratch / "surveys" / str(survey_id), ignore_errors=True)

    def names(self, survey_id: UUID) -> set[str]:
        """Names of the products."""
        return set(self._known_manifest(survey_id).get("files", {}))

    def product(self, survey_id: UUID, name: str) -> Product:
        """A product of the version that counts."""
        manifest = self._known_manifest(survey_id)
        size = manifest.get("files", {}).get(name)
        if size is None:
            raise no_such(name)
        version = manifest["version"]
        key = f"{self._survey(survey_id)}products/{version}/{name}"
        return Product(name, f"/vsis3/{self.bucket}/{key}", version, size, key)

    def original(self, survey_id: UUID, name: str) -> Product:
        """An object of the photos."""
        key = f"{self._survey(survey_id)}photos/{name}"
        try:
            head = self._client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise no_such(name) from error
            raise
        version = head["ETag"].strip('"')
        return Product(name, f"/vsis3/{self.bucket}/{key}", version, head["ContentLength"], key)

    def blocks(self, product: Product, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read a range of an object."""
        last = (product.size if end is None else end) - 1
        if last < start:
            return
        answer = self._client.get_object(
            Bucket=self.bucket, Key=product.key, Range=f"bytes={start}-{last}"
        )
        yield from answer["Body"].iter_chunks(_BLOCK_BYTES)

    def on_disk(self, survey_id: UUID) -> Path:
        """Fetch the surface and what is known of it, once a version."""
        manifest = self._known_manifest(survey_id)
        if not manifest:
            return self._place(survey_id, "nothing")
        folder = self.scratch / "products" / str(survey_id) / manifest["version"]
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            fresh = Path(name) / "fresh"
            fresh.mkdir()
            for known in set(_MEASURED) & set(manifest["files"]):
                key = self.product(survey_id, known).key
                self._client.download_file(self.bucket, key, str(fresh / known))
            # Another process may have been quicker.
            if not folder.is_dir():
                fresh.rename(folder)
        return folder

    def link(self, product: Product) -> str:
        """A signed address."""
        return str(
            self._client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.bucket, "Key": product.key},
                ExpiresIn=_LINK_S,
            )
        )

    def remove_survey(self, survey_id: UUID) -> None:
        """Remove all objects of a survey."""
        self._remove(self._survey(survey_id))
        self.release(survey_id)
        shutil.rmtree(self.scratch / "products" / str(survey_id), ignore_errors=True)

    def _known_manifest(self, survey_id: UUID) -> dict[str, Any]:
        read_at, manifest = self._known.get(survey_id, (-_FRESH_S, {}))
        if time.monotonic() - read_at > _FRESH_S:
            manifest = self._manifest(survey_id)
            if len(self._known) > 1000:
                self._known.clear()
            self._known[survey_id] = time.monotonic(), manifest
        return manifest

    def _manifest(self, survey_id: UUID) -> dict[str, Any]:
        try:
            key = f"{self._survey(survey_id)}products.json"
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return {}
            raise
        return dict(json.loads(answer["Body"].read()))

    def _fetch(self, key: str, path: Path, changed_s: float) -> None:
        partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
        patiently(self._client.download_file, self.bucket, key, str(partial))
        os.utime(partial, (changed_s, changed_s))
        partial.rename(path)

    def _metadata(self, key: str) -> dict[str, str]:
        try:
            return dict(self._client.head_object(Bucket=self.bucket, Key=key)["Metadata"])
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return {}
            raise

    def _list(self, prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [item for page in found for item in page.get("Contents", [])]

    def _remove(self, prefix: str) -> None:
        for item in self._list(prefix):
            self._client.delete_object(Bucket=self.bucket, Key=item["Key"])

    def _upload(self, upload_id: UUID) -> str:
        return f"{self.prefix}uploads/{upload_id}"

    def _survey(self, survey_id: UUID) -> str:
        return f"{self.prefix}surveys/{survey_id}/"

    def _place(self, survey_id: UUID, name: str) -> Path:
        survey = self.scratch / "surveys" / str(survey_id)
        folder = survey / name
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(survey)
        return folder

    def _tidy(self) -> None:
        """Remove from this machine what no job used for a day."""
        for folder in (*self.scratch.glob("surveys/*"), *self.scratch.glob("products/*")):
            if folder.stat().st_mtime < time.time() - _IDLE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _made_of(stage: Path) -> str:
    """What tells a finished stage from others of its name; empty where there is none."""
    manifest = stage / "manifest.json"
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""


def _files(folder: Path, names: list[str]) -> Iterator[tuple[str, Path]]:
    for name in names:
        path = folder / name
        found = [f for f in sorted(path.rglob("*")) if f.is_file()] if path.is_dir() else [path]
        yield from ((f.relative_to(folder).as_posix(), f) for f in found)


def _at_once(function: Any, names: Any) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(function, names))
