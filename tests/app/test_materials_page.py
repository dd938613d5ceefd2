"""Materials as a manager types them: in the site's units, with 95 % intervals."""

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Material, MaterialValue

STATED = {"valid_from": "2026-11-01", "density": "1.6", "density_u95": "0.1", "moisture": "4"}


@pytest.fixture
def manager(client_of):
    return client_of("manager")


@pytest.fixture
def gravel(manager, people):
    address = f"/sites/{people['site'].id}/materials"
    assert manager.post(address, data={"name": "Gravel", "colour": "#7d8a96"}).status_code == 302
    return db.session.scalar(sa.select(Material))


def test_values_are_stored_in_tonnes_cubic_metres_and_sigmas(manager, gravel):
    stated = STATED | {"price": "12.5", "price_u95": "0.49"}
    assert manager.post(f"/materials/{gravel.id}/values", data=stated).status_code == 302
    value = db.session.scalar(sa.select(MaterialValue))
    assert value.density_t_m3 == pytest.approx(1.6)
    assert value.density_sigma_t_m3 == pytest.approx(0.1 / 1.959964, rel=1e-6)
    assert value.moisture_share == pytest.approx(0.04)
    assert value.price_sigma_per_t == pytest.approx(0.25, rel=1e-4)


def test_short_tons_a_cubic_yard_are_converted_and_shown_as_typed(manager, people, gravel):
    site = people["site"]
    site.volume_unit, site.mass_unit = "yd3", "short_ton"
    db.session.commit()
    stated = STATED | {"density": "1.35", "price": "10"}
    manager.post(f"/materials/{gravel.id}/values", data=stated)
    value = db.session.scalar(sa.select(MaterialValue))
    # 1.35 short tons of 907.18474 kg in 0.764554858 m³; 10 for a short ton.
    assert value.density_t_m3 == pytest.approx(1.35 * 0.90718474 / 0.764554857984)
    assert value.price_per_t == pytest.approx(10 / 0.90718474)
    page = manager.get(f"/sites/{site.id}/materials").text
    assert "1.35" in page
    assert "10.00" in page


def test_what_does_not_fit_is_said_beside_its_field_and_nothing_is_saved(manager, gravel):
    answer = manager.post(f"/materials/{gravel.id}/values", data=STATED | {"density": "160"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert db.session.scalar(sa.select(sa.func.count(MaterialValue.id))) == 0


def test_a_taken_name_is_refused(manager, people, gravel):
    answer = manager.post(f"/sites/{people['site'].id}/materials", data={"name": "Gravel"})
    assert answer.status_code == 422
    assert "There is a material" in answer.text


def test_a_viewer_reads_and_changes_nothing(client_of, people, gravel):
    viewer = client_of("viewer")
    page = viewer.get(f"/sites/{people['site'].id}/materials")
    assert "Gravel" in page.text
    assert "State new values" not in page.text
    assert viewer.post(f"/materials/{gravel.id}/values", data=STATED).status_code == 403
