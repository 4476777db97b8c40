/* Opening a conversation swaps its thread and its fan's card, #opened; the list keeps its place. Each is an entry of the
   browser's history. Where the server's answer is not that part (an error, a sign-in), the browser goes there itself. */

const PART = "opened";
const PATIENCE = 15_000;
const inbox = document.querySelector(".inbox");
const list = document.querySelector("#list-scroll");
const part = () => document.querySelector(`#${PART}`);
const row = (id) => document.querySelector(`#conversation-${id} a.row`);

/* --- The list, which a phone hides while a conversation is open ------------------------------------------------------ */

let listAt = 0;

/* The address names what the list shows, whatever it showed when the address was first used. */
function addressKeepsFilter() {
  const filter = new FormData(document.querySelector("#conversation-filter"));
  const query = new URLSearchParams([...filter].filter(([, value]) => value));
  history.replaceState(history.state, "", location.pathname + (query.size ? `?${query}` : ""));
}

/* What the address named last: within one, the browser goes to places (#content) by itself. */
let shown = location.pathname;

function go(href) {
  history.pushState({ fromList: !inbox.classList.contains("inbox--open") }, "", href);
  shown = location.pathname;
  addressKeepsFilter();
}

/* --- Swapping -------------------------------------------------------------------------------------------------------- */

function swap(html) {
  const left = part();
  const before = left.dataset.opened;
  /* What a form asked before it was left is answered out of sight. */
  left.addEventListener("htmx:beforeSwap", ({ detail }) => {
    detail.shouldSwap = false;
    const { elt } = detail.requestConfig;
    if (detail.xhr.status >= 400 && elt.matches("[data-composer]")) {
      document.dispatchEvent(new CustomEvent("left-unsent", { detail: elt.dataset.name }));
    }
  });
  /* Not by htmx, which would copy the style attributes of what had the same id, and the page's policy forbids that. */
  const fresh = document.importNode(new DOMParser().parseFromString(html, "text/html").querySelector(`#${PART}`), true);
  /* The quick replies are the same in every conversation. */
  const replies = left.querySelector("#quick-menu:has([data-shortcut])");
  if (replies) fresh.querySelector("#quick-menu")?.replaceWith(replies);
  left.replaceWith(fresh);
  window.htmx.process(fresh);
  const { opened } = fresh.dataset;
  const hidden = !list.clientHeight;
  if (!hidden) listAt = list.scrollTop;
  inbox.classList.toggle("inbox--open", Boolean(opened));
  /* As after any swap: the other modules look for what is new. */
  window.htmx.trigger(fresh, "htmx:afterSettle");
  if (!opened) {
    if (hidden) list.scrollTop = listAt;
    row(before)?.focus({ preventScroll: true });
  } else if (!part().contains(document.activeElement)) {
    /* The composer takes the focus where there is a keyboard for it. */
    document.querySelector("#fan-name").focus({ preventScroll: true });
  }
}

let asking = new AbortController();

/* The part of an address; null where it did not come, or another was asked for since. */
async function asked(href) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const late = setTimeout(() => asking.signal === signal && asking.abort("late"), PATIENCE);
  try {
    const answer = await fetch(href, { signal, cache: "no-store", headers: { "HX-Request": "true", "HX-Target": PART } });
    const html = await answer.text();
    if (answer.ok && !answer.redirected && html.includes(`id="${PART}"`)) return html;
    location.assign(href);
  } catch {
    if (!signal.aborted || signal.reason === "late") window.htmx.trigger(document.body, "htmx:sendError");
  } finally {
    clearTimeout(late);
  }
  return null;
}

async function open(link) {
  link.setAttribute("aria-busy", "true");
  const html = await asked(link.href);
  link.removeAttribute("aria-busy");
  if (html === null) return;
  go(link.href);
  swap(html);
}

function close() {
  asking.abort();
  swap(document.querySelector("#none-open").innerHTML);
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("#conversations a.row, a[data-back-to-list]");
  if (!link) return;
  event.preventDefault();
  if (link.matches("a.row")) {
    if (link.pathname !== location.pathname) open(link);
  } else if (history.state?.fromList) {
    history.back();
  } else {
    go(link.href);
    close();
  }
});

addEventListener("popstate", async () => {
  if (location.pathname === shown) return;
  shown = location.pathname;
  addressKeepsFilter();
  if (location.pathname === inbox.dataset.home) {
    close();
    return;
  }
  const path = shown;
  const html = await asked(location.href);
  if (shown !== path) return;
  if (html === null) location.reload();
  else swap(html);
});

/* --- The fan's card, where it comes in over the thread --------------------------------------------------------------- */

function showCard(shown) {
  const card = document.querySelector("#fan-card");
  const toggle = document.querySelector("[data-card-toggle]");
  if (!card || !toggle || shown === "shown" in card.dataset) return;
  card.toggleAttribute("data-shown", shown);
  toggle.setAttribute("aria-expanded", String(shown));
  (shown ? card.querySelector("[data-card-close]") : toggle).focus();
}

document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-card-toggle]")) showCard(document.querySelector("[data-card-toggle]").getAttribute("aria-expanded") === "false");
  else if (target.closest("[data-card-close]") || !target.closest("#fan-card")) showCard(false);
});
document.addEventListener("keydown", ({ key, defaultPrevented }) => {
  if (key === "Escape" && !defaultPrevented) showCard(false);
});
