"""Sensors of cameras that are often flown, where their EXIF does not tell enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sensor:
    """A sensor along its long side.

    Parameters
    ----------
    width_mm : float
    width_px : int
        Of a photo that shows all of it.
    """

    width_mm: float
    width_px: int


# By EXIF model in lower case.
_SENSORS = {
    "fc300c": Sensor(6.17, 4000),
    "fc300s": Sensor(6.17, 4000),
    "fc300x": Sensor(6.17, 4000),
    "fc300se": Sensor(6.17, 4000),
    "fc330": Sensor(6.17, 4000),
    "fc350": Sensor(6.17, 4000),
    "fc220": Sensor(6.17, 4000),
    "fc550": Sensor(17.3, 4608),
    "fc6310": Sensor(13.2, 5472),
    "fc6310s": Sensor(13.2, 5472),
    "fc6310r": Sensor(13.2, 5472),
    "fc6510": Sensor(13.2, 5472),
    "fc6520": Sensor(17.3, 5280),
    "fc6540": Sensor(23.5, 6016),
    "fc3411": Sensor(13.2, 5472),
    "l1d-20c": Sensor(13.2, 5472),
    "l2d-20c": Sensor(17.3, 5280),
    "m3e": Sensor(17.3, 5280),
    "zenmusep1": Sensor(35.9, 8192),
    "canon powershot sx260 hs": Sensor(6.17, 4000),
    "canon powershot s110": Sensor(7.44, 4000),
    "s.o.d.a.": Sensor(12.75, 5472),
    "ilce-6000": Sensor(23.5, 6000),
    "ilce-7r": Sensor(35.9, 7360),
    "ilce-7rm2": Sensor(35.9, 7952),
    "dsc-rx1rm2": Sensor(35.9, 7952),
}


def find_sensor(model: str) -> Sensor | None:
    """The sensor of a model, None for a model that is not in the table.

    Examples
    --------
    >>> find_sensor("FC6310")
    Sensor(width_mm=13.2, width_px=5472)
    """
    return _SENSORS.get(model.strip().lower())
