"""The migrations make exactly what the models say."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from geoalchemy2 import Geometry

from app.extensions import db


def test_the_migrations_make_what_the_models_say(app):
    def ours(_object, name, type_, _reflected, _other):
        return name != "spatial_ref_sys" and not (
            type_ == "index" and name is not None and name.startswith("idx_")
        )

    def differs(_context, _column, _model_column, _type, model_type):
        # GeoAlchemy2 reads a PolygonZ back under another name; its kind is tested with the models.
        return False if isinstance(model_type, Geometry) else None

    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": differs}
        )
        assert compare_metadata(context, db.metadata) == []
