"""A factory that `wsgi` names without a call is found in the source of a site."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from sites_examples import changed, minimal

CALL = "because create_app is a function that returns the application"


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("def create_app():\n    return Flask(__name__)", "create_app()"),
        ("def create_app(config=None, debug=False):\n    return Flask(__name__)", "create_app()"),
        ("def create_app(*, config=None):\n    return Flask(__name__)", "create_app()"),
        ("def create_app(config):\n    return Flask(__name__)", "create_app(config=…)"),
        ("def create_app(environ, start_response):\n    return [b'']", ""),
        ("def create_app(*arguments):\n    return app(*arguments)", ""),
        ("@responder\ndef create_app(request):\n    return Response()", ""),
        ("def create_app():\n    return Flask(__name__)\n\ncreate_app = create_app()", ""),
        ("try:\n    from a import create_app\nexcept ImportError:\n    pass\ndef create_app(): ...", ""),
        ("create_app = Flask(__name__)", ""),
        ("from .factory import create_app", ""),
        ("class create_app: ...", ""),
        ("def create_app(:", ""),
    ],
)
@pytest.mark.parametrize("file", ["shop.py", "shop/__init__.py"])
def test_uncalled_factory_is_rejected(code: str, call: str, file: str, tmp_path: Path) -> None:
    path = tmp_path / "app" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    sites = changed(minimal(), "wsgi", "shop:create_app")
    line = f'sites.harbour.wsgi: found "shop:create_app", expected shop:{call}, {CALL}'
    assert sites_check.site_errors(sites, str(tmp_path)) == ([line] if call else [])
    sites = changed(minimal(), "wsgi", "shop:create_app()")
    assert sites_check.site_errors(sites, str(tmp_path)) == []
