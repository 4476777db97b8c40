"""Answers how much of the limit a backlog uses, and what a message costs in SQS requests. Touches a stand."""

from bench import stand
from onlyfans.simulator.server import SimulatorServer

GOAL = 0.98
LATE_GOAL = 0.1
# SQS requests for each message delivered, by the number of creators whose campaigns go out at the same time; those of a
# single one with its empty polls.
REQUESTS_GOALS = {1: 0.84, 20: 0.36, 200: 0.36}
MESSAGES = 10
WINDOWS = 3
# Five minutes' worth for many creators; of a single one, whose polls are empty most of the time, two are enough.
CAMPAIGN_MESSAGES = {1: 16, 20: 40, 200: 40}


def used(times: list[float], *, window_seconds: float) -> float:
    """How much of what was allowed went out, from the first message to the last of so many whole windows."""
    windows = (len(times) - 1) // MESSAGES
    return windows * window_seconds / (times[windows * MESSAGES] - times[0])


def most_in_a_window(times: list[float], *, window_seconds: float) -> int:
    # Received in whole milliseconds.
    return max(sum(1 for other in times if 0 <= other - begin < window_seconds - 0.002) for begin in times)


def main() -> None:
    simulator = SimulatorServer()
    simulator.accounts = stand.accounts(max(REQUESTS_GOALS))
    with simulator, stand.product(ONLYFANS_API_BASE_URL=simulator.base_url, WORKER_CONCURRENCY="20"):
        from bench import backlog  # its models can be imported once the stand is up
        from messaging.rate_limiter import Limit

        # A sixth of the real window and gap; what a message takes beside them weighs six times as much.
        short = Limit(messages=MESSAGES, window_ms=10_000, gap_ms=500, lease_ms=30_000)
        # The pace that the platform allows, because how many messages one request is for depends on it.
        real = Limit(messages=MESSAGES, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
        with backlog.worker_running() as meter:
            one = backlog.run(simulator, meter, creators=1, messages=WINDOWS * MESSAGES + 1, limit=short, latency_ms=20)
            paced = {
                creators: backlog.run(
                    simulator,
                    meter,
                    creators=creators,
                    messages=CAMPAIGN_MESSAGES[creators],
                    limit=real,
                    campaign=True,
                    latency_ms=stand.VENDOR_LATENCY_MS,
                )
                for creators in REQUESTS_GOALS
            }
    stand.title("One creator's backlog through the real worker; 10 messages in 10 s, half a second apart")
    [times] = one.arrivals.values()
    share = used(times, window_seconds=10)
    stand.row(f"delivered ÷ allowed, over {WINDOWS} windows", f"{share:.1%}")
    # What each window loses is the time between the grant and the end of a send, not a share of the window.
    lost = (1 / share - 1) * 10
    stand.row("lost in each window", f"{lost:.2f} s", f"of 60 s: {60 / (60 + lost):.1%} delivered ÷ allowed")
    most = most_in_a_window(times, window_seconds=10)
    stand.row("most in any window", f"{most} of {MESSAGES}")
    stand.goal("delivered ÷ allowed", found=share, wanted=GOAL)
    stand.goal("most in any window", found=most, wanted=MESSAGES, at_most=True)
    stand.title("SQS requests for each message delivered; campaigns, eight messages a minute of each creator")
    for creators, found in paced.items():
        empty = found.requests["empty polls"]
        total = found.requests.total() - (empty if creators > 1 else 0)
        kinds = ", ".join(f"{name} {number}" for name, number in found.requests.most_common())
        label = f"{creators:>3} creators, {found.delivered} messages in {found.seconds:.0f} s, {found.hops} hops"
        stand.row(label, f"{total / found.delivered:.2f}", kinds)
        stand.goal(
            "requests for a message", found=total / found.delivered, wanted=REQUESTS_GOALS[creators], at_most=True
        )
        stand.goal("later than estimated, the slowest campaign", found=found.late, wanted=LATE_GOAL, at_most=True)
        most = max(most_in_a_window(times, window_seconds=60) for times in found.arrivals.values())
        stand.goal("most in any window", found=most, wanted=MESSAGES, at_most=True)


if __name__ == "__main__":
    main()
