"""Text that can be kept: what people and programs send may hold signs that no database takes."""

from __future__ import annotations

from typing import Any

from flask import request

from app.errors import InvalidInput

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def is_kept(value: Any) -> bool:
    r"""Whether all text in a value is whole Unicode without NUL.

    Examples
    --------
    >>> is_kept({"name": ["Pit 1", 3]}), is_kept(["a\x00b"]), is_kept({"\ud800": 1})
    (True, False, False)
    """
    if isinstance(value, dict):
        return all(is_kept(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(is_kept(part) for part in value)
    # Half a surrogate pair is what is left of an emoji that was cut in two.
    return not isinstance(value, str) or not any(
        sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value
    )


def refuse_broken() -> None:
    """Refuse the current request where its address or form holds text that cannot be kept.

    Raises
    ------
    InvalidInput
        Naming the field.
    """
    sent = [*request.args.items(multi=True)]
    if request.mimetype in _FORMS:
        sent += request.form.items(multi=True)
    for name, value in sent:
        if not is_kept([name, value]):
            raise InvalidInput("The text holds signs that are no text.", "Type it anew.", name)
