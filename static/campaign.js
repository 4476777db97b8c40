/* Writing a campaign: whom it reaches and when it is done follow the form; it is sent once, after a confirmation that
   names both. The API says what is wrong, each thing at its field. */

import { momentWords } from "./moments.js";
import { LOCALE, gettext, interpolate, ngettext } from "./words.js";

const form = document.querySelector("[data-campaign]");
const dialog = document.querySelector("[data-confirm]");
const find = (selector) => form.querySelector(selector);
const within = (selector) => dialog.querySelector(selector);
const fields = form.elements;
const chosen = new Map();
const preview = find("[data-preview]");
let asking = null;
let pending = 0;
let key = "";

/* A page of chips at most; a list of hundreds says no more than their number. */
const CHIPS_MAX = 60;

const show = (element, shown) => { element.hidden = !shown; };
/* Nothing is chosen yet: neither a condition nor fans nor all of them. */
const unsaid = () => fields.mode.value === "match" && !Object.keys(audience()).length;
const byHand = () => fields.mode.value === "hand";
const later = () => fields.when.value === "later";
const lines = (text, separator) => text.split(separator).map((part) => part.trim()).filter(Boolean);

function audience() {
  if (byHand()) return { recipientIds: [...chosen.keys()].map((id) => `fan_${id}`) };
  if (fields.mode.value === "all") return { everybody: true };
  const days = Number(fields.quietDays.value);
  const tags = lines(fields.tags.value, ",");
  return {
    ...(tags.length && { tags }),
    ...(fields.minValueCents.value && { minValueCents: Number(fields.minValueCents.value) }),
    ...(fields.activeSince.value && { activeSince: fields.activeSince.value }),
    ...(days && { notMessagedSince: new Date(Date.now() - days * 86_400_000).toISOString() }),
  };
}

function wish() {
  const begin = new Date(fields.begin.value);
  return {
    name: fields.name.value,
    content: fields.content.value,
    mediaUrls: lines(fields.media.value, "\n"),
    priceCents: Math.round(Number(fields.price.value) * 100),
    audience: audience(),
    scheduledAt: later() && !Number.isNaN(begin.valueOf()) ? begin.toISOString() : null,
  };
}

/* --- What is wrong, at its field; what has no field stands above the button ------------------------------------------- */

