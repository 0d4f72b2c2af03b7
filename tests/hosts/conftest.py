"""Load the shared fixtures; the test folders in molecule/ load the same ones."""

pytest_plugins = ["tests.hosts.fixtures.lab"]
