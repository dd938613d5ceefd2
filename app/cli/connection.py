"""The connection to an installation: tries again what the network lost, for as long as it may."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

import requests

_CONNECT_S, _ANSWER_S = 10.0, 120.0
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
# The server is there, but cannot answer now.
LATER = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class RefusedError(Exception):
    """The server says no, and would say so again: somebody must look."""


class NotNowError(Exception):
    """It may work later."""


class Connection:
    """Requests to one installation.

    Parameters
    ----------
    url : str
        Of the installation.
    token : str
    patience_s : float
        How long to try again while nothing gets through.
    """

    def __init__(self, url: str, token: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._session = requests.Session()
        self._session.headers.update({"Authorization": f"Bearer {token}", "User-Agent": "cairn"})
        self._alive_at = time.monotonic()
        self._wait_s = _SHORTEST_WAIT_S

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()

    def json(self, method: str, path: str, body: object = None) -> Any:
        """The answer to a request that may be sent twice without harm.

        Raises
        ------
        RefusedError, NotNowError
        """
        while True:
            answer = self.attempt(method, path, json=body)
            if answer is None or answer.status_code in LATER:
                self.wait(answer)
                continue
            self.got_through()
            return check(answer).json()

    def items(self, path: str) -> Iterator[Any]:
        """The items of a list, page after page.

        Raises
        ------
        RefusedError, NotNowError
        """
        following: str | None = path
        while following is not None:
            page = self.json("GET", following)
            yield from page["items"]
            following = page["next"]

    def download(self, path: str, target: Path) -> None:
        """Fetch a file; what came of it before the network failed is fetched again.

        Raises
        ------
        RefusedError, NotNowError
        """
        while True:
            answer = self.attempt("GET", path)
            if answer is not None and answer.status_code not in LATER:
                target.write_bytes(check(answer).content)
                self.got_through()
                return
            self.wait(answer)

    def attempt(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        data: IO[bytes] | None = None,
        json: object = None,
    ) -> requests.Response | None:
        """Send a request once; None where the network failed.

        Raises
        ------
        RefusedError
            When the address can never work.
        """
        try:
            return self._session.request(
                method,
                urljoin(self._url + "/", path),
                headers=dict(headers or {}),
                data=data,
                json=json,
                timeout=(_CONNECT_S, _ANSWER_S),
                # A redirected request would carry the token elsewhere.
                allow_redirects=False,
            )
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ):
            return None
        except requests.RequestException as error:
            raise RefusedError(f"{self._url} cannot be asked: {error}") from error

    def got_through(self) -> None:
        """Note that something was achieved: patience begins anew."""
        self._alive_at, self._wait_s = time.monotonic(), _SHORTEST_WAIT_S

    def wait(self, answer: requests.Response | None) -> None:
        """Wait before the next attempt, longer each time.

        Raises
        ------
        NotNowError
            When patience is at its end.
        """
        if time.monotonic() - self._alive_at > self._patience_s:
            why = "does not answer" if answer is None else f"answers {answer.status_code}"
            raise NotNowError(f"{self._url} {why}; run the same command later, it goes on.")
        time.sleep(self._wait_s)
        self._wait_s = min(2.0 * self._wait_s, _LONGEST_WAIT_S)


def check(answer: requests.Response) -> requests.Response:
    """An answer that is no refusal.

    Raises
    ------
    RefusedError
        With the reason that the server gives.
    """
    if answer.ok and answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
        return answer
    try:
        reason = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        reason = f"{answer.url} answers {answer.status_code} {answer.reason}"
    raise RefusedError(str(reason))
