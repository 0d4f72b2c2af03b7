"""Documentation of the action plugin of this name, which does most of the work on the controller."""

DOCUMENTATION = r"""
module: site_certificates
short_description: Verify from the controller the certificates that clients get for each name of the sites
description:
  - A fault that the host has reported itself, such as a name that does not resolve to it, is a warning. Other
    faults are failures.
options:
  sites:
    {description: Each has a C(name) and its C(server_names)., type: list, elements: dict, required: true}
  port: {description: The public port., type: int, default: 443}
  address: {description: "The address to connect to, if the names do not resolve to it yet.", type: str}
  ca: {description: A file with the CA that clients trust; without it the system's CAs., type: path}
  trusted: {description: Whether clients trust the CA., type: bool, default: true}
"""
