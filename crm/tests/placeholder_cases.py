"""Texts with placeholders and what becomes of them, for the tests of Python and of the composer's JavaScript."""

# A text, and how Ann Lee (@ann) reads it.
FILLED = [
    ("no field", "no field"),
    ("", ""),
    ("Hey {firstName}", "Hey Ann"),
    ("{name}{handle}", "Ann Leeann"),
    ("{{name}}", "{name}"),
    ("{{{name}}}", "{Ann Lee}"),
    ("{{", "{"),
    ("}}", "}"),
    ("{{}}", "{}"),
    ("{name}}", "Ann Lee}"),
    ("{{name}", "{name}"),
    # As people write to each other.
    ("a smile :} and another :{", "a smile :} and another :{"),
    (":{", ":{"),
    ("}:)", "}:)"),
    ("{", "{"),
    ("}{", "}{"),
    ("}}}", "}}"),
    (":{ {name}", ":{ Ann Lee"),
    (": { {name} }", ": { Ann Lee }"),
    ("{\nname}", "{\nname}"),
]
# A text, what is named, at which character, and the nearest right name where one is near.
REFUSED = [
    ("Hey {nmae}", "{nmae}", 5, "{name}"),
    ("{Name}", "{Name}", 1, "{name}"),
    ("{ name }", "{ name }", 1, "{name}"),
    ("{first_name}", "{first_name}", 1, "{firstName}"),
    ("{First Name}", "{First Name}", 1, "{firstName}"),
    ("{fistName}", "{fistName}", 1, "{firstName}"),
    ("{handel}", "{handel}", 1, "{handle}"),
    ("{fan.name}", "{fan.name}", 1, "{name}"),
    ("{name|you}", "{name|you}", 1, "{name}"),
    ("{}", "{}", 1, ""),
    ("🦊 {0}", "{0}", 3, ""),
    ("{0.__class__}", "{0.__class__}", 1, ""),
    ('{"a": 1}', '{"a": 1}', 1, ""),
    ("Hi {firstName, look", "{firstName,", 4, "{firstName}"),
    ("Hi {first\nName}", "{first", 4, "{firstName}"),
]
