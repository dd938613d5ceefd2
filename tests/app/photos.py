"""Photos to deliver: small, complete, with the day in their Exif."""

import numpy as np
from PIL import ExifTags, Image


def write_photo(path, seed, side=600, day="2026:11:24 10:15:00"):
    """Write a photo."""
    values = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = day
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, "JPEG", quality=90, exif=exif)
