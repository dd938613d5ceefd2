"""The configuration refuses to start on what is missing or weak, and names it."""

import pytest

from app.config import Config
from app.errors import ConfigurationError

GOOD = {
    "DATABASE_URL": "postgresql://cairn@/cairn",
    "REDIS_URL": "redis://localhost",
    "STORAGE_URL": "file:///var/lib/cairn",
    "SECRET_KEY": "kX3v9TqLz7Rw2YbN5mPd8sHfJ4cGa6Ue1",
    "PUBLIC_URL": "https://cairn.example.org/",
}


def test_a_good_environment_is_read():
    config = Config.from_environment(GOOD | {"MAX_PHOTO_MB": "50", "CORES": "3"})
    assert config.database_url == "postgresql+psycopg2://cairn@/cairn"
    assert config.public_url == "https://cairn.example.org"
    assert (config.is_https, config.max_photo_mb, config.max_survey_photos) == (True, 50, 5000)
    assert config.cores == 3


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(name):
    with pytest.raises(ConfigurationError, match=name):
        Config.from_environment({**GOOD, name: " "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://cairn"),
        ("REDIS_URL", "localhost:6379"),
        ("STORAGE_URL", "/var/lib/cairn"),
        ("PUBLIC_URL", "cairn.example.org"),
        ("SECRET_KEY", "secret"),
        ("SECRET_KEY", "a" * 64),
        ("MAX_PHOTO_MB", "0"),
        ("MAX_PHOTO_MB", "many"),
        ("CORES", "500m"),
    ],
)
def test_what_cannot_be_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Config.from_environment({**GOOD, name: value})


def test_a_weak_key_is_not_repeated_in_the_message():
    with pytest.raises(ConfigurationError) as refused:
        Config.from_environment({**GOOD, "SECRET_KEY": "hunter2hunter2"})
    assert "hunter2" not in str(refused.value)
