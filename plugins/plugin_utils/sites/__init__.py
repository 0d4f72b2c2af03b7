"""Resolve `sites` into one object per site, which roles and templates read."""
