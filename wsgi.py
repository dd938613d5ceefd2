"""The application for a WSGI server, configured by the environment."""

import os

from app import create_app, logs
from app.config import Config

logs.configure()
application = create_app(Config.from_environment(os.environ))
