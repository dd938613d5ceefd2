"""A pile through time, its toe in each survey, and what was measured with it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import DateTime, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.amount import Amount, Part
from app.extensions import db
from app.models.material import Material
from app.models.row import Document, Key, Moment, Name, Now, SiteRef, SurveyRef, UserRef


class Pile(db.Model):
    """A pile with an identity that lasts over surveys."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    name: Mapped[Name]
    material_id: Mapped[UUID | None] = mapped_column(ForeignKey("material.id", ondelete="SET NULL"))
    created_at: Mapped[Now]
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    material: Mapped[Material | None] = relationship()

    __table_args__ = (
        Index(
            "uq_pile_site_name_in_use",
            "site_id",
            "name",
            unique=True,
            postgresql_where=retired_at.is_(None),
        ),
    )


class Toe(db.Model):
    """The toe of a pile in one survey, as somebody drew or accepted it.

    A toe is never changed: drawing again makes a new row that supersedes the old one, so every
    measurement keeps the line it was made with. Coordinates are in the site's CRS (``srid`` of the
    polygon is 0, the site's ``epsg`` says which), elevations in metres.
    """

    id: Mapped[Key]
    pile_id: Mapped[UUID] = mapped_column(ForeignKey("pile.id", ondelete="CASCADE"), index=True)
    survey_id: Mapped[SurveyRef]
    polygon: Mapped[object] = mapped_column(Geometry("POLYGONZ", srid=0, dimension=3))
    # {"walls": [edge, …], "base": {"method": …, …}, "exclusions": […]}
    options: Mapped[Document]
    is_confirmed: Mapped[bool] = mapped_column(default=True, server_default="true")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    superseded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    pile: Mapped[Pile] = relationship()
    measurement: Mapped[Measurement | None] = relationship(back_populates="toe", uselist=False)

    __table_args__ = (
        Index(
            "uq_toe_pile_survey_current",
            "pile_id",
            "survey_id",
            unique=True,
            postgresql_where=superseded_at.is_(None),
        ),
    )


class Measurement(db.Model):
    """The volume of a pile at one survey. Tonnes and value follow from the material's values."""

    id: Mapped[Key]
    toe_id: Mapped[UUID] = mapped_column(ForeignKey("toe.id", ondelete="CASCADE"), unique=True)
    net_m3: Mapped[float]
    net_u95_m3: Mapped[float]
    # 1 sigma of what no other pile shares, and the change by one sigma of what all piles of the
    # survey share: its scale, and its height where the base is no part of it.
    own_sigma_m3: Mapped[float]
    scale_effect_m3: Mapped[float] = mapped_column(default=0.0, server_default="0")
    bias_effect_m3: Mapped[float] = mapped_column(default=0.0, server_default="0")
    fill_m3: Mapped[float]
    cut_m3: Mapped[float]
    area_m2: Mapped[float]
    height_max_m: Mapped[float]
    coverage: Mapped[float]
    base: Mapped[str] = mapped_column(String(20))
    # Budgets, base facts, other bases, warnings, software and hashes, as volumetrics wrote them.
    details: Mapped[Document]
    measured_at: Mapped[Moment]

    toe: Mapped[Toe] = relationship(back_populates="measurement")

    @property
    def part(self) -> Part:
        """The net volume as sums need it."""
        return Part(self.net_m3, self.own_sigma_m3, self.scale_effect_m3, self.bias_effect_m3)

    @property
    def volume_m3(self) -> Amount:
        """The net volume with its interval."""
        return self.part.amount

    @property
    def area(self) -> Amount:
        """The area in plan, m², with its interval."""
        return Amount(self.area_m2, self.details.get("area_u95_m2", 0.0))

    @property
    def height(self) -> Amount:
        """The greatest height above the base, metres, with its interval."""
        return Amount(self.height_max_m, self.details.get("height_max_u95_m", 0.0))
