"""Forms: what was typed, as shapes of the API, so that pages and API check alike."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from flask import request
from pydantic import BaseModel

from app.api.contract import parsed

Parsed = TypeVar("Parsed", bound=BaseModel)


def filled(shape: type[Parsed]) -> Parsed:
    """The form of this request as a shape; empty fields count as not given.

    Raises
    ------
    InvalidInput
        Naming the field.
    """
    known = shape.model_fields.keys()
    values = {
        name: value.strip()
        for name, value in request.form.items()
        if name in known and value.strip()
    }
    return parsed(shape, values, "")


def uuid_or_none(text: str) -> UUID | None:
    """An identifier from a form; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
