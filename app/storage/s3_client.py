"""The client of a store that speaks S3: its settings, and patience while it is away."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error, S3UploadFailedError
from botocore.config import Config as ClientConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

# What one process asks for at the same time.
AT_ONCE = 8
# A request gives up soon; hours of work wait for a store that is away for some minutes.
_PATIENCE_S, _PAUSE_S = 600.0, 2.0
# Uploads of boto3 wrap what botocore says.
_AWAY = (ConnectionError, HTTPClientError, IncompleteReadError, S3UploadFailedError)
_SERVER_ERROR = 500

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


def client() -> Any:
    """A client of the store, with keys, region and endpoint as boto3 finds them."""
    return boto3.client(
        "s3",
        config=ClientConfig(
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=5,
            read_timeout=30,
            max_pool_connections=2 * AT_ONCE,
            # Stores other than AWS have no names of their own for buckets.
            s3={"addressing_style": "path"} if _endpoint() else {},
            # Not all of them know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def tell_gdal(endpoint: str) -> None:
    """Give GDAL, which has names of its own for them, the same settings; keys it finds itself."""
    os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "3")
    if _endpoint():
        parts = urlsplit(endpoint)
        os.environ["AWS_S3_ENDPOINT"] = parts.netloc
        os.environ["AWS_HTTPS"] = "YES" if parts.scheme == "https" else "NO"
        os.environ["AWS_VIRTUAL_HOSTING"] = "FALSE"


def patiently(call: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """Call again while the store is away.

    botocore's own retries end by a budget that several threads share, after half a minute or so.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return call(*arguments, **named)
        except (BotoCoreError, Boto3Error, ClientError) as error:
            if not _is_away(error) or time.monotonic() > until:
                raise
            _log.warning("the store does not answer: %s", error)
            time.sleep(_PAUSE_S)


def _is_away(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR)
    return isinstance(error, _AWAY)
