"""The pages of the weather."""

from __future__ import annotations

from datetime import date, datetime, timezone

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from .. import logs, mail
from ..extensions import csrf, limiter
from ..formats import plural
from ..security import keep_private
from . import reports, service, subscribers, towns
from .forms import DigestForm
from .units import Units, percent, point

bp = Blueprint("weather", __name__, url_prefix="/weather")
log = logs.get(__name__)


@bp.app_template_filter()
def weekday(day: date) -> str:
    """Return the name of the day: "Monday"."""
    return f"{day:%A}"


@bp.app_template_filter()
def clock(moment: datetime) -> str:
    """Return a time as the site's clocks show it, with its day: "14:05 on 4 May"."""
    there = reports.local(moment)
    return f"{there:%H:%M} on {there.day} {there:%B}"


@bp.app_template_filter()
def age(moment: datetime) -> str:
    """Return how long ago it was: "50 minutes", "3 hours", "2 days"."""
    minutes = max(0, int((datetime.now(timezone.utc) - moment).total_seconds() // 60))
    if minutes < 120:
        return plural(minutes, "minute")
    return plural(minutes // 60, "hour") if minutes < 48 * 60 else plural(minutes // 1440, "day")


bp.add_app_template_filter(percent)
bp.add_app_template_filter(point, "compass")


@bp.get("/")
def index() -> str:
    """Show the weather in one town, now and for the days to come."""
    town, units = towns.find(request.args.get("town")), Units.parse(request.args.get("units"))
    if not service.configured():
        return render_template("weather/missing.html")
    moment = datetime.now(timezone.utc)
    found = reports.weather(town)
    return render_template(
        "weather/index.html",
        place=town,
        towns=towns.every(),
        args=lambda town=town, units=units: _args(town, units),
        units=units,
        every_units=tuple(Units),
        current=found.current,
        current_at=found.current_at,
        days=service.days(found.steps, current_app.config["HARBOUR_TIMEZONE"], reports.local(moment).date()),
        old=found.old(moment),
        offered=subscribers.offered(),
    )


def _args(town: towns.Town, units: Units) -> dict[str, str]:
    """Return the shortest query arguments that mean these."""
    every = {
        "town": "" if town == towns.find(None) else town.slug,
        "units": "" if units is Units.METRIC else units.value,
    }
    return {name: value for name, value in every.items() if value}


# --- By e-mail -----------------------------------------------------------------------------------


@bp.get("/digest")
def subscribe() -> ResponseReturnValue:
    """Show the form, or say that there is none."""
    if not subscribers.offered():
        return render_template("weather/no_digest.html")
    return _private(render_template("weather/digest.html", form=DigestForm.of(request.args)))


@bp.post("/digest")
@limiter.limit("10 per hour")
def ask() -> ResponseReturnValue:
    """Send a link that confirms, or show the form again with what is wrong with it."""
    if not subscribers.offered():
        abort(404)
    form = DigestForm()
    if not form.validate():
        return _private(render_template("weather/digest.html", form=form)), 422
    answer = redirect(url_for("weather.asked"), 303)
    if not form.website.data:
        application = current_app._get_current_object()  # type: ignore[attr-defined]
        email, town, units = form.email.data, form.town.data, Units.parse(form.units.data)

        def post() -> None:
            with application.app_context():
                try:
                    subscribers.ask(email, town, units)
                except mail.MailError as error:
                    log.warning("weather_confirmation_not_mailed", reason=str(error))

        # When the visitor has the answer, which so takes as long whoever is on the list.
        answer.call_on_close(post)
    return answer


@bp.get("/digest/asked")
def asked() -> str:
    """Say where to look now."""
    return render_template("weather/asked.html")


# Programs that look into mail follow its links: only the button on the page does anything. The link
# itself says that it is them, so neither form needs a key, or a browser that keeps cookies.
@bp.get("/digest/confirm")
def confirm() -> ResponseReturnValue:
    """Ask whether they really want it."""
    token = request.args.get("token", "")
    return _answer("confirm", known=subscribers.confirm(token, really=False), token=token)


@bp.post("/digest/confirm")
@csrf.exempt
@limiter.limit("60 per hour")
def confirmed() -> ResponseReturnValue:
    """Put them on the list."""
    known = subscribers.confirm(request.args.get("token", ""), really=True)
    return _answer("confirm", known=known, done=known)


@bp.get("/digest/leave")
def unsubscribe() -> ResponseReturnValue:
    """Ask whether they really want to leave."""
    token = request.args.get("token", "")
    return _answer("leave", known=subscribers.leave(token, really=False), token=token)


# No limit: a mail provider sends everybody's from a few addresses. RFC 8058 forbids a redirect.
@bp.post("/digest/leave")
@csrf.exempt
def left() -> ResponseReturnValue:
    """Take them off the list: for the button, and for mail programs."""
    known = subscribers.leave(request.args.get("token", ""), really=True)
    return _answer("leave", known=known, done=known)


def _answer(name: str, *, known: bool, done: bool = False, token: str = "") -> ResponseReturnValue:
    page = render_template(f"weather/{name}.html", known=known, done=done, token=token)
    return _private(page), 200 if known else 404


def _private(page: str) -> Response:
    """Keep what is somebody's out of every cache."""
    return keep_private(Response(page))
