"""Decoded photos are gone with the stage that used them."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from reconstruction.photo_views import PhotoViews


def test_pixels_do_not_wait_for_the_garbage_collector(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((96, 128, 3), 90, np.uint8))
    block = SimpleNamespace(shots=(SimpleNamespace(name="a.jpg", camera="c"),))
    visibility = SimpleNamespace(block=block, buffer=lambda _: np.zeros((4, 4), np.float32))
    exposures = SimpleNamespace(corrected=lambda _name, _camera, image: image)
    gc.disable()
    try:
        views = PhotoViews(visibility, {"a.jpg": tmp_path / "a.jpg"}, exposures)
        pixels = weakref.ref(views.image(0))
        preview = weakref.ref(views.preview(0))
        assert pixels() is not None
        del views
        assert pixels() is None
        assert preview() is None
    finally:
        gc.enable()
