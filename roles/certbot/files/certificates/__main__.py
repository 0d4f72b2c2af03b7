"""Issue and renew this host's certificates, and monitor all of them.

decanter-certificates.timer starts this program twice a day, and a converge when a certificate is missing.
It needs Python 3.10 and the distribution's python3-cryptography. Python imports from the folder of this file.
The link `shared` in this folder points to /usr/local/lib/decanter/shared.
"""

from __future__ import annotations

import sys

from commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
