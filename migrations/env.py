"""Run migrations with the application's connection."""

from alembic import context
from flask import current_app

import app.models  # noqa: F401  (fills the metadata)
from app.extensions import db


def include(_object, name, type_, reflected, _compare_to):
    """Leave out PostGIS's own tables, and indices that GeoAlchemy2 makes with their columns."""
    if type_ == "table":
        return not (reflected and name == "spatial_ref_sys")
    return not (type_ == "index" and name is not None and name.startswith("idx_"))


with db.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        include_object=include,
        transaction_per_migration=True,
        **current_app.extensions["migrate"].configure_args,
    )
    with context.begin_transaction():
        # Old and new pods start together; the second waits until the first has migrated.
        connection.exec_driver_sql("select pg_advisory_xact_lock(4711)")
        context.run_migrations()
    connection.commit()
