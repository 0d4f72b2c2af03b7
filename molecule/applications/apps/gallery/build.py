"""Minify src/gallery/style into src/gallery/static/dist, with a content hash in each file name."""

import hashlib
import json
import re
from pathlib import Path

SOURCE = Path(__file__).parent / "src/gallery/style"
TARGET = Path(__file__).parent / "src/gallery/static/dist"

TARGET.mkdir(parents=True)
names = {}
for path in SOURCE.glob("*.css"):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    text = re.sub(r"\s*([{}:;,])\s*", r"\1", text).strip()
    names[path.name] = f"{path.stem}.{hashlib.sha256(text.encode()).hexdigest()[:12]}.css"
    (TARGET / names[path.name]).write_text(text)
(TARGET / "names.json").write_text(json.dumps(names))
