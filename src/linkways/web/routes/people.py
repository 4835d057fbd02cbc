"""People: signing in and out, joining by invitation, one's account, and for administrators who may do what."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from linkways.errors import LinkwaysError
from linkways.web.accounts import COOKIE, ROLES_GIVEN, Accounts, refuse_anyone, set_cookie
from linkways.web.pages import PageData, answer_form, page, posted_form
from linkways.web.problems import Forbidden, NotThere
from linkways.web.site import CurrentUser, Site, TheSite

router = APIRouter(tags=["people"])


def accounts_of(site: Site) -> Accounts:
    """The accounts of this server.

    Raises:
        NotThere: it has none.
    """
    if site.accounts is None:
        raise NotThere("this server has no accounts: whoever is at this machine may do everything")
    return site.accounts


def _form(name: str, form: FormData) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _whence(request: Request) -> str:
    return request.client.host if request.client else ""


@page(router, "/sign-in", "sign_in.html")
def sign_in_page(site: TheSite, next: Annotated[str, Query(max_length=500)] = "/") -> PageData:
    """Sign in."""
    accounts_of(site)
    return {"next": _own_path(next), "sentence": "", "email": ""}


@router.post("/sign-in")
def sign_in(request: Request, site: TheSite, form: FormData = Depends(posted_form)) -> Response:  # noqa: B008
    """Begin a session."""
    accounts, email = accounts_of(site), _form("email", form)
    next = _own_path(_form("next", form) or "/")
    try:
        cookie = accounts.sign_in(email, _form("password", form), _whence(request))
    except LinkwaysError as error:
        data = {"next": next, "sentence": str(error), "email": email[:200]}
        return answer_form(request, "sign_in.html", data, error)
    answer = RedirectResponse(next, 303)
    set_cookie(answer, cookie, secure=request.url.scheme == "https")
    return answer


@router.post("/sign-out")
def sign_out(request: Request, site: TheSite) -> Response:
    """End the session."""
    accounts_of(site).sign_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


@page(router, "/join", "join.html")
def join_page(site: TheSite, token: Annotated[str, Query(max_length=200)] = "") -> PageData:
    """Make an account with an invitation."""
    invited = accounts_of(site).invitation(token)
    return {"invitation": token, "email": invited.email, "role": invited.role, "sentence": "", "name": ""}


@router.post("/join")
def join(request: Request, site: TheSite, form: FormData = Depends(posted_form)) -> Response:  # noqa: B008
    """Make the account and begin a session."""
    accounts, token = accounts_of(site), _form("token", form)
    try:
        person = accounts.join(
            token, _form("email", form), _form("name", form), _form("password", form), _whence(request)
        )
    except LinkwaysError as error:
        if isinstance(error, NotThere):
            raise
        invited = accounts.invitation(token)
        data = {
            "invitation": token,
            "email": invited.email or _form("email", form)[:200],
            "role": invited.role,
            "sentence": str(error),
            "name": _form("name", form)[:200],
        }
        return answer_form(request, "join.html", data, error)
    answer = RedirectResponse("/my", 303)
    set_cookie(answer, accounts.open_session(person.id), secure=request.url.scheme == "https")
    return answer


@page(router, "/account", "account.html")
def account(site: TheSite, user: CurrentUser) -> PageData:
    """One's own account."""
    refuse_anyone(user)
    person = accounts_of(site).person(user.id)
    return {"person": _person(person), "sentence": "", "changed": False}


@router.post("/account/password")
def change_password(
    request: Request,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Give oneself another password."""
    accounts = accounts_of(site)
    sentence, mistake = "", None
    try:
        accounts.change_password(user, _form("old", form), _form("new", form))
    except LinkwaysError as error:
        sentence, mistake = str(error), error
    data = {"person": _person(accounts.person(user.id)), "sentence": sentence, "changed": not sentence}
    return answer_form(request, "account.html", data, mistake)


@page(router, "/people", "people.html")
def people(site: TheSite, user: CurrentUser) -> PageData:
    """Who has an account, for administrators."""
    _refuse_but_administrators(user)
    return _people(site)


@router.post("/people/invite")
def invite(
    request: Request,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Invite someone; the link is shown once, to be sent by whatever way."""
    _refuse_but_administrators(user)
    token = accounts_of(site).invite(user, _form("email", form), _form("role", form) or "contributor")
    link = str(request.url_for("join_page").include_query_params(token=token))
    return answer_form(request, "people.html", {**_people(site), "link": link}, None)


@router.post("/people/{id}")
def change_person(
    request: Request,
    id: str,
    site: TheSite,
    user: CurrentUser,
    form: FormData = Depends(posted_form),  # noqa: B008
) -> Response:
    """Change someone's role, or close or open the account."""
    _refuse_but_administrators(user)
    closed = {"close": True, "open": False}.get(_form("then", form))
    accounts_of(site).change(user, id, role=_form("role", form) or None, closed=closed)
    return answer_form(request, "people.html", _people(site), None)


def _people(site: Site) -> PageData:
    return {"people": [_person(one) for one in accounts_of(site).people()], "roles": list(ROLES_GIVEN), "link": ""}


def _person(person: object) -> PageData:
    return dict(vars(person))


def _refuse_but_administrators(user: CurrentUser) -> None:
    refuse_anyone(user)
    if not user.at_least("administrator"):
        raise Forbidden(f"only administrators do that; your role is {user.role}")


def _own_path(address: str) -> str:
    """A path on this server; nothing else is gone to after signing in."""
    parts = urlsplit(address)
    own = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return address if own else "/"
