/* What the pages do beyond htmx: local times, polling, keeping one's place in the thread, the composer.
   Every part finds its elements by data attribute and does nothing where there are none. */

import { ZONE, fullWords, momentWords } from "./moments.js";
import { LOCALE, gettext, interpolate, ngettext } from "./words.js";

const each = (root, selector, action) => root.querySelectorAll(selector).forEach(action);

/* --- Times: the server writes them as here, once it knows the reader's zone ------------------------------------------ */

const today = () => new Date().toDateString();
/* The day on which each was written: after midnight today's are yesterday's. */
const written = new WeakMap();

function localizeTimes(root) {
  const now = today();
  each(root, "time[data-time]", (element) => {
    if (written.get(element) === now) return;
    written.set(element, now);
    const when = new Date(element.dateTime);
    if (Number.isNaN(when.valueOf())) return;
    const words = momentWords(when, element.dataset.time);
    if (element.textContent !== words) element.textContent = words;
    element.title = fullWords(when);
  });
}

document.cookie = `zone=${ZONE}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;

/* Day headings follow the reader's midnight, so they are set anew whenever messages arrive. */
function setDays(list) {
  each(list, ":scope > .day", (heading) => heading.remove());
  let last = "";
  each(list, ":scope > .message", (message) => {
    const name = momentWords(new Date(message.dataset.at), "heading");
    if (name === last) return;
    last = name;
    const heading = document.createElement("li");
    heading.className = "day";
    heading.textContent = name;
    message.before(heading);
  });
}

/* --- Merging: a fresh newest page goes into the list; what is loaded beyond it stays -------------------------------- */

const served = new WeakMap();
const items = (list) => [...list.querySelectorAll(":scope > [data-at]")];
const remember = (root) => each(root, "[data-merge] > [data-at]", (item) => served.has(item) || served.set(item, item.outerHTML));

/* Bring one fresh item in: unchanged ones keep their element (and so focus and selection), changed ones are replaced. */
function place(list, item, neighbour) {
  const old = document.getElementById(item.id);
  if (old && served.get(old) === item.outerHTML) return old;
  const node = document.importNode(item, true);
  served.set(node, item.outerHTML);
  const focused = old?.contains(document.activeElement);
  if (old) old.replaceWith(node);
  else if (neighbour) neighbour.before(node);
  else list.append(node);
  localizeTimes(node);
  window.htmx.process(node);
  if (focused) (node.matches("a, button") ? node : node.querySelector("a, button"))?.focus();
  return node;
}

function merge(list, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-merge]");
  if (!fresh || !list.isConnected) return false;
  const scroller = list.closest(".scroll");
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
  const thread = list.dataset.merge === "oldest-first";
  const known = new Set(items(list).map((item) => item.id));
  const incoming = items(fresh);
  const arrivals = incoming.filter((item) => !known.has(item.id));
  const overlaps = arrivals.length < incoming.length || "part" in fresh.dataset;
  const complete = "complete" in fresh.dataset;

  if (!incoming.length || !overlaps) {
    each(list, ":scope > *", (child) => child.remove());
    list.append(...[...fresh.children].filter((child) => !child.dataset.at).map((child) => document.importNode(child, true)));
    window.htmx.process(list);
  } else {
    each(list, ":scope > .empty", (notice) => notice.remove());
  }
  if (complete) {
    const ids = new Set(incoming.map((item) => item.id));
    items(list).forEach((item) => ids.has(item.id) || item.remove());
    each(list, ":scope > .more", (link) => link.remove());
  } else if (incoming.length && "complete" in list.dataset && !("part" in fresh.dataset)) {
    const link = document.importNode(fresh.querySelector(":scope > .more"), true);
    list[thread ? "prepend" : "append"](link);
    window.htmx.process(link);
  }
  if (!("part" in fresh.dataset)) list.toggleAttribute("data-complete", complete);
  if (fresh.dataset.poll) list.dataset.poll = fresh.dataset.poll;
  for (const name of ["unreadMessages", "inTrouble"]) if (name in fresh.dataset) list.dataset[name] = fresh.dataset[name];

  /* From the last to the first, each before the one that follows it. */
  let neighbour = thread ? null : list.querySelector(":scope > .more");
  if (!thread && !complete) {
    const ids = new Set(incoming.map((item) => item.id));
    neighbour = items(list).find((item) => !ids.has(item.id)) ?? neighbour;
  }
  for (const item of incoming.reverse()) {
    const node = place(list, item, neighbour);
    const inOrder = !neighbour || node.compareDocumentPosition(neighbour) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (!inOrder) neighbour.before(node);
    neighbour = node;
  }
  if (thread) {
    setDays(list);
    if (atEnd) toEnd(scroller);
    else if (arrivals.length) document.querySelector("#to-newest").hidden = false;
  }
  return arrivals.some((item) => item.matches(".message--in"));
}

const toEnd = (scroller) => { scroller.scrollTop = scroller.scrollHeight; };

/* --- Polling: [data-poll] asks every so many seconds, not while the tab is hidden; once a minute where live.js wakes - */

const asked = new WeakMap();
let failures = 0;

function ask(element) {
  asked.set(element, Date.now());
  window.htmx.trigger(element, "refresh");
}

let day = today();

/* The sign of trouble in the header looks again when another part of the page has a new number of messages in trouble. */
let toldInTrouble;
function askSign() {
  const sign = document.querySelector("#sending-sign");
  const told = document.querySelector("[data-in-trouble]:not(#sending-sign)")?.dataset.inTrouble;
  if (sign && told !== toldInTrouble && told !== sign.dataset.inTrouble) ask(sign);
  toldInTrouble = told;
}

function tick() {
  if (document.hidden) return;
  if (day !== today()) {
    day = today();
    localizeTimes(document);
    each(document, "#thread", setDays);
  }
  each(document, "[data-poll]", (element) => {
    const pause = Number(element.dataset.poll) * 1_000 * Math.min(2 ** failures, 8);
    const live = "streaming" in document.documentElement.dataset && !failures;
    if (Date.now() - (asked.get(element) ?? loadedAt) >= (live ? 60_000 : Math.min(pause, 30_000))) ask(element);
  });
}

const loadedAt = Date.now();
const askAll = () => document.hidden || each(document, "[data-poll]", ask);

function connection(lost) {
  failures = lost ? failures + 1 : 0;
  const notice = document.querySelector("#connection");
  if (notice) notice.hidden = !lost;
}

/* --- The composer --------------------------------------------------------------------------------------------------- */

function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function composerFit(textarea) {
  const form = textarea.form;
  const left = textarea.maxLength - textarea.value.length;
  textarea.readOnly = "sending" in form.dataset;
  textarea.style.height = "auto";
  textarea.style.height = `${textarea.scrollHeight + 2}px`;
  form.querySelector("[data-left]").textContent = interpolate(ngettext("%s character left", "%s characters left", left), [left.toLocaleString(LOCALE)]);
  const filled = textarea.value.trim() || form.querySelector("#media").value.trim();
  form.querySelector("[data-send]").disabled = !filled || "sending" in form.dataset;
}

function composerSent(form, succeeded) {
  delete form.dataset.sending;
  if (succeeded) {
    form.reset();
    form.dataset.key = randomKey();
  }
  composerFit(form.elements.text);
  if (succeeded && form.isConnected) toEnd(document.querySelector("#thread-scroll"));
}

const composers = new WeakSet();

function composerStart(form) {
  if (composers.has(form)) return;
  composers.add(form);
  form.dataset.key = randomKey();
  const textarea = form.elements.text;
  textarea.addEventListener("input", () => composerFit(textarea));
  textarea.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (!form.querySelector("[data-send]").disabled) form.requestSubmit();
  });
  composerFit(textarea);
  if (matchMedia("(pointer: fine)").matches) textarea.focus({ preventScroll: true });
}

/* --- htmx: what it asks and what becomes of the answer ---------------------------------------------------------------- */

document.addEventListener("htmx:configRequest", ({ target, detail }) => {
  if (!target.matches("[data-composer]")) return;
  detail.headers["Idempotency-Key"] = target.dataset.key;
  target.dataset.sending = "";
  composerFit(target.elements.text);
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = event;
  if (detail.xhr.status >= 400) {
    /* Only our own fragment is shown; a proxy's page is not. */
    if (!detail.serverResponse.includes("data-problem")) detail.shouldSwap = false;
    return;
  }
  if (!detail.target.matches("[data-merge]") || !detail.shouldSwap || detail.requestConfig.elt.matches("[data-filter]")) return;
  detail.shouldSwap = false;
  const inbound = merge(detail.target, detail.serverResponse);
  if (inbound && !document.hidden) document.querySelectorAll("[data-mark-read]").forEach((mark) => window.htmx.trigger(mark, "arrived"));
  markCurrent();
});

function problem(words) {
  const notice = document.createElement("p");
  notice.className = "alert alert--error";
  notice.textContent = words;
  document.querySelector("#problem")?.replaceChildren(notice);
}

let problemOf = "";
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { status, responseText } = detail.xhr;
  /* Not the event's own target, which is a parent where the element has gone meanwhile. */
  const target = detail.requestConfig.elt;
  const unsaid = status >= 500 && !responseText.includes("data-problem");
  /* A problem stays until what failed succeeds, or the reader does something else; polls do not wipe it. */
  const automatic = target.matches("[data-poll], [data-mark-read]");
  const broken = unsaid && status === 500 && !automatic;
  if (status) connection(unsaid && !broken);
  if (!detail.successful) problemOf = target.id;
  else if (!automatic || target.id === problemOf) document.querySelector("#problem")?.replaceChildren();
  if (broken) problem(gettext("Something broke here. The error is ours and has been logged. Try again in a moment."));
  if (target.matches("[data-composer]")) {
    composerSent(target, detail.successful || responseText.includes("data-stored"));
    if (!detail.successful) askAll();
  }
  askSign();
  /* After a refusal too: it says that things stand in another way than the page shows. */
  if (target.dataset.thenRefresh) each(document, target.dataset.thenRefresh, ask);
  if (target.matches("[data-filter]") && detail.successful) {
    const query = new URLSearchParams([...new FormData(target)].filter(([, value]) => value));
    history.replaceState(history.state, "", location.pathname + (query.size ? `?${query}` : ""));
  }
});

document.addEventListener("htmx:sendError", () => connection(true));
document.addEventListener("htmx:timeout", () => connection(true));

/* Older messages come in above: what is being read stays where it is. */
let heightBefore = 0;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.matches("#older")) heightBefore = detail.target.closest(".scroll").scrollHeight;
});
document.addEventListener("htmx:afterSettle", () => {
  remember(document);
  localizeTimes(document);
  const list = document.querySelector("#thread");
  if (heightBefore && list) {
    setDays(list);
    const scroller = list.closest(".scroll");
    scroller.scrollTop += scroller.scrollHeight - heightBefore;
    heightBefore = 0;
  }
  openedStart();
  markCurrent();
});

function markCurrent() {
  each(document, "#conversations a.row", (row) => {
    if (row.pathname === location.pathname) row.setAttribute("aria-current", "page");
    else row.removeAttribute("aria-current");
  });
}

/* --- A thread that is opened, with the page or in its place ------------------------------------------------------------ */

const nearEnd = (scroller, height = scroller.clientHeight) => scroller.scrollHeight - scroller.scrollTop - height < 48;
let opened = null;
let height = 0;
/* A keyboard that opens, or a composer that grows, must not hide the newest message. */
const grows = new ResizeObserver(() => {
  if (nearEnd(opened, height)) toEnd(opened);
  height = opened.clientHeight;
});

function openedStart() {
  const scroller = document.querySelector("#thread-scroll");
  if (scroller === opened) return;
  grows.disconnect();
  opened = scroller;
  if (!scroller) return;
  each(scroller, "#thread", setDays);
  toEnd(scroller);
  height = scroller.clientHeight;
  grows.observe(scroller);
  const button = document.querySelector("#to-newest");
  button.addEventListener("click", () => toEnd(scroller));
  scroller.addEventListener("scroll", () => { if (nearEnd(scroller)) button.hidden = true; });
  each(document, "[data-composer]", composerStart);
}

document.addEventListener("left-unsent", ({ detail: name }) => {
  problem(interpolate(gettext("The message to %s was not sent. It is kept as a draft there."), [name]));
});

/* --- Start ------------------------------------------------------------------------------------------------------------ */

remember(document);
localizeTimes(document);
openedStart();
document.addEventListener("click", ({ target }) => {
  each(document, "details.menu[open]", (menu) => menu.contains(target) || menu.removeAttribute("open"));
});
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  each(document, "details.menu[open]", (menu) => {
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  });
});
document.addEventListener("visibilitychange", askAll);
addEventListener("online", askAll);
addEventListener("offline", () => connection(true));
setInterval(tick, 500);
