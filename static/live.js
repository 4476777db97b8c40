/* The live stream: the server wakes the page, the page asks anew for what it shows. One tab of a browser listens and
   tells the others, because a browser keeps few connections to one server. What is unread stands in the title. */

import { LOCALE } from "./words.js";

const source = document.querySelector("[data-live]")?.dataset.live;
const PAUSE = 1_000;

/* --- Looking again: at once, then once a second at most -------------------------------------------------------------- */

let waiting = new Set();
let timer = 0;

function refresh(topics) {
  const anything = topics.has("anything");
  const thread = document.querySelector("#thread");
  const due = [];
  if (topics.has("state")) due.push(document.querySelector("[data-state]"));
  if (anything || [...topics].some((topic) => topic !== "state")) due.push(document.querySelector("#conversations"));
  if (thread && (anything || topics.has(thread.dataset.conversation))) due.push(thread);
  due.forEach((element) => element && window.htmx.trigger(element, "refresh"));
}

function woken(topics) {
  topics.forEach((topic) => waiting.add(topic));
  if (timer) return;
  refresh(waiting);
  waiting = new Set();
  timer = setTimeout(() => {
    timer = 0;
    if (waiting.size) woken([]);
  }, PAUSE);
}

/* --- Listening ------------------------------------------------------------------------------------------------------- */

const tabs = new BroadcastChannel(`live ${source}`);
let listening = false;
let failures = 0;

/* Polls are slow while this is set, and as often as ever without. */
const connected = (is) => document.documentElement.toggleAttribute("data-streaming", is);

function tell(message) {
  if (listening) tabs.postMessage(message);
  if ("connected" in message) connected(message.connected);
  if (message.topics) woken(message.topics);
}

function listen() {
  listening = true;
  const stream = new EventSource(source);
  stream.addEventListener("message", ({ data }) => {
    tell({ connected: true, topics: failures ? ["anything", "state"] : data.split(" ") });
    failures = 0;
  });
  stream.addEventListener("error", () => {
    /* What was missed, and whether the server is there at all, the page finds out by asking. */
    tell({ connected: false, topics: failures ? [] : ["anything"] });
    failures += 1;
    /* After an answer that is no stream a browser does not come back by itself. */
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, Math.min(2 ** failures, 60) * 1_000);
  });
}

if (source) {
  tabs.addEventListener("message", ({ data }) => {
    if (!data.asks) tell(data);
    else if (listening) tabs.postMessage({ connected: "streaming" in document.documentElement.dataset });
  });
  tabs.postMessage({ asks: true });
  /* Held as long as this tab is open; without locks each tab listens for itself. */
  if (navigator.locks) navigator.locks.request(`live ${source}`, () => new Promise(listen));
  else listen();
}

/* --- The title ------------------------------------------------------------------------------------------------------- */

function count() {
  const title = `${document.querySelector("#opened").dataset.title} · Huntaze`;
  const unread = Number(document.querySelector("#conversations")?.dataset.unreadMessages);
  document.title = unread ? `(${unread.toLocaleString(LOCALE)}) ${title}` : title;
}

document.addEventListener("htmx:afterRequest", count);
document.addEventListener("htmx:afterSettle", count);
count();
