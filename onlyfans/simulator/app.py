"""Answers the vendor's HTTP paths, beside those of own_routes.py. Touches the simulator's store."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from onlyfans.simulator import sending, shapes
from onlyfans.simulator.faults import Fault, Kind, On
from onlyfans.simulator.own_routes import own_routes
from onlyfans.simulator.state import Simulator
from onlyfans.simulator.store import Account, Fan

# Keys beside those of the accounts: one that reaches all of them, and one whose team has no account yet.
AGENCY_KEY = "sim_key_agency"
EMPTY_KEY = "sim_key_empty"
HTML_PAGE = "<!doctype html><title>Web server is returning an unknown error</title><h1>Error</h1>"


Endpoint = Callable[[Request, Simulator, Account], Awaitable[Response]]


def starlette_app(simulator: Simulator) -> Starlette:
    def vendor(path: str, endpoint: Endpoint, on: On = On.ANY, method: str = "GET") -> Route:
        async def guarded(request: Request) -> Response:
            return await _guarded(request, simulator, endpoint, on)

        return Route(path, guarded, methods=[method])

    return Starlette(
        routes=[
            *own_routes(simulator),
            vendor("/api/whoami", _whoami, On.WHOAMI),
            vendor("/api/accounts", _accounts),
            vendor("/api/webhooks", _webhooks),
            vendor("/api/webhooks", _webhook_add, method="POST"),
            vendor("/api/webhooks/{number:int}", _webhook_remove, method="DELETE"),
            vendor("/api/{account}/me", _me),
            vendor("/api/{account}/fans/{which:str}", _fans, On.LIST),
            vendor("/api/{account}/users/{username}", _user, On.USER),
            vendor("/api/{account}/transactions", _transactions, On.LIST),
            vendor("/api/{account}/chats", _chats, On.LIST),
            vendor("/api/{account}/chats/{fan}/messages", _messages, On.LIST),
            vendor("/api/{account}/chats/{fan}/messages", _send, On.SEND, "POST"),
        ]
    )


async def _guarded(request: Request, simulator: Simulator, endpoint: Endpoint, on: On) -> Response:
    """Latency, the key, the account in the path, and the next fault, before the endpoint itself."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    reached = _reached(simulator.store.accounts(), key)
    if scheme.lower() != "bearer" or reached is None:
        return JSONResponse({"error": "Unauthorized. Check your API key."}, 401)
    if not reached and endpoint is _accounts:
        return JSONResponse([])
    wanted = request.path_params.get("account")
    owner = next((account for account in reached if wanted in (None, account.id)), None)
    if owner is None:
        return JSONResponse({"error": "NOT_FOUND", "message": "This account does not exist in your team."}, 404)
    request.state.reached = reached
    fault = simulator.faults.next(on=on, account=owner.id)
    request.state.fault = fault
    request.state.before_ms = simulator.latency_ms / 2
    if fault is not None and fault.kind is Kind.DELAY and not fault.take:
        request.state.before_ms += fault.delay_ms
    if on is not On.SEND:
        await simulator.sleep(request.state.before_ms)
    answer = None
    if fault is None or fault.take or fault.kind is Kind.DELAY:
        answer = await endpoint(request, simulator, owner)
    await simulator.sleep(simulator.latency_ms / 2)
    if fault is not None:
        return await _instead(fault, answer, request, simulator)
    return answer or Response(status_code=500)


def _reached(accounts: list[Account], key: str) -> list[Account] | None:
    """The accounts that a key reaches: its own, all of an agency's, or none yet; None for a key that nobody has."""
    if key == AGENCY_KEY:
        return accounts
    mine = [account for account in accounts if account.api_key == key]
    return mine if mine or key == EMPTY_KEY else None


async def _instead(fault: Fault, answer: Response | None, request: Request, simulator: Simulator) -> Response:
    if fault.kind is Kind.DELAY and answer is not None:
        await simulator.sleep(fault.delay_ms if fault.take else 0)
        return answer
    await simulator.sleep(fault.delay_ms)
    if fault.kind is Kind.DROP:
        # server.py put it there. The answer below is never written.
        request.scope["simulator.connection"].abort()
        while not await request.is_disconnected():
            await asyncio.sleep(0)
        return Response(status_code=500)
    if fault.kind is Kind.HTML:
        return HTMLResponse(HTML_PAGE, fault.status)
    body = fault.body if fault.body is not None else {"error": "SIMULATED", "message": "Asked for by /_control."}
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return JSONResponse(body, fault.status, headers)


