"""Answers how many messages a second are enqueued, beside a bare boto3 loop on the same queue. Touches a stand."""

from bench import stand

RATIO_GOAL = 0.65


def main() -> None:
    with stand.product():
        from bench import enqueue  # its models can be imported once the stand is up

        found = stand.rates(enqueue.runs())
    names = list(found)
    stand.title("Messages enqueued a second, by one caller")
    for group in (names[:4], names[4:8]):
        bare, stored, _, ours = group
        stand.table({name: found[name] for name in group}, unit="/s", peer=bare)
        stand.row(f"  {ours}", f"{found[ours] / found[stored]:.2f}", f"of {stored}")
        costs = [f"{1_000 / found[name] - 1_000 / found[bare]:.2f} ms" for name in (ours, stored)]
        stand.row("  what its rows cost, for each message", costs[0], f"a bare outbox: {costs[1]}")
    bare_at_once, ours_at_once = names[8:]
    stand.title("The same, by eight callers of one process")
    stand.table({name: found[name] for name in names[8:]}, unit="/s", peer=bare_at_once)
    for bare, stored, queued, ours in (names[:4], names[4:8]):
        for name, peer in ((queued, bare), (ours, bare), (ours, stored)):
            stand.goal(f"{name} ÷ {peer}", found=found[name] / found[peer], wanted=RATIO_GOAL)
    stand.goal(f"{ours_at_once} ÷ {bare_at_once}", found=found[ours_at_once] / found[bare_at_once], wanted=RATIO_GOAL)


if __name__ == "__main__":
    main()
