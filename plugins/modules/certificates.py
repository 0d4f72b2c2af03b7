"""Show a host's certificates; see the action plugin of the same name."""

DOCUMENTATION = r"""
module: certificates
short_description: Show a host's certificates, or renew them or rehearse that, and then show them
description:
  - On the controller it prints a table of what M(certificates_run)'s program lists.
options:
  force: {description: Whether certificates are renewed that are not due., type: bool, default: false}
  dry_run: {description: Whether a renewal is rehearsed., type: bool, default: false}
  site: {description: The only site that is meant., type: str, default: ""}
"""
