"""The inventory in every format that it can be taken away in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.models import Site
from app.queries import periods
from app.queries.inventory import Inventory
from app.services import exports, inventory_pdf, seals
from app.units import Units


@dataclass(frozen=True)
class Format:
    """How an inventory is written, and what that is to a browser."""

    write: Callable[[Site, Inventory], bytes]
    media_type: str


def _signed(site: Site, found: Inventory) -> bytes:
    """The PDF; that of a closed period's last day bears the seal while all still fits it.

    It is in the units that were sealed, then.
    """
    period = periods.closing(site.id, found.day)
    if period is None or period.ends_on != found.day or seals.differences(period):
        return inventory_pdf.to_pdf(site, found, Units.of(site))
    return inventory_pdf.to_pdf(site, found, seals.units(period.document), period.seal.hex())


FORMATS = {
    "csv": Format(exports.to_csv, "text/csv; charset=utf-8"),
    "xlsx": Format(
        exports.to_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ),
    "pdf": Format(_signed, "application/pdf"),
    "geojson": Format(exports.to_geojson, "application/geo+json"),
    "dxf": Format(exports.to_dxf, "image/vnd.dxf"),
    "kml": Format(exports.to_kml, "application/vnd.google-earth.kml+xml"),
}
