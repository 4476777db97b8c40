"""Answers how much of the limit a backlog uses, and what a message costs in SQS requests. Touches a stand."""

from bench import stand
from onlyfans.simulator.server import SimulatorServer
from onlyfans.simulator.store import Account

GOAL = 0.98
MESSAGES = 10
WINDOWS = 3
ACCOUNTS = tuple(
    Account(f"acct_bench{number}", f"sim_key_bench{number}", f"Creator {number}", f"creator{number}", 900_000 + number)
    for number in range(1, 21)
)


def used(times: list[float], *, window_seconds: float) -> float:
    """How much of what was allowed went out, from the first message to the last of so many whole windows."""
    windows = (len(times) - 1) // MESSAGES
    return windows * window_seconds / (times[windows * MESSAGES] - times[0])


def most_in_a_window(times: list[float], *, window_seconds: float) -> int:
    # Received in whole milliseconds.
    return max(sum(1 for other in times if 0 <= other - begin < window_seconds - 0.002) for begin in times)


def main() -> None:
    simulator = SimulatorServer()
    simulator.accounts = ACCOUNTS
    with simulator, stand.product(ONLYFANS_API_BASE_URL=simulator.base_url, WORKER_CONCURRENCY="20"):
        from bench import backlog  # its models can be imported once the stand is up
        from messaging.rate_limiter import Limit

        simulator.configure(latency_ms=20)
        # A sixth of the real window and gap; what a message takes beside them weighs six times as much.
        short = Limit(messages=MESSAGES, window_ms=10_000, gap_ms=500, lease_ms=30_000)
        # The pace that the platform allows, because how many messages one poll brings depends on it.
        real = Limit(messages=MESSAGES, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
        with backlog.worker_running() as meter:
            one = backlog.run(simulator, meter, creators=1, messages=WINDOWS * MESSAGES + 1, limit=short)
            paced = {
                creators: backlog.run(simulator, meter, creators=creators, messages=MESSAGES, limit=real)
                for creators in (1, 20)
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
    stand.title("SQS requests for each message delivered; 10 messages to each creator, 3 s apart")
    for creators, found in paced.items():
        empty = found.requests.pop("empty polls", 0)
        each = sum(found.requests.values()) / found.delivered
        kinds = ", ".join(f"{name} {number}" for name, number in found.requests.most_common())
        label = f"{creators:>2} creators, {found.delivered} messages in {found.seconds:.0f} s, {found.hops} hops"
        stand.row(label, f"{each:.2f}", f"{kinds}; empty polls {empty}")


if __name__ == "__main__":
    main()