def _reply(reply: sending.Reply) -> Response:
    return JSONResponse(dict(reply.body), reply.status, dict(reply.headers))


def _data(simulator: Simulator, account: Account, data: object, **more: object) -> Response:
    balance = shapes.CREDITS - simulator.store.count(account=account.id)
    return JSONResponse({"data": data, "_meta": shapes.meta(used=1, balance=balance), **more})


def _number(request: Request, name: str, default: int, maximum: int) -> int | None:
    value = request.query_params.get(name, str(default))
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else -1
    return number if (1 if name == "limit" else 0) <= number <= maximum else None


def _out_of_range(**names: str) -> Response:
    return JSONResponse(shapes.validation_error(**names), 422)


async def _whoami(request: Request, simulator: Simulator, owner: Account) -> Response:
    key = {"name": f"Key of {owner.name}", "created_at": "2026-01-01T00:00:00+00:00", "last_used_at": None}
    return JSONResponse({"team": {"name": "Simulated team", "slug": "simulated-team"}, "api_key": key})


async def _accounts(request: Request, simulator: Simulator, owner: Account) -> Response:
    return JSONResponse([shapes.account_shape(account) for account in request.state.reached])


async def _me(request: Request, simulator: Simulator, owner: Account) -> Response:
    subscribers = sum(not shapes.is_expired(fan) for fan in simulator.store.fans())
    return _data(simulator, owner, shapes.me_shape(owner, subscribers=subscribers))


async def _fans(request: Request, simulator: Simulator, owner: Account) -> Response:
    wanted: Mapping[str, Callable[[Fan], bool]] = {
        "active": lambda fan: not shapes.is_expired(fan),
        "expired": shapes.is_expired,
        "all": lambda fan: True,
    }
    which = request.path_params["which"]
    limit, offset = _number(request, "limit", 10, 20), _number(request, "offset", 0, 10**9)
    if which not in wanted:
        return JSONResponse({"error": "NOT_FOUND", "message": "There is no such list."}, 404)
    if limit is None or offset is None:
        return _out_of_range(limit="The limit must be between 1 and 20.")
    fans = [fan for fan in simulator.store.fans() if wanted[which](fan)]
    some = fans[offset : offset + limit]
    has_more = offset + limit < len(fans)
    next_page = str(request.url.include_query_params(limit=limit, offset=offset + limit)) if has_more else None
    data = {"list": [shapes.fan_shape(fan) for fan in some], "hasMore": has_more}
    return _data(simulator, owner, data, _pagination={"next_page": next_page})


async def _user(request: Request, simulator: Simulator, owner: Account) -> Response:
    fan = simulator.store.fan_named(request.path_params["username"].removeprefix("@"))
    if fan is None:
        return JSONResponse(shapes.upstream_error("User not found", 404), 404)
    return _data(simulator, owner, shapes.fan_shape(fan))


async def _chats(request: Request, simulator: Simulator, owner: Account) -> Response:
    limit, offset = _number(request, "limit", 10, 100), _number(request, "offset", 0, 10**9)
    if limit is None or offset is None:
        return _out_of_range(limit="The limit must be between 1 and 100.")
    lasts = simulator.store.chats(account=owner.id, limit=limit + 1, offset=offset)
    next_page = (
        str(request.url.include_query_params(limit=limit, offset=offset + limit)) if len(lasts) > limit else None
    )
    chats = [
        shapes.chat_shape(
            last,
            simulator.store.fan(last.fan),
            owner,
            unread=simulator.store.unread(account=owner.id, fan=last.fan),
        )
        for last in lasts[:limit]
    ]
    return _data(simulator, owner, chats, _pagination={"next_page": next_page})


