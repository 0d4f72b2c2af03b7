"""The variable that selects the configuration of an application."""

from __future__ import annotations

import pytest
from new_site_command import command, entries, files, read_source

CONFIGS = "class DevelopmentConfig: ...\nclass ProductionConfig: ...\n"
TABLE = (
    CONFIGS
    + "config = {'development': DevelopmentConfig, 'default': DevelopmentConfig,\n"
    + "          'production': ProductionConfig}\n"
)
SELECTORS = {
    "a fallback by or": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('FLASK_CONFIG') or 'default'\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "a default": (
        {"config.py": TABLE, "app.py": "import os\nx = os.environ.get('FLASK_CONFIG', 'development')\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "required": (
        {"config.py": TABLE, "app.py": "import os\nx = os.environ['FLASK_CONFIG']\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "another spelling": (
        {
            "config.py": "configs = dict(dev=A, prod=B)\n",
            "app.py": "import os\nx = os.getenv('APP_ENV', 'dev')\n",
        },
        {"APP_ENV": "prod"},
    ),
    "a comparison": (
        {
            "app.py": "import os\nenv = os.getenv('FLASK_ENV', 'development')\n"
            "if env == 'production':\n    x = 1\n"
        },
        {"FLASK_ENV": "production"},
    ),
    "a match": (
        {"app.py": "import os\nmatch os.getenv('SHOP_ENV', 'dev'):\n    case 'production':\n        x = 1\n"},
        {"SHOP_ENV": "production"},
    ),
    "an import path": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nx = os.getenv('APP_SETTINGS', 'config.DevelopmentConfig')\n",
        },
        {"APP_SETTINGS": "config.ProductionConfig"},
    ),
    "an import path without a default": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nname = os.getenv('APP_SETTINGS')\napp.config.from_object(name)\n",
        },
        {"APP_SETTINGS": "config.ProductionConfig"},
    ),
    "a class by its name": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nenv = os.getenv('FLASK_ENV', 'development')\n"
            "app.config.from_object(f'config.{env.capitalize()}Config')\n",
        },
        {"FLASK_ENV": "production"},
    ),
    "a module": (
        {
            "config/dev.py": "",
            "config/prod.py": "",
            "app.py": "import os\nname = os.getenv('FLASK_ENV', 'dev')\n"
            "app.config.from_pyfile(f'config/{name}.py')\n",
        },
        {"FLASK_ENV": "prod"},
    ),
    "no such configuration": (
        {
            "config.py": "config = {'development': A, 'testing': B}\n",
            "app.py": "import os\nx = os.getenv('FLASK_CONFIG', 'development')\n",
        },
        {"FLASK_CONFIG": "REPLACE_ME"},
    ),
    "production is the default": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('FLASK_CONFIG', 'production')\n"},
        {},
    ),
    "not a selector": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('TOWN', 'development')\n"},
        {},
    ),
}


@pytest.mark.parametrize(("contents", "expected"), SELECTORS.values(), ids=SELECTORS)
def test_selector_with_a_development_default_is_proposed(tmp_path, contents, expected):
    source = read_source(files(tmp_path, contents))
    answers = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b"}
    found = entries.make_entry("shop", answers, source, None).get("env", {})
    assert found == expected, f"expected {expected}, got {found}"
    noted = any("FLASK_CONFIG" in line for line in command.noticed(source))
    assert noted == ("REPLACE_ME" in expected.values()), f"got {command.noticed(source)}"
