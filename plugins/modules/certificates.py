"""Documentation of the action plugin of this name."""

DOCUMENTATION = r"""
module: certificates
short_description: List the certificates of a host, after a renewal or a test of the renewal if requested
description:
  - Prints a table of the certificates that the program of M(certificates_run) lists.
options:
  force: {description: Whether to renew certificates that are not due., type: bool, default: false}
  dry_run: {description: Whether to test a renewal only., type: bool, default: false}
  site: {description: The name of a site; all sites if empty., type: str, default: ""}
"""