async def _messages(request: Request, simulator: Simulator, owner: Account) -> Response:
    limit, before = _number(request, "limit", 10, 100), _number(request, "first_id", 0, 10**18)
    fan = request.path_params["fan"]
    if limit is None or before is None or not (fan.isascii() and fan.isdecimal() and len(fan) < 19):
        return _out_of_range(limit="The limit must be between 1 and 100, the chat and first_id numbers.")
    messages = simulator.store.chat(account=owner.id, fan=int(fan), before=before, limit=limit + 1)
    more = len(messages) > limit
    some = messages[:limit]
    next_page = str(request.url.include_query_params(limit=limit, first_id=some[-1].id)) if more else None
    data = [shapes.message_shape(message, owner) for message in some]
    return _data(simulator, owner, data, _pagination={"next_page": next_page})


async def _transactions(request: Request, simulator: Simulator, owner: Account) -> Response:
    limit, marker = _number(request, "limit", 10, 100), _number(request, "marker", 0, 10**18)
    if limit is None or marker is None:
        return _out_of_range(limit="The limit must be between 1 and 100, the marker a number.")
    try:
        since = shapes.milliseconds(request.query_params.get("startDate", "1970-01-01"))
    except ValueError:
        return _out_of_range(startDate="The start date is not a date.")
    found = simulator.store.transactions(
        account=owner.id,
        kind=request.query_params.get("type", ""),
        since=since,
        before=marker,
        limit=limit + 1,
    )
    fans = {each.fan: simulator.store.fan(each.fan) for each in found}
    some, more = found[:limit], len(found) > limit
    data = {
        "list": [shapes.transaction_shape(each, fan) for each in some if (fan := fans[each.fan])],
        "hasMore": more,
        "marker": marker,
        "nextMarker": some[-1].number if more else None,
    }
    return _data(simulator, owner, data)


async def _webhooks(request: Request, simulator: Simulator, owner: Account) -> Response:
    stored = [each for account in request.state.reached for each in simulator.store.webhooks(account=account.id)]
    return _data(simulator, owner, [shapes.webhook_shape(each) for each in stored])


async def _webhook_add(request: Request, simulator: Simulator, owner: Account) -> Response:
    """One webhook here is of one account: an inclusive scope names it, and a key of one account means that one."""
    try:
        body = json.loads(await request.body())
        url, events, scope = body["endpoint_url"], body["events"], body["account_scope"]
        fits = url.startswith(("http://", "https://")) and all(isinstance(each, str) for each in events)
    except (ValueError, TypeError, KeyError, AttributeError):
        fits = False
    if not fits or scope not in ("global", "inclusive", "exclusive"):
        return _out_of_range(endpoint_url="Give endpoint_url, events and account_scope.")
    named = body.get("account_ids", ()) if scope == "inclusive" else [owner.id]
    account = next((each for each in request.state.reached if each.id in named), None)
    if account is None:
        return _out_of_range(account_ids="Name an account of your team.")
    made = simulator.store.webhook_add(
        account=account.id, url=url, events=events, secret=body.get("signing_secret") or ""
    )
    return _data(simulator, owner, shapes.webhook_shape(made))


async def _webhook_remove(request: Request, simulator: Simulator, owner: Account) -> Response:
    number = request.path_params["number"]
    if not any(simulator.store.webhook_remove(account=each.id, number=number) for each in request.state.reached):
        return JSONResponse({"error": "NOT_FOUND", "message": "There is no such webhook."}, 404)
    return _data(simulator, owner, {"success": True})


async def _send(request: Request, simulator: Simulator, owner: Account) -> Response:
    fault: Fault | None = request.state.fault
    raw = await request.body()
    post = sending.Post(owner, request.path_params["fan"], request.headers.get("idempotency-key"), raw)
    if refused := sending.key_error(post.key) or sending.replay(simulator.store, post):
        return _reply(refused)
    under_way = (owner.id, post.key or "")
    if post.key is not None and under_way in simulator.running:
        message = "An earlier request with this key is still running. Retry once it finishes."
        return JSONResponse({"error": "IDEMPOTENCY_CONFLICT", "message": message}, 409)
    simulator.running.add(under_way)
    try:
        await simulator.sleep(request.state.before_ms)
        kept = fault is None or fault.kept
        reply, taken = sending.send(simulator.store, post, limits=simulator.limits, kept=kept)
        if taken is not None:
            simulator.on_message(owner, taken)
        return _reply(reply)
    finally:
        simulator.running.discard(under_way)
