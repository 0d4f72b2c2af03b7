"""Stubs of external services, for tests and development."""
