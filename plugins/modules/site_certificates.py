"""Documentation of the action plugin of this name, which asks from the controller."""

DOCUMENTATION = r"""
module: site_certificates
short_description: Look at the certificates that visitors of each name are shown, from the controller
description:
  - What the host itself says that it cannot help, such as a name that does not lead to it, is a warning;
    what it knows nothing of is a failure.
options:
  sites:
    {description: Each has a C(name) and its C(server_names)., type: list, elements: dict, required: true}
  port: {description: The public port., type: int, default: 443}
  address: {description: Where to, if no name leads there yet., type: str}
  ca: {description: A file with the authority that visitors trust; without it the system's., type: path}
  trusted: {description: Whether anybody trusts what the authority gives., type: bool, default: true}
"""
