"""Stand-ins for services of others, for tests and for trying the portal; no part of it."""
