"""Answers what the demo holds: its users, creators and dialogues. Touches nothing, not even Django."""

from typing import NamedTuple

# For a machine of one's own alone: the command that uses it refuses outside LOCAL.
PASSWORD = "try-huntaze-2026"  # noqa: S105  meant to be read

CREATOR_EMAIL = "creator@demo.huntaze.local"
AGENCY_EMAIL = "agency@demo.huntaze.local"
# Address, name, and what the person may do; the first is a superuser, so that the admin opens.
PEOPLE = (
    (CREATOR_EMAIL, "Demo creator", "one creator, and the admin"),
    (AGENCY_EMAIL, "Demo agency", "three creators"),
)


class DemoCreator(NamedTuple):
    """One creator: who owns it, its account at the simulator, how many fans of the sample, how many conversations."""

    name: str
    owner: str
    time_zone: str
    account_id: str
    api_key: str
    fans: int
    conversations: int


CREATORS = (
    DemoCreator("Studio North", CREATOR_EMAIL, "Europe/Paris", "acct_demo1", "sim_key_demo1", 500, 17),
    DemoCreator("Studio South", AGENCY_EMAIL, "America/New_York", "acct_demo2", "sim_key_demo2", 60, 5),
    DemoCreator("Studio West", AGENCY_EMAIL, "America/Los_Angeles", "acct_demo3", "sim_key_demo3", 25, 3),
)
# The agency looks after the first creator too.
SHARED = CREATORS[0].name


class DemoSet(NamedTuple):
    """A message that costs something: its text, its price and the media's id at the platform."""

    text: str
    price_cents: int
    media: str


SET = DemoSet("The whole evening by the sea, fifteen pictures", 500, "demo-media-1")

# "<" is what the fan writes, ">" what the creator answers.
DIALOGUES: tuple[tuple[str, ...], ...] = (
    (
        "<Hey! Just subscribed, your last set is beautiful",
        ">Welcome! That one was shot in Lisbon, more of it is coming this week",
        "<Lisbon suits you. Will there be a video too?",
        ">There will, on Friday evening",
        "<Can't wait",
    ),
    (
        "<Do you take requests?",
        ">Sometimes! What do you have in mind?",
        "<Something with the red dress from March",
        ">I still have it. Give me until the weekend",
        "<Take all the time you need",
        ">It is in your messages tomorrow morning",
    ),
    (
        "<Did the price of the monthly tier change?",
        ">It did not. The discount for the first month is over, that is all",
        "<Ah, that explains it. Thanks",
    ),
    (
        ">Good morning! Thank you for renewing, it means a lot",
        "<Six months already, time flies",
        ">I have a little something for everybody who stays that long",
        "<Now I am curious",
    ),
    ("<I missed the live yesterday, is there a replay?", ">It is pinned on my page until Sunday", "<Found it, thanks!"),
    (
        "<Your new haircut!!",
        ">You noticed first",
        "<How could I not",
        ">Should I keep it?",
        "<Definitely",
        ">Then it stays",
    ),
    (
        "<My payment was declined twice, do I lose my access?",
        ">Not for now. Try it with another card, it is usually the bank",
        "<That worked",
        ">Great, and thank you for telling me",
    ),
    ("<Hello from Berlin", ">Hello Berlin! I was there in spring, loved the lakes"),
    (
        "<What camera do you use?",
        ">A small mirrorless one and a lot of window light",
        "<It shows. The black and white ones are my favourites",
        ">There is a whole series of those coming, thirty pictures",
        "<Please tell me when it is out",
    ),
    (
        ">Thank you for the tip yesterday, that was very kind",
        "<You earned it, that set made my week",
        ">More of it on Thursday then",
    ),
    (
        "<Happy birthday!",
        ">Thank you so much! You remembered",
        "<Of course. Any plans?",
        ">Dinner with friends, and then a long sleep",
        "<Sounds perfect",
    ),
    ("<Is the bundle still available?", ">Until tonight, midnight your time", "<Just got it"),
    (
        "<I am on the road for a month, will my messages wait?",
        ">They will. Nothing expires, read them when you are back",
        "<Perfect. Take care",
        ">Safe travels!",
    ),
)
