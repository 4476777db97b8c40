"""Answers what the simulator's fans do by themselves: write back, buy, tip, renew, leave. Touches the store, and tells.

A seed makes the same fans choose the same way; the speed says how much time passes between two of them.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from onlyfans.simulator import shapes
from onlyfans.simulator.state import Act, Does, Simulator
from onlyfans.simulator.store import Account, Fan, Message, now_ms

# At speed 1: from one fan's idea to the next for each account, and how long an answer takes.
IDEA_SECONDS = (30.0, 90.0)
ANSWER_SECONDS = (6.0, 40.0)
TYPING_SECONDS = 2.0
# Looked at again this often while nothing lives, so that the knob works at once.
ASLEEP_SECONDS = 0.2
ANSWERS = 0.7
BUYS = 0.5
TIP_CENTS = (500, 800, 1_000, 1_500, 2_000, 2_500, 5_000)
SUBSCRIPTION_CENTS = 999

REPLIES = (
    "haha you always know what to say",
    "that made my day, thank you!",
    "ok now I am curious",
    "I was just thinking of you",
    "when is the next one coming?",
    "you are too kind",
    "tell me more?",
    "I just got home, perfect timing",
    "can't wait <3",
    "yes please!",
)
OPENERS = (
    "hey, how was your day?",
    "your last post was amazing",
    "are you online later?",
    "do you do customs?",
    "I missed you this week",
    "what are you up to?",
    "good morning from a rainy city",
    "is there a discount this month?",
)


@dataclass(slots=True)
class Life:
    """The fans of one simulator. Made and used in the server's loop."""

    simulator: Simulator
    seed: int = 1
    _chance: Random = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)  # noqa: S311  the same life everywhere, no secret

    async def run(self) -> None:
        """Every account's fans have ideas until this is cancelled."""
        self.simulator.on_message, self.simulator.act = self.message_came, self.act
        try:
            await asyncio.gather(*(self._account(account) for account in self.simulator.store.accounts()))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.simulator.courier.close()

    def message_came(self, account: Account, message: Message) -> None:
        """A message reached a fan: whoever listens hears of it, and some fans react."""
        fan = self.simulator.store.fan(message.fan)
        if fan is None:
            return
        self.tell(account, "messages.sent", shapes.message_event(message, fan, account))
        if self.simulator.life > 0 and self._chance.random() < ANSWERS:
            self._later(self._react(account, fan, message))

    async def act(self, account: Account, fan: Fan, act: Act) -> None:
        """What a person has a fan do, at whatever speed they live."""
        match act.does:
            case Does.WRITE:
                self.writes(account, fan, act.text)
            case Does.TIP:
                await self.tips(account, fan, cents=act.cents)
            case Does.RENEW:
                await self.renews(account, fan)
            case Does.SUBSCRIBE:
                await self.subscribes(account, fan)
            case Does.LEAVE:
                await self.leaves(account, fan)

    async def _account(self, account: Account) -> None:
        while True:
            await self._pass(self._chance.uniform(*IDEA_SECONDS))
            fan = self._somebody(account)
            if fan is not None:
                await self._idea()(account, fan)

    def _idea(self) -> Callable[[Account, Fan], Coroutine[Any, Any, None]]:
        ideas = (self.opens, self.tips, self.likes, self.renews, self.leaves, self.subscribes)
        return self._chance.choices(ideas, weights=(60, 14, 12, 6, 4, 4))[0]

    def _somebody(self, account: Account) -> Fan | None:
        """Half of the time one who has a chat already."""
        chats = self.simulator.store.chats(account=account.id, limit=30, offset=0)
        if chats and self._chance.random() < 0.5:
            return self.simulator.store.fan(self._chance.choice(chats).fan)
        fans = self.simulator.store.fans()
        return self._chance.choice(fans) if fans else None

    async def _react(self, account: Account, fan: Fan, message: Message) -> None:
        era = self.simulator.era
        await self._pass(self._chance.uniform(*ANSWER_SECONDS))
        if self.simulator.era != era:
            return
        if message.price_cents and self._chance.random() < BUYS:
            await self.buys(account, fan, message)
        self.tell(account, "users.typing", {"user": shapes.person(fan)})
        await self._pass(TYPING_SECONDS)
        self.writes(account, fan, self._chance.choice(REPLIES))
        if self._chance.random() < 0.15:
            await self.tips(account, fan)

    def writes(self, account: Account, fan: Fan, text: str) -> Message:
        message = self.simulator.store.take(
            Message(0, account.id, fan.id, shapes.paragraph(text), 0, (), "", now_ms(), 0, from_fan=1), answer=None
        )
        # Read again: the total may have grown since.
        known = self.simulator.store.fan(fan.id) or fan
        self.tell(account, "messages.received", shapes.message_event(message, known, account))
        return message

    async def opens(self, account: Account, fan: Fan) -> None:
        self.tell(account, "users.online", {"user": shapes.person(fan), "observed_at": shapes.moment(now_ms())})
        self.writes(account, fan, self._chance.choice(OPENERS))

    async def tips(self, account: Account, fan: Fan, *, cents: int = 0) -> None:
        cents = cents or self._chance.choice(TIP_CENTS)
        paid = self._pays(account, fan, "tips", cents)
        net = cents - cents * shapes.FEE_PERCENT // 100
        amounts = {"amountGross": shapes.dollars(cents), "amountNet": shapes.dollars(net)}
        pairs = {"{AMOUNT}": f"${cents / 100:.2f}"}
        more: dict[str, Any] = {"subType": "new_tips", "replacePairs": pairs, **amounts}
        self._notice(account, fan, "tips.received", paid, f"tipped you ${cents / 100:.2f}", **more)

    async def buys(self, account: Account, fan: Fan, message: Message) -> None:
        paid = self._pays(account, fan, "chat_messages", message.price_cents, message=message.id)
        link = f"<a href='https://onlyfans.com/my/chats/chat/{fan.id}?firstId={message.id}'>message</a>"
        pairs = {"{AMOUNT}": f"${message.price_cents / 100:.2f}", "{MESSAGE_LINK}": link}
        self._notice(account, fan, "messages.ppv.unlocked", paid, "purchased your message", replacePairs=pairs)

    async def likes(self, account: Account, fan: Fan) -> None:
        self._notice(account, fan, "posts.liked", now_ms(), "liked your post")

    async def renews(self, account: Account, fan: Fan) -> None:
        self.simulator.store.fan_subscribe(fan.id, subscribed=True)
        paid = self._pays(account, fan, "subscribes", SUBSCRIPTION_CENTS)
        self._notice(account, fan, "subscriptions.renewed", paid, "renewed the subscription")

    async def subscribes(self, account: Account, fan: Fan) -> None:
        self.simulator.store.fan_subscribe(fan.id, subscribed=True)
        self._notice(account, fan, "subscriptions.new", now_ms(), "subscribed to your profile")

    async def leaves(self, account: Account, fan: Fan) -> None:
        self.simulator.store.fan_subscribe(fan.id, subscribed=False)
        self._notice(account, fan, "subscriptions.expired", now_ms(), "the subscription expired")

    def tell(self, account: Account, event: str, payload: dict[str, Any]) -> None:
        self.simulator.courier.post(
            self.simulator.store.webhooks(account=account.id), event=event, account=account.id, payload=payload
        )

    def _pays(self, account: Account, fan: Fan, kind: str, cents: int, *, message: int | None = None) -> int:
        """Pay, and let the event of the transaction go out; when it was paid, in milliseconds."""
        paid = self.simulator.store.pay(account=account.id, fan=fan.id, kind=kind, cents=cents, message=message)
        self.tell(account, "transactions.new", shapes.transaction_event(paid, fan))
        return paid.paid_at

    def _notice(self, account: Account, fan: Fan, event: str, at: int, text: str, **more: Any) -> None:
        number = self._chance.randrange(10**11, 10**12)
        self.tell(account, event, shapes.notice(number, at, fan, account, text, **more))

    def _later(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, seconds: float) -> None:
        """So much time of the fans; it stands still while nothing lives and follows the knob meanwhile."""
        left = seconds
        while left > 0:
            speed = self.simulator.life
            step = min(ASLEEP_SECONDS, left / speed) if speed > 0 else ASLEEP_SECONDS
            await asyncio.sleep(step)
            left -= step * speed
