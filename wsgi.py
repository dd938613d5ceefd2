"""The application for a WSGI server, configured by the environment."""

import os

from app import create_app
from app.config import Config

application = create_app(Config.from_environment(os.environ))
