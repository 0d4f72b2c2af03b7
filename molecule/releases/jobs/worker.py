"""Write the path of the release that the process runs, ten times a second."""

import time
from pathlib import Path

while True:
    Path("/srv/jobs/shared/worker").write_text(str(Path.cwd()))
    time.sleep(0.1)
