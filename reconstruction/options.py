"""Options of a reconstruction, and what each quality means for each stage."""

from __future__ import annotations

from dataclasses import dataclass

import pyproj
from pyproj.exceptions import CRSError

from reconstruction.dense import DenseOptions
from reconstruction.errors import OptionError
from reconstruction.features import FeatureOptions
from reconstruction.georeference import GeoreferenceOptions
from reconstruction.orthomosaic import OrthomosaicOptions
from reconstruction.pdal_cloud import find_pdal
from reconstruction.point_cloud import PointCloudOptions
from reconstruction.sfm import SfmOptions, choose_engine
from reconstruction.tiles3d import ModelOptions

QUALITIES = ("preview", "standard", "high")
_FEATURES = {
    "preview": FeatureOptions(1400, 4000),
    "standard": FeatureOptions(2000, 6000),
    "high": FeatureOptions(2800, 8000),
}
_ORTHOMOSAIC = {
    "preview": OrthomosaicOptions(2.0),
    "standard": OrthomosaicOptions(1.0),
    "high": OrthomosaicOptions(1.0),
}


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Parameters
    ----------
    quality : str
        One of `QUALITIES`.
    engine : str
        Structure from motion: ``colmap`` or ``opensfm``.
    epsg : int or None
        Projected CRS in metres; None takes the control's or the fitting UTM zone.
    opensfm : str or None
        OpenSfM's program or its folder; None looks for it on the PATH.
    pdal : str or None
        PDAL's program, to filter and write the point cloud; None takes the Python package
        ``pdal`` where it is installed, and else does without.

    Raises
    ------
    OptionError
        Here, before any work, for whatever cannot be.
    """

    quality: str = "standard"
    engine: str = "colmap"
    epsg: int | None = None
    opensfm: str | None = None
    pdal: str | None = None

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise OptionError(
                f"There is no quality '{self.quality}'.", f"Choose one of: {', '.join(QUALITIES)}."
            )
        choose_engine(self.engine, self.opensfm)
        find_pdal(self.pdal)
        if self.epsg is not None:
            _require_metric(self.epsg)

    @property
    def features(self) -> FeatureOptions:
        """Of the stage that finds features."""
        return _FEATURES[self.quality]

    @property
    def sfm(self) -> SfmOptions:
        """Of structure from motion."""
        return SfmOptions(self.engine, self.opensfm if self.engine == "opensfm" else None)

    @property
    def georeference(self) -> GeoreferenceOptions:
        """Of georeferencing."""
        return GeoreferenceOptions(self.epsg)

    @property
    def dense(self) -> DenseOptions:
        """Of dense matching."""
        return DenseOptions.for_quality(self.quality)

    @property
    def point_cloud(self) -> PointCloudOptions:
        """Of the point cloud."""
        return PointCloudOptions(pdal=find_pdal(self.pdal))

    @property
    def orthomosaic(self) -> OrthomosaicOptions:
        """Of the orthomosaic."""
        return _ORTHOMOSAIC[self.quality]

    @property
    def model(self) -> ModelOptions:
        """Of the textured model."""
        return ModelOptions.for_quality(self.quality)


def _require_metric(epsg: int) -> None:
    """Refuse a CRS that is not projected in metres."""
    try:
        crs = pyproj.CRS.from_epsg(epsg)
    except CRSError as error:
        raise OptionError(
            f"EPSG:{epsg} is not a known coordinate reference system.",
            "Look its number up, or leave --crs out for the UTM zone of the site.",
        ) from error
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or units != {"metre"}:
        raise OptionError(
            f"EPSG:{epsg} ({crs.name}) is not projected in metres ({', '.join(sorted(units))}).",
            "Volumes need metres: choose a projected CRS in metres, such as a UTM zone.",
        )
