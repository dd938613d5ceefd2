"""What a view of the API takes and answers: checked at each request, described by OpenAPI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from app.errors import Conflict, InvalidInput

View = TypeVar("View", bound=Callable[..., Any])
Parsed = TypeVar("Parsed", bound=BaseModel)


class Shape(BaseModel):
    """A JSON object of the API. What it does not name is refused, so a typing error is noticed."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, allow_inf_nan=False)


class Page(BaseModel):
    """Which part of a list is wanted."""

    model_config = ConfigDict(extra="forbid")

    after: str = ""
    limit: int = 100


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
    """

    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    media_type: str = "application/json"


def contract(
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answer: Any = None,
    status: int = 200,
    media_type: str = "application/json",
) -> Callable[[View], View]:
    """Check what a view takes, and send what it answers. Parameters are those of `Contract`.

    The view returns a value of `answer`, or that with a dictionary of headers, or a response.
    """
    terms = Contract(body, query, answer, status, media_type)
    adapter = None if answer is None else TypeAdapter(answer)

    def wrap(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> ResponseReturnValue:
            if body is not None:
                arguments["body"] = parsed(body, _json())
            if query is not None:
                arguments["query"] = parsed(query, request.args.to_dict())
            return _answer(view(**arguments), adapter, status)

        checked.contract = terms  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return wrap


def etag(*facts: object) -> str:
    """The version of something, from the facts that change with it."""
    return hashlib.sha256(json.dumps([str(fact) for fact in facts]).encode()).hexdigest()[:32]


def check_etag(version: str) -> None:
    """Refuse to overwrite what somebody else changed since it was read.

    Raises
    ------
    Conflict
        When ``If-Match`` names another version.
    """
    if request.if_match and not request.if_match.contains(version):
        raise Conflict(
            "Somebody else changed this since you opened it.",
            "Read it again, then make your change.",
        )


def _json() -> Any:
    body = request.get_json(silent=True)
    if body is None:
        raise InvalidInput("The body is no JSON.", "Send Content-Type: application/json.")
    return body


def parsed(shape: type[Parsed], values: Any) -> Parsed:
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
        raise InvalidInput(
            f"{where}{first['msg']}.", "The API's description tells what fits.", field=place
        ) from error


def _answer(result: Any, adapter: TypeAdapter[Any] | None, status: int) -> ResponseReturnValue:
    if isinstance(result, Response):
        return result
    value, headers = result if isinstance(result, tuple) else (result, {})
    if adapter is None:
        return Response(status=status, headers=headers)
    answer = jsonify(adapter.dump_python(adapter.validate_python(value), mode="json"))
    answer.status_code = status
    answer.headers.update(headers)
    return answer
