"""Memory of a worker that converts the largest accepted pictures of each kind."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from harbour.pictures import MAX_MEMORY, PhotoError, prepare

LIMIT = 150  # MiB of a worker
# The worker serves pages, converts each file, and prints its peak in MiB after each.
WORKER = """
import json, os, sys
from pathlib import Path
from harbour import create_app
from harbour.pictures import PhotoError, prepare

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) // 1024

client = create_app({"DATABASE_URL": "sqlite://", "SECRET_KEY": "test"}).test_client()
for path in ("/resources", "/submit", "/quiz/titles.json"):
    assert client.get(path).status_code == 200, path
peaks = {"start": peak()}
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        try:
            prepare(file)
            outcome = peak()
        except PhotoError as error:
            outcome = str(error)
    peaks[Path(path).name] = outcome
print(json.dumps(peaks))
"""


def noise(mode: str, width: int, height: int) -> Image.Image:
    """Return a picture of small tiles of noise, which compress badly."""
    tile = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(64 * 64 * 3))  # noqa: S311 (not a secret)
    image = Image.new("RGB", (width, 64))
    for left in range(0, width, 64):
        image.paste(tile, (left, 0))
    image = image.convert(mode)
    rows = Image.new(mode, (width, height))
    if image.mode == "P":
        rows.putpalette(image.getpalette())
    for top in range(0, height, 64):
        rows.paste(image, (0, top))
    return rows


def sideways() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


# Kind, mode, width, height, options: close to the largest picture that is accepted.
LARGEST = {
    "rgb.png": ("PNG", "RGB", 2800, 2200, {"compress_level": 1}),
    "rgba.png": ("PNG", "RGBA", 2200, 2800, {"compress_level": 1, "exif": sideways()}),
    "palette.png": ("PNG", "P", 5600, 4400, {"compress_level": 1, "transparency": bytes(range(256))}),
    "gray.png": ("PNG", "L", 19_900, 1240, {"compress_level": 1}),
    "gray-alpha.png": ("PNG", "LA", 2800, 2200, {"compress_level": 1}),
    "lossy.webp": ("WEBP", "RGB", 1550, 1350, {"quality": 60, "method": 0}),
    "lossless.webp": ("WEBP", "RGBA", 1350, 1600, {"lossless": True, "quality": 0, "method": 0}),
    "baseline.jpg": ("JPEG", "RGB", 7900, 5000, {"quality": 40, "exif": sideways()}),
    "undrafted.jpg": ("JPEG", "RGB", 2490, 2490, {"quality": 70, "exif": sideways()}),
    "progressive.jpg": ("JPEG", "RGB", 3500, 2650, {"quality": 50, "progressive": True}),
    "progressive-444.jpg": (
        *("JPEG", "RGB", 2500, 2150),
        {"quality": 50, "progressive": True, "subsampling": 0},
    ),
    "cmyk.jpg": ("JPEG", "CMYK", 7900, 5000, {"quality": 30}),
    "progressive-cmyk.jpg": ("JPEG", "CMYK", 2500, 1660, {"quality": 40, "progressive": True}),
}


def write(path: Path, kind: str, mode: str, width: int, height: int, options: dict) -> None:
    # As noise, the largest JPEGs would have more than 8 MB. Their memory does not depend on the content.
    flat = kind == "JPEG" and width * height > 20_000_000
    image = Image.new(mode, (width, height)) if flat else noise(mode, width, height)
    image.save(path, kind, **options)


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int | str]:
    """Return the worker's peak after each picture, or the message of the rejection."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, arguments in LARGEST.items():
        write(folder / name, *arguments)
    command = [sys.executable, "-c", WORKER, *(str(folder / name) for name in LARGEST)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603 (fixed)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", LARGEST)
def test_worker_converts_largest_picture_below_limit(peaks: dict[str, int | str], name: str) -> None:
    got = peaks[name]
    assert isinstance(got, int), f"{name}: expected the picture to be accepted, got {got!r}"
    assert got < LIMIT, f"expected a peak below {LIMIT} MiB, got {peaks}"


@pytest.mark.parametrize(
    ("kind", "mode", "size", "options"),
    [
        ("PNG", "RGBA", (8000, 5000), {}),
        ("PNG", "P", (8000, 5000), {}),
        ("WEBP", "RGB", (2400, 2000), {"method": 0}),
        ("JPEG", "RGB", (6000, 4000), {"progressive": True, "subsampling": 0}),
        ("JPEG", "CMYK", (4000, 3000), {"progressive": True}),
    ],
    ids=["finding", "palette", "webp", "progressive", "progressive cmyk"],
)
def test_picture_that_needs_too_much_is_rejected_before_decoding(
    monkeypatch: pytest.MonkeyPatch, kind: str, mode: str, size: tuple[int, int], options: dict
) -> None:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)

    def load(*_: object) -> None:
        raise AssertionError("expected no decoding")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile.load", load)
    with pytest.raises(PhotoError, match=r"million pixels needs too much memory\. Please make it smaller"):
        prepare(file)
    assert MAX_MEMORY < LIMIT * 1024 * 1024


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_is_rejected(kind: str) -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(PhotoError, match="animation"):
        prepare(file)


def test_jpeg_with_several_scans_counts_its_coefficients() -> None:
    """A baseline JPEG with one scan for each component needs as much as a progressive one."""
    file = io.BytesIO()
    Image.new("RGB", (6000, 4000)).save(file, "JPEG", subsampling=0)
    assert prepare(file).width == 1500, "expected an ordinary JPEG of this size to be accepted"
    content = bytearray(file.getvalue())
    scan = content.index(b"\xff\xda")
    content[scan + 4] = 1  # components of the first scan
    with pytest.raises(PhotoError, match="too much memory"):
        prepare(io.BytesIO(bytes(content)))
