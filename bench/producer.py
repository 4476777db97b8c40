"""Answers how many messages a second are enqueued, beside a bare boto3 loop on the same queue. Touches a stand."""

from bench import stand

RATIO_GOAL = 0.65


def main() -> None:
    with stand.product():
        from bench import enqueue  # its models can be imported once the stand is up

        found = stand.rates(enqueue.runs())
    single, batched = "bare boto3 send_message", "bare boto3 send_message_batch"
    names = list(found)
    stand.title("Messages enqueued a second, by one caller")
    for peer, group in ((single, names[:3]), (batched, names[3:])):
        stand.table({name: found[name] for name in group}, unit="/s", peer=peer)
        cost_ms = 1_000 / found[group[-1]] - 1_000 / found[peer]
        stand.row(
            "  what its rows cost, for each message", f"{cost_ms:.1f} ms", f"{peer}: {1_000 / found[peer]:.1f} ms"
        )
    for peer, group in ((single, names[1:3]), (batched, names[4:])):
        for name in group:
            stand.goal(f"{name} ÷ {peer}", found=found[name] / found[peer], wanted=RATIO_GOAL)


if __name__ == "__main__":
    main()
