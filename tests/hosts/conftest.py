"""The fixtures are in lab.py, which scenarios with tests of their own load as well."""

pytest_plugins = ["lab"]
