"""What can go wrong in a measurement, always with a remedy."""


class VolumetricsError(Exception):
    """A volume cannot be given.

    Parameters
    ----------
    reason : str
        What is wrong, with the offending value.
    hint : str
        What a surveyor can do about it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason} {hint}".strip())
        self.reason = reason
        self.hint = hint


class InputError(VolumetricsError):
    """A surface, a file or an option that cannot be used at all."""


class ToeError(VolumetricsError):
    """A toe polygon that cannot be measured."""


class CoverageError(VolumetricsError):
    """Too much of the pile lies in holes of the surface or outside of it."""


class BaseError(VolumetricsError):
    """A base surface that the toe does not determine."""
