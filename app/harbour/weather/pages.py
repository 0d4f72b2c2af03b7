"""Pages of the weather."""

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
    """Return the name of a day: "Monday"."""
    return f"{day:%A}"


@bp.app_template_filter()
def clock(moment: datetime) -> str:
    """Format a time in the site's time zone: "14:05 on 4 May"."""
    local = reports.local(moment)
    return f"{local:%H:%M} on {local.day} {local:%B}"


@bp.app_template_filter()
def age(moment: datetime) -> str:
    """Return the time since a moment: "50 minutes", "3 hours", "2 days"."""
    minutes = max(0, int((datetime.now(timezone.utc) - moment).total_seconds() // 60))
    if minutes < 120:
        return plural(minutes, "minute")
    return plural(minutes // 60, "hour") if minutes < 48 * 60 else plural(minutes // 1440, "day")


bp.add_app_template_filter(percent)
bp.add_app_template_filter(point, "compass")


@bp.get("/")
def index() -> str:
    """Show the current weather and the forecast of one town."""
    town, units = towns.find(request.args.get("town")), Units.parse(request.args.get("units"))
    if not service.configured():
        return render_template("weather/missing.html")
    moment = datetime.now(timezone.utc)
    report = reports.weather(town)
    return render_template(
        "weather/index.html",
        place=town,
        towns=towns.all_towns(),
        args=lambda town=town, units=units: _args(town, units),
        units=units,
        all_units=tuple(Units),
        current=report.current,
        current_at=report.current_at,
        days=service.days(report.steps, current_app.config["HARBOUR_TIMEZONE"], reports.local(moment).date()),
        stale_since=report.stale_since(moment),
        digest_available=subscribers.available(),
    )


def _args(town: towns.Town, units: Units) -> dict[str, str]:
    """Return the shortest query arguments for a town and units."""
    values = {
        "town": "" if town == towns.find(None) else town.slug,
        "units": "" if units is Units.METRIC else units.value,
    }
    return {name: value for name, value in values.items() if value}


# --- By e-mail -----------------------------------------------------------------------------------


@bp.get("/digest")
def subscribe() -> ResponseReturnValue:
    """Show the form to subscribe, or a notice if the digest is not available."""
    if not subscribers.available():
        return render_template("weather/no_digest.html")
    return _private(render_template("weather/digest.html", form=DigestForm.of(request.args)))


@bp.post("/digest")
@limiter.limit("10 per hour")
def request_confirmation() -> ResponseReturnValue:
    """Mail a confirmation link, or show the form again with its errors."""
    if not subscribers.available():
        abort(404)
    form = DigestForm()
    if not form.validate():
        return _private(render_template("weather/digest.html", form=form)), 422
    response = redirect(url_for("weather.check_mail"), 303)
    if not form.website.data:
        application = current_app._get_current_object()  # type: ignore[attr-defined]
        email, town, units = form.email.data, form.town.data, Units.parse(form.units.data)

        def send_confirmation() -> None:
            with application.app_context():
                try:
                    subscribers.request_confirmation(email, town, units)
                except mail.MailError as error:
                    log.warning("weather_confirmation_not_mailed", reason=str(error))

        # After the response, so that its duration does not depend on the subscription.
        response.call_on_close(send_confirmation)
    return response


@bp.get("/digest/asked")
def check_mail() -> str:
    """Show a notice to check the mail."""
    return render_template("weather/check_mail.html")


# Mail scanners follow links, so only the button on the page changes anything. The signed token in the
# link authenticates the request, so the forms need no CSRF token and no cookies.
@bp.get("/digest/confirm")
def confirm_page() -> ResponseReturnValue:
    """Show the button that confirms a subscription."""
    token = request.args.get("token", "")
    return _token_page("confirm", valid=subscribers.confirm(token, apply=False), token=token)


@bp.post("/digest/confirm")
@csrf.exempt
@limiter.limit("60 per hour")
def confirm() -> ResponseReturnValue:
    """Confirm a subscription."""
    valid = subscribers.confirm(request.args.get("token", ""), apply=True)
    return _token_page("confirm", valid=valid, done=valid)


@bp.get("/digest/leave")
def unsubscribe_page() -> ResponseReturnValue:
    """Show the button that unsubscribes."""
    token = request.args.get("token", "")
    return _token_page("unsubscribe", valid=subscribers.unsubscribe(token, apply=False), token=token)


# No rate limit, because mail providers send all requests from a few addresses. RFC 8058 forbids redirects.
@bp.post("/digest/leave")
@csrf.exempt
def unsubscribe() -> ResponseReturnValue:
    """Unsubscribe, by the button or by a mail program (one click)."""
    valid = subscribers.unsubscribe(request.args.get("token", ""), apply=True)
    return _token_page("unsubscribe", valid=valid, done=valid)


def _token_page(name: str, *, valid: bool, done: bool = False, token: str = "") -> ResponseReturnValue:
    page = render_template(f"weather/{name}.html", valid=valid, done=done, token=token)
    return _private(page), 200 if valid else 404


def _private(page: str) -> Response:
    """Return a page that must not be cached."""
    return keep_private(Response(page))
