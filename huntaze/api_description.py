"""Answers what the OpenAPI document says of the API as a whole, in Markdown. Touches nothing."""

DESCRIPTION = """The open CRM for OnlyFans creators: fans, conversations and messages that go out once and in time.

* **Signing in.** `POST /api/auth/token` with e-mail address and password, and with two-step sign-in a code as `otp`;
  send its access token as `Authorization: Bearer …`. `GET /api/auth/me` says who is signed in, for which creators, and
  in which role.
* **Creators.** Everything belongs to one creator. A user of several names one, in the header `X-Creator` or as
  `?creator=`. What is not the caller's looks as if it did not exist: 404.
* **Roles.** Owners and managers do everything. Chatters change fans and write messages to one fan at a time; analysts
  read. Imports, exports, deletion, campaigns' starts and settings are for owners and managers alone.
* **Values.** Members are in camelCase, times ISO 8601 in UTC, money in whole cents.
* **Names.** A member of a body or a query parameter that is unknown, or comes twice, is a 400 that names it and the
  nearest right one; nothing is passed over. Times carry their offset: `2026-03-01T18:30:00Z`.
* **Lists.** They answer `results`, `next` and `previous`: follow those two as they are, they are null at the ends.
* **Errors.** Problem documents (RFC 9457). Show `detail` to a person, decide by `code`; `errors` names each field as
  the request called it: `attachments[0].url`.
* **Once.** Whatever sends or imports takes an `Idempotency-Key`, so that a request can be repeated safely.
* **Often.** A token has 600 requests a minute; what sends (60), imports (10) or previews a file (60) counts apart.
  `RateLimit-Policy` names the quota of a request and `RateLimit` what is left of it; 429 comes with `Retry-After` in
  seconds.
* **Other origins.** A browser lets a page of another origin call `/api` once the operator names that origin in
  `CORS_ALLOWED_ORIGINS`. It signs in by token; cookies are not taken.
* **Support.** Each answer has an `X-Request-Id`, which finds it in the logs.
"""
