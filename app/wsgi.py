"""The WSGI application for `flask` and WSGI servers."""

from harbour import create_app

app = create_app()
