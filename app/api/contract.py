"""What a view of the API takes and answers: checked at each request, described by OpenAPI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app import text
from app.api.idempotency import once
from app.errors import InvalidInput, Stale, UnsupportedMediaType

View = TypeVar("View", bound=Callable[..., Any])
Parsed = TypeVar("Parsed", bound=BaseModel)
Item = TypeVar("Item")


class Shape(BaseModel):
    """A JSON object of the API. What it does not name is refused, so a typing error is noticed."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, allow_inf_nan=False)


class PageQuery(Shape):
    """Which part of a list is wanted: `after` is the id of the last item that one has."""

    after: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class Page(Shape, Generic[Item]):
    """Part of a list; `next` is the address of the following part, null on the last one."""

    items: list[Item]
    next: str | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[type[Any], ...]) -> str:
        """Name in the API's description, where brackets may not be."""
        return f"{params[0].__name__}Page"


@dataclass(frozen=True)
class Contract:
    """What a view takes and answers.

    Parameters
    ----------
    body, query : type of Shape or None
        JSON body, and parameters behind the question mark; given to the view as `body`, `query`.
    answer : type or None
        Anything that pydantic can describe; None answers with an empty body, or with what
        `media_type` says.
    status : int
    media_type : str
        Of answers that are no JSON.
    takes : str
        Media type of a body that is no JSON; the view reads it itself.
    may_be_empty : bool
        Whether there may be nothing to send, which 204 tells.
    is_secret : bool
        Whether the answer holds something that is shown once and never stored.
    """

    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    media_type: str = "application/json"
    takes: str = ""
    may_be_empty: bool = False
    is_secret: bool = False


def contract(
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answer: Any = None,
    status: int = 200,
    media_type: str = "application/json",
    takes: str = "",
    may_be_empty: bool = False,
    is_secret: bool = False,
) -> Callable[[View], View]:
    """Check what a view takes, and send what it answers. Parameters are those of `Contract`.

    The view returns a value of `answer`, or that with a dictionary of headers, or a response.
    Whatever is read or replaced comes with an ETag; a POST with an `Idempotency-Key` is done once.
    """
    terms = Contract(body, query, answer, status, media_type, takes, may_be_empty, is_secret)
    adapter = None if answer is None else TypeAdapter(answer)

    def wrap(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> ResponseReturnValue:
            if body is not None:
                arguments["body"] = parsed(body, _json())
            if query is not None:
                arguments["query"] = parsed(query, request.args.to_dict())
            if takes and request.mimetype != takes:
                raise UnsupportedMediaType(f"Send the body as {takes}.")

            def done() -> Response:
                return _answer(view(**arguments), adapter, status)

            return once(done, keep=not is_secret) if request.method == "POST" else done()

        checked.contract = terms  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return wrap


def etag(*facts: object) -> str:
    """The version of something, from the facts that change with it."""
    return hashlib.sha256(json.dumps([str(fact) for fact in facts]).encode()).hexdigest()[:32]


def next_page(items: Sequence[Any], query: PageQuery) -> str | None:
    """Address of the page after one that holds these items; None after the last."""
    if len(items) < query.limit:
        return None
    asked = request.args.to_dict() | {"after": str(items[-1].id)}
    return f"{request.path}?{urlencode(asked)}"


def check_version(shape: Any, value: Any) -> None:
    """Refuse to overwrite what somebody else changed since it was read.

    Parameters
    ----------
    shape : type
        What reading it answers.
    value : object
        As it is now.

    Raises
    ------
    Stale
        When ``If-Match`` names another version.
    """
    if request.if_match:
        adapter = TypeAdapter(shape)
        now = adapter.dump_python(adapter.validate_python(value), mode="json")
        check_etag(etag(jsonify(now).get_data(as_text=True)))


def check_etag(version: str) -> None:
    """Refuse to overwrite what somebody else changed since it was read.

    Raises
    ------
    Stale
        When ``If-Match`` names another version.
    """
    if request.if_match and not request.if_match.contains(version):
        raise Stale(
            "Somebody else changed this since you opened it.",
            "Read it again, then make your change.",
        )


def _json() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise InvalidInput("The body is no JSON.", "Send Content-Type: application/json.")
    if not text.is_kept(body):
        raise InvalidInput("The body holds signs that are no text.", "Leave them out.")
    return body


def parsed(
    shape: type[Parsed], values: Any, remedy: str = "The API's description tells what fits."
) -> Parsed:
    """Values as a shape.

    Raises
    ------
    InvalidInput
        Naming the first value that does not fit.
    """
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{place}: " if place else ""
        words = first["msg"].replace("Input should", "it must")
        raise InvalidInput(f"{where}{words}.", remedy, field=place) from error


def _answer(result: Any, adapter: TypeAdapter[Any] | None, status: int) -> Response:
    if isinstance(result, Response):
        return result
    value, headers = result if isinstance(result, tuple) else (result, {})
    if adapter is None:
        return Response(status=status, headers=headers)
    answer = jsonify(adapter.dump_python(adapter.validate_python(value), mode="json"))
    answer.status_code = status
    answer.headers.update(headers)
    if request.method in ("GET", "PUT"):
        if "ETag" not in answer.headers:
            answer.set_etag(etag(answer.get_data(as_text=True)))
        if request.method == "GET":
            answer.make_conditional(request)
    return answer
