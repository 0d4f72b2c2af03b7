"""Photos of homes: from what somebody sends to two files of ours, kept in a folder or on S3.

What arrives is decoded and written anew, always: what is kept has the picture and nothing else, no
place and time, no camera's number, no second file that hides behind the first.
"""

from __future__ import annotations

import importlib
import io
import os
import secrets
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from flask import Blueprint, Flask, Response, abort, current_app, request
from PIL import Image, ImageOps
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from . import logs
from .extensions import db
from .models import Listing, Photo, Status

MEGABYTE = 1024 * 1024
MAX_PHOTOS = 8
MAX_BYTES = 8 * MEGABYTE  # of one photo
MAX_REQUEST = 40 * MEGABYTE  # of the form with all its photos; nginx has to let it through
MAX_PIXELS = 40_000_000  # decoded, that is 120 MB of memory for a moment
FORMATS = ("JPEG", "PNG", "WEBP")  # told by the content, whatever name and type say
LARGE = (1600, 1600)  # pixels, at most
SMALL = (640, 400)  # pixels, exactly: the shape of a card
QUALITY = 82

# Around a photo that is all there is to show, browsers put a page of theirs, its style inline.
POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"

# The endpoint whose request may be as long as photos need.
UPLOADS = "submit.send"

bp = Blueprint("photos", __name__, url_prefix="/photos")
log = logs.get(__name__)


class PhotoError(ValueError):
    """What was sent cannot be used as a photo. The message is for whoever sent it."""


@dataclass(frozen=True)
class Prepared:
    """A photo in the two forms that are kept, both JPEG.

    Attributes:
        large: the file for its own page.
        small: the file for a card.
        width: of the large one, in pixels.
        height: likewise.
    """

    large: bytes
    small: bytes
    width: int
    height: int


class Store(Protocol):
    """Where photos are kept."""

    def save(self, name: str, content: bytes) -> None:
        """Keep a file."""

    def load(self, name: str) -> bytes | None:
        """Return a file's content, or None when there is none of this name."""

    def delete(self, name: str) -> None:
        """Forget a file; it may be gone already."""


class Folder:
    """Photos in a folder of this machine. Several machines each have their own: use S3 there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, name: str, content: bytes) -> None:
        """Keep a file: it appears complete or not at all."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).rename(self.path / name)
        except BaseException:
            Path(temporary).unlink()
            raise

    def load(self, name: str) -> bytes | None:
        """Return a file's content, or None when there is none of this name."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Forget a file; it may be gone already."""
        (self.path / name).unlink(missing_ok=True)


class Bucket:
    """Photos on S3, in a bucket that need not be public: they are handed on by the application."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        config = importlib.import_module("botocore.config").Config(
            connect_timeout=3, read_timeout=10, retries={"max_attempts": 3}
        )
        self.s3: Any = importlib.import_module("boto3").client("s3", config=config)

    def save(self, name: str, content: bytes) -> None:
        """Keep a file."""
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content, ContentType="image/jpeg")

    def load(self, name: str) -> bytes | None:
        """Return a file's content, or None when there is none of this name."""
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=self.prefix + name)
        except self.s3.exceptions.NoSuchKey:
            return None
        content: bytes = answer["Body"].read()
        return content

    def delete(self, name: str) -> None:
        """Forget a file; it may be gone already."""
        self.s3.delete_object(Bucket=self.bucket, Key=self.prefix + name)


def init_app(app: Flask) -> None:
    """Open the store, and let the one form with photos be long."""
    place: str = app.config["HARBOUR_PHOTOS"]
    if place.startswith("s3://"):
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        app.extensions["photos"] = Bucket(bucket, prefix)
    else:
        app.extensions["photos"] = Folder(Path(place))

    @app.before_request
    def allow_uploads() -> None:
        if request.endpoint == UPLOADS:
            request.max_content_length = MAX_REQUEST


def store() -> Store:
    """Return the application's store."""
    kept: Store = current_app.extensions["photos"]
    return kept


