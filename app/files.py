"""Sending products: by the server itself, in ranges, or by an address of the store."""

from __future__ import annotations

import mimetypes
from http import HTTPStatus

from flask import Response, current_app, redirect, request, send_file

from app.config import Config
from app.storage import Product, Storage

# What scripts of a page ask for comes from the server: the page may talk to nobody else.
_IN_PAGE = ("cors", "no-cors", "same-origin")


def send(storage: Storage, product: Product) -> Response:
    """Send a product or a photo, or the range of it that was asked for."""
    if not product.key:
        return send_file(product.path, conditional=True, as_attachment=False)
    config: Config = current_app.extensions["cairn_config"]
    is_direct = request.headers.get("Sec-Fetch-Mode") not in _IN_PAGE
    link = storage.link(product) if config.has_direct_downloads and is_direct else None
    if link is not None:
        return redirect(link)  # type: ignore[return-value]
    kind = mimetypes.guess_type(product.name)[0] or "application/octet-stream"
    answer = Response(mimetype=kind)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.set_etag(f"{product.version}-{product.size:x}")
    span = None
    if request.range is not None and _is_current(answer):
        span = request.range.range_for_length(product.size)
        if span is None:
            answer.status_code = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            answer.headers["Content-Range"] = f"bytes */{product.size}"
            return answer
    elif answer.get_etag()[0] in request.if_none_match:
        answer.status_code = HTTPStatus.NOT_MODIFIED
        return answer
    start, end = span or (0, product.size)
    if span is not None:
        answer.status_code = HTTPStatus.PARTIAL_CONTENT
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{product.size}"
    answer.content_length = end - start
    if request.method != "HEAD":
        answer.response = storage.blocks(product, start, end)
    return answer


def _is_current(answer: Response) -> bool:
    """Whether a range goes on with the content that the client has."""
    condition = request.if_range.etag
    return condition is None or condition == answer.get_etag()[0]
