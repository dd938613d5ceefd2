"""An upload into a store: parts of a multipart upload, and a tail that is too short for one.

The row of the upload says how many bytes are safe. Parts that reach further were sent by a request
that died before it could say so; they are replaced.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from app.errors import NotFound

# The protocol takes no part below 5 MiB but the last.
PART_BYTES = 8 << 20
# And no copied one above 5 GiB.
_COPY_BYTES = 1 << 30


class S3Partial:
    """The bytes of one upload.

    Parameters
    ----------
    client : botocore client
    bucket, folder : str
        The upload's objects lie below ``folder``: ``multipart`` names the multipart upload,
        ``file`` is what it makes, ``tail-N`` holds the bytes from N on.
    offset : int
        Bytes that are safe.
    """

    def __init__(self, client: Any, bucket: str, folder: str, offset: int) -> None:
        self._client, self._bucket, self._folder = client, bucket, folder
        self._multipart = self._text("multipart")
        self._tail = bytearray()
        try:
            self._parts, self._sent = self._kept(offset)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
            self._begin_again(offset)
        else:
            self._tail += self._bytes(f"tail-{self._sent}")[: offset - self._sent]

    @staticmethod
    def begin(client: Any, bucket: str, folder: str) -> None:
        """Begin the multipart upload."""
        made = client.create_multipart_upload(Bucket=bucket, Key=f"{folder}/file")
        client.put_object(Bucket=bucket, Key=f"{folder}/multipart", Body=made["UploadId"].encode())

    @staticmethod
    def abort(client: Any, bucket: str, folder: str) -> None:
        """Drop the parts of the multipart upload, if there are any."""
        try:
            named = client.get_object(Bucket=bucket, Key=f"{folder}/multipart")
            client.abort_multipart_upload(
                Bucket=bucket, Key=f"{folder}/file", UploadId=named["Body"].read().decode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchUpload", "404"):
                raise

    def write(self, block: bytes) -> None:
        """Take the next bytes; full parts are sent at once, so memory holds one."""
        self._tail += block
        if len(self._tail) >= PART_BYTES:
            self._send()

    def make_safe(self) -> None:
        """Keep the bytes that make no part yet."""
        if self._tail:
            name = f"{self._folder}/tail-{self._sent}"
            self._client.put_object(Bucket=self._bucket, Key=name, Body=bytes(self._tail))

    def complete(self) -> None:
        """Make the file of its parts."""
        if self._tail:
            self._send()
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=f"{self._folder}/file",
            UploadId=self._multipart,
            MultipartUpload={"Parts": self._parts},
        )

    def _begin_again(self, offset: int) -> None:
        """Take over a file that was completed by a request that died before its row was written."""
        source = {"Bucket": self._bucket, "Key": f"{self._folder}/file"}
        if self._client.list_objects_v2(Bucket=self._bucket, Prefix=source["Key"])["KeyCount"] == 0:
            raise _gone()
        self.begin(self._client, self._bucket, self._folder)
        self._multipart = self._text("multipart")
        self._parts, self._sent = [], 0
        if offset < PART_BYTES:
            self._tail += self._bytes("file")[:offset]
            return
        count = -(-offset // _COPY_BYTES)
        for number in range(1, count + 1):
            end = offset * number // count
            copied = self._client.upload_part_copy(
                **source,
                UploadId=self._multipart,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={self._sent}-{end - 1}",
            )
            self._parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
            self._sent = end

    def _send(self) -> None:
        number = len(self._parts) + 1
        sent = self._client.upload_part(
            Bucket=self._bucket,
            Key=f"{self._folder}/file",
            UploadId=self._multipart,
            PartNumber=number,
            Body=bytes(self._tail),
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        self._sent += len(self._tail)
        self._tail.clear()

    def _kept(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Parts that lie within the safe bytes, and how many bytes those are."""
        parts: list[dict[str, Any]] = []
        sent = 0
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=f"{self._folder}/file", UploadId=self._multipart
        )
        for page in pages:
            for part in page.get("Parts", []):
                if sent + part["Size"] > offset or part["PartNumber"] != len(parts) + 1:
                    return parts, sent
                parts.append({"PartNumber": part["PartNumber"], "ETag": part["ETag"]})
                sent += part["Size"]
        return parts, sent

    def _text(self, name: str) -> str:
        found = self._bytes(name).decode()
        if not found:
            raise _gone()
        return found

    def _bytes(self, name: str) -> bytes:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._folder}/{name}")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return b""
            raise
        return bytes(answer["Body"].read())


def _gone() -> NotFound:
    return NotFound("The upload's bytes are gone.", "Begin it again.")