def prepare_all(files: Sequence[FileStorage]) -> list[Prepared]:
    """Return the photos that were chosen, ready to be kept.

    Raises:
        PhotoError: one of them cannot be used, or there are too many.
    """
    chosen = [file for file in files if isinstance(file, FileStorage) and file.filename]
    if len(chosen) > MAX_PHOTOS:
        raise PhotoError(f"Please choose {MAX_PHOTOS} photos at most.")
    prepared = []
    for number, file in enumerate(chosen, 1):
        try:
            prepared.append(prepare(file.stream))
        except PhotoError as error:
            raise PhotoError(f"Photo {number}: {error}") from error
    return prepared


def prepare(stream: IO[bytes]) -> Prepared:
    """Return the photo in a stream, ready to be kept.

    Raises:
        PhotoError: it is too large, or no JPEG, PNG or WebP picture.
    """
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PhotoError(f"This is more than {MAX_BYTES // MEGABYTE} MB.")
    # Decoders raise whatever the broken file led them to, and warn of files that are made to take
    # all memory.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture = _decode(content)
    except PhotoError:
        raise
    except Exception as error:
        log.info("photo_refused", reason=repr(error)[:200])
        raise PhotoError("This is no JPEG, PNG or WebP picture that we can read.") from error
    large = picture.copy()
    large.thumbnail(LARGE, Image.Resampling.LANCZOS)
    small = ImageOps.fit(picture, SMALL, Image.Resampling.LANCZOS)
    return Prepared(_jpeg(large), _jpeg(small), *large.size)


def _decode(content: bytes) -> Image.Image:
    """Return the picture alone, upright, on white where it is transparent."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise PhotoError(f"This has more than {MAX_PIXELS // 1_000_000} million pixels.")
        # A large JPEG is decoded at a half or a quarter of its size where that is enough.
        image.draft("RGB", LARGE)
        upright = ImageOps.exif_transpose(image)
        colours = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    # A new picture: the old one carries what its file had beside the pixels.
    picture = Image.new("RGB", colours.size, "white")
    picture.paste(colours, mask=colours if colours.mode == "RGBA" else None)
    return picture


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return file.getvalue()


def keep(prepared: Sequence[Prepared]) -> list[Photo]:
    """Write the files, and return what the database is to know of them. See `forget`."""
    photos: list[Photo] = []
    try:
        for position, one in enumerate(prepared):
            name = secrets.token_hex(16)
            photos.append(Photo(position=position, name=name, width=one.width, height=one.height))
            store().save(f"{name}-large.jpg", one.large)
            store().save(f"{name}-small.jpg", one.small)
    except BaseException:
        forget(photos)
        raise
    return photos


def forget(photos: Sequence[Photo]) -> None:
    """Delete the files of photos that the database does not know after all."""
    for photo in photos:
        for size in ("large", "small"):
            store().delete(f"{photo.name}-{size}.jpg")


@bp.get("/<string(length=32):name>-<any(large, small):size>.jpg")
def show(name: str, size: str) -> Response:
    """Hand over a photo of a listing that is public."""
    found = db.session.scalar(
        select(Photo.id)
        .join(Listing, Listing.id == Photo.listing_id)
        .where(Photo.name == name, Listing.status == Status.PUBLISHED)
    )
    if found is None:
        abort(404)
    # A day: what is taken down is gone from caches soon.
    return answer(name, size, "public, max-age=86400")


def answer(name: str, size: str, cache_control: str) -> Response:
    """Return the response with a photo's file, or 404 when the store has lost it."""
    content = store().load(f"{name}-{size}.jpg")
    if content is None:
        log.warning("photo_missing", photo=name)
        abort(404)
    response = Response(content, mimetype="image/jpeg", headers={"Cache-Control": cache_control})
    response.headers["Content-Security-Policy"] = POLICY
    response.set_etag(f"{name}-{size}")
    return response.make_conditional(request)  # type: ignore[return-value]
