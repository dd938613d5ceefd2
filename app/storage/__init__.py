"""Where photos and products lie."""

from app.storage.local import Storage

__all__ = ["Storage"]
