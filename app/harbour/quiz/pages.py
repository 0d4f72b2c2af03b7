"""Pages of the daily film, and the JSON for their script.

The database stores the guesses, and the cookie contains only a signed random name, so that old
cookies do not restore tries. Every response is created from `Game`, which limits it to the
clues earned by stored guesses.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, redirect, request, url_for
from flask import render_template as render
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from wtforms import HiddenField, StringField

from .. import logs
from ..extensions import db, limiter
from ..formats import clean_line
from ..security import keep_private
from . import films, game
from .films import MAX_TITLE, Film, Films
from .game import Game, Order, Streak
from .models import Day, Guess, Player

COOKIE_AGE = timedelta(days=400)  # the maximum of browsers
PER_PAGE = 31  # days of the archive
# The titles change only with a release or with the operator's notes.
TITLES_CACHING = "public, max-age=3600"

# Per address, so that deleting the cookie does not allow trying all films in a day.
GUESS_LIMIT = limiter.shared_limit("60 per hour", scope="quiz")

bp = Blueprint("quiz", __name__, url_prefix="/quiz")
log = logs.get(__name__)


class GuessForm(FlaskForm):
    """A guess, and the day of the film that its page shows."""

    guess = StringField(
        "Which film is it?",
        description="Its title will do. An unknown name costs no try.",
        filters=[lambda value: clean_line(value) if isinstance(value, str) else ""],
        render_kw={
            "autocomplete": "off",
            "autocapitalize": "words",
            "enterkeyhint": "send",
            "maxlength": MAX_TITLE,
            "spellcheck": "false",
        },
    )
    day = HiddenField()


@bp.after_request
def set_cache_control(response: Response) -> Response:
    """Forbid caching of responses with a player's state. The archive is public."""
    if request.endpoint == "quiz.titles" and response.status_code < 400:
        response.headers["Cache-Control"] = TITLES_CACHING
    elif request.endpoint not in {"quiz.archive", "quiz.past"}:
        keep_private(response)
    return response


# --- Pages -------------------------------------------------------------------------------------


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show the film of the day with the player's state."""
    if not _films():
        return render("quiz/missing.html")
    return _page(GuessForm(formdata=None))


@bp.post("/")
@GUESS_LIMIT
def guess() -> ResponseReturnValue:
    """Accept a guess from the form, and show the result."""
    form = GuessForm(request.form)
    player, problem = _submit(form)
    if problem:
        form.guess.errors = [problem]
        return _with_cookie(_page(form, 422), player)
    return _with_cookie(redirect(url_for("quiz.index"), 303), player)


@bp.get("/today.json")
def state() -> Response:
    """Return the player's state for the script."""
    _require_films()
    return jsonify(_state(_player()))


@bp.post("/guess.json")
@GUESS_LIMIT
def guess_json() -> ResponseReturnValue:
    """Accept a guess from the script, and return the new state."""
    player, problem = _submit(GuessForm(request.form))
    response = jsonify(**_state(player), problem=problem)
    response.status_code = 422 if problem else 200
    return _with_cookie(response, player)


@bp.get("/titles.json")
def titles() -> ResponseReturnValue:
    """Return all titles for suggestions, independent of day and player."""
    response = jsonify(_films().labels)
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/archive")
def archive() -> str:
    """List the films of past days, latest first."""
    page = min(max(request.args.get("page", 1, type=int), 1), 1000)
    recorded_days = db.session.scalars(
        select(Day)
        .where(Day.day < _today())
        .order_by(Day.day.desc())
        .limit(PER_PAGE + 1)
        .offset((page - 1) * PER_PAGE)
    ).all()
    films_by_id = _films().by_id
    days = [
        (_midnight(d.day), films_by_id[d.film]) for d in recorded_days[:PER_PAGE] if d.film in films_by_id
    ]
    return render("quiz/archive.html", days=days, page=page, more=len(recorded_days) > PER_PAGE)


@bp.get("/archive/<day>")
def past(day: str) -> str:
    """Show the film of a past day, or 404 for other days."""
    requested_day = _date(day)
    # Query past days only, so that the current film cannot leak.
    is_past = requested_day is not None and requested_day < _today()
    stored = db.session.get(Day, requested_day) if is_past else None
    film = _films().by_id.get(stored.film) if stored else None
    if stored is None or film is None:
        abort(404)
    clues = game.clues(film, game.TRIES - 1)
    return render("quiz/past.html", day=_midnight(stored.day), film=film, clues=clues)


def _page(form: GuessForm, status: int = 200) -> Response:
    state = _state(_player())
    # Always today, so that a visitor can continue with the new film after midnight.
    form.day.data = state["day"]
    day = _midnight(date.fromisoformat(state["day"]))
    page = render("quiz/index.html", form=form, quiz=state, day=day)
    return current_app.response_class(page, status)


