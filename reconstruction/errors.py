"""What can go wrong in a reconstruction, always with a remedy."""

from __future__ import annotations

from pathlib import Path


class ReconstructionError(Exception):
    """A reconstruction cannot go on.

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


class OptionError(ReconstructionError):
    """An option, or a combination of options, that is refused before any work starts."""


class InputError(ReconstructionError):
    """Photos, positions or control that cannot give a survey."""


class RoomError(ReconstructionError):
    """More would be written than the disk has room for; nothing of it is begun.

    Parameters
    ----------
    folder : Path
        Where would be written.
    needed_bytes, free_bytes : float
    """

    def __init__(self, folder: Path, needed_bytes: float, free_bytes: float) -> None:
        super().__init__(
            f"This needs about {needed_bytes / 1e9:.1f} GB in {folder}, "
            f"and {free_bytes / 1e9:.1f} GB are free there.",
            "Free some space, or take a folder on a larger disk or a lower quality, then start "
            "again: finished stages are kept.",
        )
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class StageError(ReconstructionError):
    """A stage that started and could not finish.

    Parameters
    ----------
    stage : str
        Name of the stage.
    reason, hint : str
        As in `ReconstructionError`.
    """

    def __init__(self, stage: str, reason: str, hint: str) -> None:
        super().__init__(reason, hint)
        self.stage = stage


class UnforeseenError(StageError):
    """An error that the stage did not raise itself: ``__cause__`` is it, and the reason its words.

    Parameters
    ----------
    stage, reason, hint : str
        As in `StageError`.
    lack : str
        What failed it: ``disk``, ``memory``, or ``program``.
    """

    def __init__(self, stage: str, reason: str, hint: str, lack: str) -> None:
        super().__init__(stage, reason, hint)
        self.lack = lack


class Cancelled(Exception):  # noqa: N818 - it is a wish, not an error
    """Somebody asked the run to stop; finished stages stay and the next run resumes."""
