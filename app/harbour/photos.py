"""Photos of homes: uploads, and their storage in a folder or on S3. `pictures` converts them."""

from __future__ import annotations

import importlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Flask, Response, abort, current_app, request
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from . import logs
from .extensions import db
from .models import Listing, Photo, Status
from .pictures import MEGABYTE, PhotoError, PhotoFiles, prepare

MAX_PHOTOS = 8
MAX_REQUEST = 40 * MEGABYTE  # of the form with all photos; nginx needs the same limit

# Browsers show a single image in a generated page with inline styles.
POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"

# The endpoint with the larger request limit.
UPLOADS = "submit.send"

bp = Blueprint("photos", __name__, url_prefix="/photos")
log = logs.get(__name__)


class Store(Protocol):
    """Storage of photos."""

    def save(self, name: str, content: bytes) -> None:
        """Write a file."""

    def load(self, name: str) -> bytes | None:
        """Return a file's content, or None if it does not exist."""

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""


class Folder:
    """Photos in a local folder. With several web hosts use S3."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, name: str, content: bytes) -> None:
        """Write a file atomically."""
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
        """Return a file's content, or None if it does not exist."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        (self.path / name).unlink(missing_ok=True)


class Bucket:
    """Photos in an S3 bucket, which can be private because the application serves them."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        config = importlib.import_module("botocore.config").Config(
            connect_timeout=3, read_timeout=10, retries={"max_attempts": 3}
        )
        self.s3: Any = importlib.import_module("boto3").client("s3", config=config)

    def save(self, name: str, content: bytes) -> None:
        """Write a file."""
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content, ContentType="image/jpeg")

    def load(self, name: str) -> bytes | None:
        """Return a file's content, or None if it does not exist."""
        try:
            response = self.s3.get_object(Bucket=self.bucket, Key=self.prefix + name)
        except self.s3.exceptions.NoSuchKey:
            return None
        content: bytes = response["Body"].read()
        return content

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        self.s3.delete_object(Bucket=self.bucket, Key=self.prefix + name)


def init_app(app: Flask) -> None:
    """Open the store, and raise the request limit of the form with photos."""
    location: str = app.config["HARBOUR_PHOTOS"]
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        app.extensions["photos"] = Bucket(bucket, prefix)
    else:
        app.extensions["photos"] = Folder(Path(location))

    @app.before_request
    def allow_uploads() -> None:
        if request.endpoint == UPLOADS:
            request.max_content_length = MAX_REQUEST


def store() -> Store:
    """Return the application's store."""
    photo_store: Store = current_app.extensions["photos"]
    return photo_store


def prepare_all(files: Sequence[FileStorage]) -> Iterator[PhotoFiles]:
    """Convert all uploaded files, one at a time. Empty file fields are ignored.

    Raises:
        PhotoError: a file is not a usable photo, or there are too many.
    """
    uploads = [file for file in files if isinstance(file, FileStorage) and file.filename]
    if len(uploads) > MAX_PHOTOS:
        raise PhotoError(f"Please choose {MAX_PHOTOS} photos at most.")
    for number, file in enumerate(uploads, 1):
        try:
            yield prepare(file.stream)
        except PhotoError as error:
            raise PhotoError(f"Photo {number}: {error}") from error


def save_files(prepared: Iterable[PhotoFiles]) -> list[Photo]:
    """Write the files and return the Photo rows. On a failed commit call `discard`.

    Writes each photo before the next one is converted, because the memory of a worker is limited.
    """
    photos: list[Photo] = []
    try:
        for position, one in enumerate(prepared):
            name = secrets.token_hex(16)
            photos.append(Photo(position=position, name=name, width=one.width, height=one.height))
            store().save(f"{name}-large.jpg", one.large)
            store().save(f"{name}-small.jpg", one.small)
    except BaseException:
        discard([photo.name for photo in photos])
        raise
    return photos


def discard(names: Sequence[str]) -> None:
    """Delete the files of photos that were not committed."""
    for name in names:
        for size in ("large", "small"):
            store().delete(f"{name}-{size}.jpg")


@bp.get("/<string(length=32):name>-<any(large, small):size>.jpg")
def show(name: str, size: str) -> Response:
    """Return a photo of a published listing."""
    photo_id = db.session.scalar(
        select(Photo.id)
        .join(Listing, Listing.id == Photo.listing_id)
        .where(Photo.name == name, Listing.status == Status.PUBLISHED)
    )
    if photo_id is None:
        abort(404)
    # One day, so that withdrawn photos disappear from caches.
    return response_for(name, size, "public, max-age=86400")


def response_for(name: str, size: str, cache_control: str) -> Response:
    """Return the response with a photo's file, or 404 if the store does not have it."""
    content = store().load(f"{name}-{size}.jpg")
    if content is None:
        log.warning("photo_missing", photo=name)
        abort(404)
    response = Response(content, mimetype="image/jpeg", headers={"Cache-Control": cache_control})
    response.headers["Content-Security-Policy"] = POLICY
    response.set_etag(f"{name}-{size}")
    return response.make_conditional(request)  # type: ignore[return-value]
