"""Lists in pages: the next page begins after the last item, however many were added meanwhile."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_


def page(
    query: Select[Any],
    columns: tuple[Any, ...],
    key: Any,
    after: UUID | None,
    limit: int | None,
    *,
    is_descending: bool = False,
) -> Select[Any]:
    """One page of a query.

    Parameters
    ----------
    query : Select
        Without an order.
    columns : tuple of columns
        What it is ordered by.
    key : column
        The identifier of an item, which tells apart what is alike otherwise.
    after : UUID or None
        The last item of the page before.
    limit : int or None
        None takes all the rest.
    """
    order = (*columns, key)
    if after is not None:
        # Not the row of the query itself, but that of the page before.
        place = select(*order).where(key == after).correlate(None).scalar_subquery()
        all_of_it = tuple_(*order)
        query = query.where(all_of_it < place if is_descending else all_of_it > place)
    return query.order_by(*(column.desc() if is_descending else column for column in order)).limit(
        limit
    )
