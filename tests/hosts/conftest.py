"""Load the fixtures of scenarios, which scenarios with tests of their own load as well."""

pytest_plugins = ["tests.hosts.fixtures.lab"]
