"""Answers the simulator's own paths: its page and forms, its log, its control. Touches the simulator."""

import json
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from onlyfans.simulator.page import HEADERS, page, state_part
from onlyfans.simulator.state import Act, Does, Simulator, control, deliveries

BODY_MAX_BYTES = 20_000
TIP_MAX_CENTS = 20_000
# What can go wrong next, as the page offers it: how a fault is asked for in JSON.
FAULTS: dict[str, dict[str, Any]] = {
    "Too fast (429, wait 5 s)": {"status": 429, "retry_after": "5"},
    "Server error (500)": {"status": 500},
    "A page of HTML (502)": {"kind": "html", "status": 502},
    "No answer, message taken": {"kind": "drop", "take": True},
    "No answer, message not taken": {"kind": "drop"},
    "Its answer 20 s late": {"kind": "delay", "delay_ms": 20_000, "take": True},
    "Key refused (401)": {"status": 401},
    "Out of credits (402)": {"status": 402},
}


def own_routes(simulator: Simulator) -> list[Route]:
    async def home(request: Request) -> Response:
        return HTMLResponse(page(simulator, faults=list(FAULTS)), headers=HEADERS)

    async def state(request: Request) -> Response:
        return HTMLResponse(state_part(simulator), headers=HEADERS)

    async def log(request: Request) -> Response:
        return JSONResponse(deliveries(simulator, account=request.query_params.get("account", "")))

    async def controlled(request: Request) -> Response:
        return await _control(request, simulator)

    async def acted(request: Request) -> Response:
        return await _form(request, simulator, _act)

    async def turned(request: Request) -> Response:
        return await _form(request, simulator, _turn)

    return [
        Route("/", home),
        Route("/state", state),
        Route("/log.json", log),
        Route("/act", acted, methods=["POST"]),
        Route("/knobs", turned, methods=["POST"]),
        Route("/_control", controlled, methods=["GET", "POST"]),
    ]


async def _control(request: Request, simulator: Simulator) -> Response:
    """Turn the knobs: `reset`, `latency_ms`, `messages`, `window_seconds`, `min_gap_seconds`, `life`, `faults`."""
    if request.method == "POST":
        try:
            control(simulator, json.loads(await request.body()))
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"error": "VALIDATION_ERROR", "message": str(error)}, 422)
    faults = [asdict(fault) for fault in simulator.faults.waiting()]
    return JSONResponse(
        {"latency_ms": simulator.latency_ms, "life": simulator.life, **asdict(simulator.limits), "faults": faults}
    )


async def _form(request: Request, simulator: Simulator, do: Any) -> Response:
    """What a form of the page asks for; back to the page, with what was done or what is wrong."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return HTMLResponse(page(simulator, faults=list(FAULTS), wrong="Use this page's own forms."), 403, HEADERS)
    raw = await request.body()
    fields = dict(parse_qsl(raw[:BODY_MAX_BYTES].decode("utf-8", "replace"), keep_blank_values=True))
    try:
        await do(simulator, fields)
    except ValueError as error:
        return HTMLResponse(page(simulator, faults=list(FAULTS), wrong=str(error), filled=fields), 422, HEADERS)
    # The form keeps whom one plays.
    query = {name: fields[name] for name in ("account", "fan") if name in fields}
    return RedirectResponse(str(request.url_for("home").include_query_params(**query)), 303)


async def _act(simulator: Simulator, fields: dict[str, str]) -> None:
    """Raises ValueError with what to change."""
    account = next((each for each in simulator.store.accounts() if each.id == fields.get("account")), None)
    fan = simulator.store.fan_named(fields.get("fan", "").strip().removeprefix("@"))
    if account is None:
        raise ValueError("Choose an account.")
    if fan is None:
        raise ValueError(f"There is no fan @{fields.get('fan', '').strip()}. Choose one from the list.")
    does = fields.get("does", "")
    if does not in Does.__members__.values():
        raise ValueError("Choose what the fan does.")
    text = fields.get("text", "").strip()
    if does == Does.WRITE and not text:
        raise ValueError("Write what the fan says.")
    cents = _cents(fields.get("tip", "")) if does == Does.TIP else 0
    if simulator.act is None:
        raise ValueError("The fans are not awake yet. Try again.")
    await simulator.act(account, fan, Act(Does(does), text, cents))


def _cents(dollars: str) -> int:
    try:
        cents = Decimal(dollars.strip().removeprefix("$")) * 100
    except InvalidOperation:
        cents = Decimal(0)
    if not cents.is_finite() or not 100 <= cents <= TIP_MAX_CENTS or cents != int(cents):
        raise ValueError(f"A tip is an amount from $1 to ${TIP_MAX_CENTS // 100}.")
    return int(cents)


async def _turn(simulator: Simulator, fields: dict[str, str]) -> None:
    """Raises ValueError with what to change."""
    if "clear" in fields:
        simulator.faults.clear()
        return
    if "fault" in fields:
        spec = FAULTS.get(fields["fault"])
        if spec is None:
            raise ValueError("Choose what goes wrong.")
        control(simulator, {"faults": [{**spec, "times": int(_number(fields, "times", "How often", 1, 100))}]})
        return
    control(
        simulator,
        {
            "latency_ms": int(_number(fields, "latency_ms", "Latency", 0, 60_000)),
            "life": _number(fields, "life", "Speed of life", 0, 1_000),
            "messages": int(_number(fields, "messages", "Messages", 1, 1_000_000)),
            "window_seconds": _number(fields, "window_seconds", "Window", 0, 86_400),
            "min_gap_seconds": _number(fields, "min_gap_seconds", "Gap", 0, 3_600),
        },
    )


def _number(fields: dict[str, str], name: str, words: str, least: float, most: float) -> float:
    try:
        number = float(fields.get(name, ""))
    except ValueError:
        number = -1
    # A number that is none compares as neither.
    if not least <= number <= most:
        raise ValueError(f"{words} is a number from {least:g} to {most:g}.")
    return number