function placeOf(field) {
  const exact = field.replace(/\[.*/, "");
  return find(`[data-error="${CSS.escape(exact)}"]`) ?? find('[data-error=""]');
}

function tell(errors) {
  const told = new Map();
  for (const { field, detail } of errors) {
    const place = placeOf(field);
    told.set(place, [...(told.get(place) ?? []), detail]);
  }
  for (const place of form.querySelectorAll("[data-error]")) {
    place.textContent = (told.get(place) ?? []).join(" ");
    if (!place.dataset.error) show(place, told.has(place));
    const control = place.id && find(`[aria-describedby~="${place.id}"]`);
    if (control && told.has(place)) control.setAttribute("aria-invalid", "true");
    else if (control) control.removeAttribute("aria-invalid");
  }
  return told;
}

/* What only the form can see: the API would take a missing time for "now". */
function own() {
  const time = find('[data-error="scheduledAt"]');
  const missing = later() && !(new Date(fields.begin.value) > new Date());
  const price = fields.price;
  return [
    ...(missing ? [{ field: "scheduledAt", detail: time.dataset.missing }] : []),
    ...(price.validity.valid ? [] : [{ field: "priceCents", detail: price.validationMessage }]),
  ];
}

/* --- Asking the API ----------------------------------------------------------------------------------------------------- */

function post(query, accept, headers = {}, signal = undefined) {
  const named = JSON.parse(document.body.getAttribute("hx-headers"));
  return fetch(`${form.dataset.api}${query}`, {
    method: "POST",
    headers: { ...named, ...headers, Accept: accept, "Content-Type": "application/json" },
    body: JSON.stringify(wish()),
    signal,
  });
}

function problems(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const listed = [...page.querySelectorAll("[data-field]")];
  if (listed.length) return listed.map((item) => ({ field: item.dataset.field, detail: item.textContent }));
  return [{ field: "", detail: page.querySelector("[data-problem] p")?.textContent.trim() || form.dataset.away }];
}

/* The number of recipients, or null where the form is not ready for it. */
async function look() {
  clearTimeout(pending);
  asking?.abort();
  if (unsaid()) {
    const hint = Object.assign(document.createElement("p"), { className: "muted", textContent: preview.dataset.unsaid });
    preview.replaceChildren(hint);
    preview.removeAttribute("aria-busy");
    tell(own());
    return null;
  }
  asking = new AbortController();
  const { signal } = asking;
  preview.setAttribute("aria-busy", "true");
  try {
    const answer = await post("?preview=true", "text/html", {}, signal);
    const html = await answer.text();
    if (signal.aborted) return null;
    tell([...own(), ...(answer.ok ? [] : problems(html))]);
    if (!answer.ok) return null;
    window.htmx.swap(preview, html, { swapStyle: "innerHTML" });
    return Number(preview.querySelector("[data-total]").dataset.total);
  } catch {
    if (!signal.aborted) tell([{ field: "", detail: form.dataset.away }]);
    return null;
  } finally {
    if (!signal.aborted) preview.removeAttribute("aria-busy");
  }
}

function changed() {
  key = "";
  clearTimeout(pending);
  pending = setTimeout(look, 400);
}

/* --- Fans chosen by hand -------------------------------------------------------------------------------------------------- */

function drawChosen() {
  const list = find("[data-chosen]");
  list.replaceChildren(...[...chosen].slice(0, CHIPS_MAX).map(([id, name]) => {
    const chip = find("[data-chip]").content.cloneNode(true);
    chip.querySelector("span").textContent = name;
    chip.querySelector("button").addEventListener("click", () => choose(id, name, false));
    return chip;
  }));
  const more = chosen.size - CHIPS_MAX;
  show(find("[data-more-chosen]"), more > 0);
  find("[data-more-chosen]").textContent = interpolate(ngettext("and one more", "and %s more", more), [more.toLocaleString(LOCALE)]);
  const heading = find("[data-count]");
  heading.textContent = interpolate(gettext("%s: %s"), [heading.dataset.count, chosen.size.toLocaleString(LOCALE)]);
  for (const box of form.querySelectorAll("[data-choose]")) box.checked = chosen.has(box.value);
}

function choose(id, name, wanted) {
  if (wanted) chosen.set(id, name);
  else chosen.delete(id);
  drawChosen();
  changed();
}

/* Those that were ticked on the list of fans. They stay in this tab, so that loading the page anew changes nothing. */
function bringTicked() {
  if (!new URLSearchParams(location.search).has("ticked")) return;
  for (const [id, name] of JSON.parse(sessionStorage.getItem(form.dataset.ticked)) ?? []) chosen.set(id, name);
  fields.mode.value = "hand";
  showMode();
  /* By then htmx hears what it is asked for. */
  document.addEventListener("DOMContentLoaded", showMode, { once: true });
}

function showMode() {
  for (const part of form.querySelectorAll("[data-mode]")) show(part, part.dataset.mode === fields.mode.value);
  if (byHand() && find("#fan-choices").hasAttribute("aria-busy")) window.htmx.trigger(fields.search, "refresh");
}

/* --- Review, then send ------------------------------------------------------------------------------------------------------ */

async function review() {
  const total = await look();
  const missing = [...own()];
  if (unsaid()) missing.push({ field: "audience", detail: find("#error-audience").dataset.missing });
  if (!fields.name.value.trim()) missing.push({ field: "name", detail: fields.name.validationMessage });
  if (!fields.content.value.trim() && !fields.media.value.trim()) missing.push({ field: "content", detail: form.dataset.empty });
  if (missing.length) tell(missing);
  form.querySelector('[aria-invalid="true"]')?.focus();
  if (missing.length || !total) return;
  within("[data-confirm-words]").replaceChildren(...[...preview.querySelectorAll("[data-words], [data-blocked]")].map((said) => said.cloneNode(true)));
  show(within("[data-confirm-now]"), !later() && !preview.querySelector("[data-held]"));
  show(within("[data-confirm-later]"), later());
  if (later()) {
    within("[data-confirm-begin]").textContent = momentWords(new Date(fields.begin.value), "moment");
  }
  const { one, many } = within("[data-send]").dataset;
  within("[data-send]").textContent = total === 1 ? one : many.replace("%s", total.toLocaleString(LOCALE));
  show(within("[data-confirm-error]"), false);
  key ||= [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  dialog.showModal();
}

async function send() {
  const button = within("[data-send]");
  button.disabled = true;
  try {
    const answer = await post("", "application/json", { "Idempotency-Key": key });
    const body = await answer.json();
    if (answer.ok) {
      location.assign(form.dataset.done.replace("/0", `/${body.campaignId}`));
      return;
    }
    if (body.errors?.length) {
      dialog.close();
      tell(body.errors);
      form.querySelector('[aria-invalid="true"]')?.focus();
    } else refused(body.detail);
  } catch {
    refused(form.dataset.away);
  }
  button.disabled = false;
}

function refused(detail) {
  within("[data-confirm-error]").textContent = detail;
  show(within("[data-confirm-error]"), true);
}

/* --- Start ---------------------------------------------------------------------------------------------------------------- */

form.addEventListener("input", ({ target }) => {
  if (target.name === "search") return;
  if (target.dataset.choose) {
    choose(target.value, target.dataset.choose, target.checked);
    return;
  }
  changed();
});
form.addEventListener("change", ({ target }) => {
  if (target.name === "mode") showMode();
  if (target.name === "when") show(find("[data-later]"), later());
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
});
form.addEventListener("htmx:afterSettle", drawChosen);
for (const button of form.querySelectorAll("[data-insert]")) {
  button.addEventListener("click", () => {
    fields.content.setRangeText(button.dataset.insert, fields.content.selectionStart, fields.content.selectionEnd, "end");
    fields.content.focus();
    changed();
  });
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  review();
});
within("[data-back]").addEventListener("click", () => dialog.close());
within("[data-send]").addEventListener("click", send);
bringTicked();
drawChosen();
look();
