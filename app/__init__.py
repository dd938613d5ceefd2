"""The web application: uploads, runs, models, piles, inventory."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, current_app, g
from redis import Redis
from werkzeug.middleware.proxy_fix import ProxyFix

from app import commands, handlers, headers, logs, templating, text
from app.auth import policy, sessions, single_sign_on, tokens
from app.config import Config
from app.extensions import babel, csrf, db, limiter, migrate
from app.storage import from_url

_MIGRATIONS = Path(__file__).parent.parent / "migrations"
_DAY_S = 24 * 3600
# The largest body but for uploads, which come in parts and have bounds of their own.
_MAX_BODY_BYTES = 16 * 1024 * 1024
# To the database, of a process. Requests hold one only while they ask, not while bytes travel.
CONNECTIONS = 8


def create_app(config: Config) -> Flask:
    """Make the application.

    Parameters
    ----------
    config : Config

    Returns
    -------
    Flask

    Raises
    ------
    RuntimeError
        When a view has no rule of who may see it.
    """
    app = core(config)
    logs.install(app)
    from app import api, pages

    for blueprint in (*api.blueprints(), *pages.blueprints()):
        app.register_blueprint(blueprint)
    csrf.init_app(app)
    limiter.init_app(app)
    handlers.install(app)
    headers.install(app)
    templating.install(app)
    single_sign_on.install(app)
    commands.install(app)
    app.before_request(_admit)
    policy.check_rules(app)
    # The proxies in front are ours; what they say of the client is believed, what it says is not.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=config.proxies, x_proto=config.proxies, x_host=config.proxies
    )
    return app


def core(config: Config) -> Flask:
    """Make what jobs and commands need: rows, queue, storage and settings, but no web pages."""
    app = Flask("app")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_pre_ping": True,
            "pool_size": CONNECTIONS,
            "max_overflow": 0,
        },
        SECRET_KEY=config.secret_key,
        SESSION_COOKIE_NAME="cairn",
        SESSION_COOKIE_SECURE=config.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=30 * _DAY_S,
        MAX_CONTENT_LENGTH=_MAX_BODY_BYTES,
        WTF_CSRF_TIME_LIMIT=None,
        # Checked once it is known whether a cookie or a token speaks.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_ENABLED=True,
        RATELIMIT_STORAGE_URI=_limits_url(config.redis_url),
        RATELIMIT_HEADERS_ENABLED=True,
        BABEL_DEFAULT_LOCALE="en",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    db.init_app(app)
    migrate.init_app(app, db, directory=str(_MIGRATIONS))
    babel.init_app(app, locale_selector=templating.locale)
    app.extensions["cairn_config"] = config
    app.extensions["cairn_redis"] = Redis.from_url(config.redis_url)
    app.extensions["cairn_storage"] = from_url(config.storage_url)
    return app


def _admit() -> None:
    by_token = tokens.actor_of_header()
    g.actor = by_token or sessions.actor_of_cookie()
    # A page elsewhere can make a browser send its cookie, or a form of ours, but never a token.
    is_forgeable = by_token is None and (g.actor is not None or not handlers.is_api())
    if is_forgeable and current_app.config["WTF_CSRF_ENABLED"]:
        csrf.protect()
    policy.enforce(current_app)
    text.refuse_broken()


def _limits_url(redis_url: str) -> str:
    return "redis+" + redis_url if redis_url.startswith("unix:") else redis_url
