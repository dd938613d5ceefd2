"""Uploads: a gigabyte beside a plain copy, and 500 photos until their verdict."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO
from uuid import UUID

# As many as a browser sends, in parts as large.
AT_ONCE, _PART_BYTES = 3, 16 << 20
_UPLOAD_BYTES = 1_000_000_000
_PHOTOS = 500


def upload_gigabyte(port: int, token: str, survey_ids: list[UUID], folder: Path) -> None:
    """A gigabyte, in so many files at once and in the parts that browsers send, beside a copy."""
    count = len(survey_ids)
    source = folder / "source.las"
    block = os.urandom(1 << 20)
    with source.open("wb") as file:
        file.write(b"LASF" + block[4:])
        for _ in range(_UPLOAD_BYTES // count // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    size_mb = count * source.stat().st_size / 1e6
    copied, safe = (size_mb / _copy_s(source, count, is_safe) for is_safe in (False, True))
    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda survey_id: _send_file(port, token, survey_id, source), survey_ids))
    rate = size_mb / (time.perf_counter() - start)
    what = f"upload of 1 GB in {count} {'file' if count == 1 else 'files at once'}"
    measured = (
        f"{rate:.0f} MB/s, {rate / safe:.0%} of a copy that is on disk ({safe:.0f} MB/s), "
        f"{rate / copied:.0%} of one in memory ({copied:.0f} MB/s)"
    )
    print(f"| {what}, checked and on disk | ≥ 50 % of a plain copy | {measured} |", flush=True)


def upload_photos(port: int, token: str, survey_id: UUID, images: Path) -> None:
    """Photos as somebody drags them in, and how long after the last one the verdict is there."""
    originals = [path.read_bytes() for path in sorted(images.iterdir())]
    start = time.perf_counter()

    def send(number: int) -> int:
        # Other bytes behind the picture: none is the same photo as another.
        content = originals[number % len(originals)] + number.to_bytes(4, "big")
        _send(port, token, survey_id, f"DJI_{number:04}.JPG", io.BytesIO(content), len(content))
        return len(content)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        size_mb = sum(pool.map(send, range(_PHOTOS))) / 1e6
    sent_s = time.perf_counter() - start
    address, header = f"/api/v1/surveys/{survey_id}/verdict", {"Authorization": f"Bearer {token}"}
    start = time.perf_counter()
    _ask(port, "POST", address, header)
    while not json.loads(_ask(port, "GET", address, header))["verdict"]:
        time.sleep(0.05)
    verdict_s = time.perf_counter() - start
    measured = f"{sent_s:.0f} s ({size_mb / sent_s:.0f} MB/s); verdict {verdict_s:.1f} s later"
    print(
        f"| {_PHOTOS} photos of {size_mb / _PHOTOS:.1f} MB dragged in | – | {measured} |",
        flush=True,
    )


def _copy_s(source: Path, count: int, is_safe: bool) -> float:
    """Seconds that copies of a file take, one after the other."""
    copy = source.with_name("copy.las")
    start = time.perf_counter()
    for _ in range(count):
        shutil.copyfile(source, copy)
        if is_safe:
            with copy.open("rb") as file:
                os.fsync(file.fileno())
    passed_s = time.perf_counter() - start
    copy.unlink()
    return passed_s


def _send_file(port: int, token: str, survey_id: UUID, source: Path) -> None:
    with source.open("rb") as file:
        _send(port, token, survey_id, source.name, file, source.stat().st_size)


def _send(port: int, token: str, survey_id: UUID, name: str, file: IO[bytes], length: int) -> None:
    """Upload a file by tus."""
    tus = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    coded = base64.b64encode(name.encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begin = tus | {"Upload-Length": str(length), "Upload-Metadata": f"filename {coded}"}
    connection.request("POST", f"/api/v1/surveys/{survey_id}/uploads", headers=begin)
    answer = connection.getresponse()
    answer.read()
    address, offset = answer.headers["Location"], 0
    while part := file.read(_PART_BYTES):
        headers = tus | {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        connection.request("PATCH", address, part, headers)
        answer = connection.getresponse()
        if answer.status != 204:
            raise RuntimeError(f"the upload was answered {answer.status}: {answer.read()!r}")
        answer.read()
        offset += len(part)
    connection.close()


def _ask(port: int, method: str, address: str, header: dict[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, address, headers=header)
    said = connection.getresponse().read()
    connection.close()
    return said
