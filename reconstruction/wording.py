"""Words of what is said to people."""


def counted(number: int, one: str, many: str) -> str:
    """A number of things.

    Parameters
    ----------
    number : int
    one, many : str
        What there is one of, and any other number of: with a verb where one follows.

    Examples
    --------
    >>> counted(1, "photo is", "photos are"), counted(1200, "photo is", "photos are")
    ('1 photo is', '1,200 photos are')
    """
    return f"{number:,} {one if number == 1 else many}"