def _state(player: Player | None) -> dict[str, Any]:
    """Return everything that a page may show to a player."""
    game_state = _game(player, _today())
    streak = player.get_streak() if player else Streak()
    home = url_for("quiz.index", _external=True)
    return {
        **game_state.as_json(),
        "streak": streak.at(game_state.day),
        "best": streak.best,
        "share": game_state.share(current_app.config["HARBOUR_TOWN"], home) if game_state.over else None,
    }


# --- Film of a day -----------------------------------------------------------------------------


def _films() -> Films:
    return films.load(current_app.config["HARBOUR_FILM_NOTES"])


def _require_films() -> None:
    if not _films():
        abort(404)


@lru_cache(maxsize=4)
def _order(all_films: Films, secret: str) -> Order:
    return Order(all_films, secret)


def _today() -> date:
    return game.today(current_app.config["HARBOUR_TIMEZONE"])


def _film_of(day: date) -> Film:
    """Return the film of a day, and store it at the first request."""
    all_films = _films()
    stored = db.session.get(Day, day)
    if stored and stored.film in all_films.by_id:
        return all_films.by_id[stored.film]
    recent = db.session.scalars(select(Day.film).where(Day.day > day - game.MIN_INTERVAL)).all()
    number = _order(all_films, current_app.config["SECRET_KEY"]).film(day, set(recent))
    if stored:
        stored.film = number  # the stored film was removed from the films
    else:
        db.session.add(Day(day=day, film=number))
    try:
        db.session.commit()
    except IntegrityError:  # another worker stored it first
        db.session.rollback()
        number = db.session.scalars(select(Day.film).where(Day.day == day)).one()
    return all_films.by_id[number]


# --- Players -----------------------------------------------------------------------------------


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="harbour quiz player")


def _cookie() -> str:
    # With the same prefix as the session's cookie, see config.py.
    return "__Host-quiz" if current_app.config["SESSION_COOKIE_SECURE"] else "quiz"


def _player() -> Player | None:
    """Return the player named by the cookie, or None."""
    try:
        name = _signer().loads(request.cookies.get(_cookie(), ""))
    except BadSignature:
        return None
    if not isinstance(name, str):
        return None
    return db.session.scalar(select(Player).where(Player.name == name))


def _with_cookie(response: Any, player: Player | None) -> Response:  # noqa: ANN401 (Flask's or Werkzeug's)
    """Set the player's cookie."""
    if player:
        response.set_cookie(
            _cookie(),
            str(_signer().dumps(player.name)),
            max_age=COOKIE_AGE,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
    return response  # type: ignore[no-any-return]


def _game(player: Player | None, day: date) -> Game:
    """Return a player's game of one day."""
    return Game(day, _film_of(day), tuple(_guesses(player, day)) if player else ())


def _guesses(player: Player, day: date) -> Iterator[Film]:
    films_by_id = _films().by_id
    film_ids: Sequence[str] = db.session.scalars(
        select(Guess.film).where(Guess.player_id == player.id, Guess.day == day).order_by(Guess.number)
    ).all()
    # Films that were removed since still count as tries.
    unknown = Film("", "A film", 0, (), 0, 0, 0, None, None, 0, (), (), (), None, None)
    return (films_by_id.get(number, unknown) for number in film_ids)


def _submit(form: GuessForm) -> tuple[Player | None, str | None]:
    """Store a guess if it is valid.

    Returns:
        The player, and the reason if the guess is rejected.
    """
    _require_films()
    player = _player()
    text = form.guess.data
    day = _today()
    if not form.validate() or not text:
        return player, "Type the title of a film."
    if len(text) > MAX_TITLE:
        return player, "No title is as long as that."
    if form.day.data != day.isoformat():
        return player, "Midnight has passed, and there is a new film. Your guess was for the previous one."
    film = _films().find(text, _film_of(day).year)
    if film is None:
        titles = " or ".join(_films().similar_titles(text))
        question = f" Did you mean {titles}?" if titles else ""
        return player, f"We have no film of this name.{question} It has cost no try."
    # The unique number in the table serialises concurrent guesses: all but one of them fail and try
    # again with the new state, until the game is over.
    while True:
        before = _game(player, day)
        if before.over:
            return player, None
        if film in before.guesses:
            return player, f"You have guessed {film.name} before. It has cost no try."
        player = player or Player(name=secrets.token_hex(16), streak=0, best=0, seen=day)
        try:
            _store(player, before, film)
        except IntegrityError:
            db.session.rollback()
            player = _player()
        else:
            return player, None


def _store(player: Player, before: Game, film: Film) -> None:
    """Store a guess, and update the streak if the game is over."""
    after = Game(before.day, before.film, (*before.guesses, film))
    player.seen = before.day
    if after.over:
        player.set_streak(player.get_streak().after(before.day, won=after.won))
    db.session.add(player)
    db.session.flush()
    number = len(after.guesses)
    db.session.add(Guess(player_id=player.id, day=before.day, number=number, film=film.id))
    db.session.commit()
    if after.over:
        log.info("quiz_over", won=after.won, tries=number)


# --- Days --------------------------------------------------------------------------------------


def _date(text: str) -> date | None:
    """Parse a date in the format 2026-05-04, or return None."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)
