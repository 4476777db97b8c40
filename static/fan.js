/* A fan's details, changed in place. A change names the state that it was made from; where somebody was quicker, their
   words are shown beside one's own and the reader decides. Nothing typed is lost. */

import { gettext, interpolate } from "./words.js";

const toForm = {
  tags: (tags) => tags.join(", "),
  valueCents: (cents) => (cents / 100).toFixed(2),
};
const fromForm = {
  tags: (words) => [...new Set(words.split(",").map((word) => word.trim()).filter(Boolean))],
  valueCents: (dollars) => Math.round(Number(dollars) * 100),
};
const shownAs = (name, value) => (toForm[name] ?? String)(value);
const readAs = (name, value) => (fromForm[name] ?? String)(value);

/* What is typed and not saved, by the fan's address: it outlasts the opening of another conversation. */
const unsaved = new Map();

function start(form) {
  const find = (selector) => form.querySelector(selector);
  const fields = () => [...form.querySelectorAll("input[name], textarea[name]")];
  const changed = () => fields().filter((field) => field.value !== field.defaultValue);
  const named = JSON.parse(document.body.getAttribute("hx-headers"));
  const conflict = find("[data-conflict]");

  function say(words) {
    find("[data-state]").textContent = words;
  }

  function tell(errors) {
    for (const place of form.querySelectorAll("[data-error]")) {
      const mine = errors.filter(({ field }) => field.replace(/\[.*/, "") === place.dataset.error);
      place.textContent = mine.map(({ detail }) => detail).join(" ");
    }
  }

  const ask = (method, headers, body) => fetch(form.dataset.api, {
    method,
    cache: "no-store",
    headers: { ...named, Accept: "application/json", "Content-Type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });

  async function save() {
    const mine = changed();
    if (!mine.length) return;
    say(form.dataset.saving);
    tell([]);
    try {
      const body = Object.fromEntries(mine.map((field) => [field.name, readAs(field.name, field.value)]));
      const answer = await ask("PATCH", { "If-Match": form.dataset.etag }, body);
      if (answer.ok) settle(answer, await answer.json());
      else if (answer.status === 412) await compare(mine);
      else {
        const problem = await answer.json();
        tell(problem.errors ?? []);
        say((problem.errors ?? []).length ? "" : problem.detail);
      }
    } catch {
      say(form.dataset.away);
    }
    ready();
  }

  /* What is stored becomes what the form compares with; what was typed meanwhile stays typed. */
  function rebase(answer, fan) {
    form.dataset.etag = answer.headers.get("ETag");
    for (const field of fields()) {
      const untouched = field.value === field.defaultValue;
      field.defaultValue = shownAs(field.name, fan[field.name]);
      if (untouched) field.value = field.defaultValue;
    }
  }

  function settle(answer, fan) {
    form.dataset.etag = answer.headers.get("ETag");
    for (const field of fields()) {
      field.defaultValue = shownAs(field.name, fan[field.name]);
      field.value = field.defaultValue;
    }
    conflict.hidden = true;
    say(form.dataset.saved);
  }

  /* Somebody was quicker. Where they changed other fields than these, both changes stand. */
  async function compare(mine) {
    const answer = await ask("GET", {});
    const fan = await answer.json();
    if (!answer.ok) {
      say(fan.detail);
      return;
    }
    const clashes = mine.filter((field) => shownAs(field.name, fan[field.name]) !== field.defaultValue);
    rebase(answer, fan);
    if (!clashes.length) {
      await save();
      return;
    }
    const list = conflict.querySelector("ul");
    list.replaceChildren(...clashes.map((field) => {
      const line = document.createElement("li");
      line.textContent = interpolate(gettext("%s: %s"), [field.labels[0].textContent.trim(), field.defaultValue || "–"]);
      return line;
    }));
    conflict.hidden = false;
    say("");
    conflict.querySelector("button").focus();
  }

  function ready() {
    const mine = changed();
    find("[data-save]").disabled = !mine.length;
    if (mine.length) unsaved.set(form.dataset.api, new Map(mine.map((field) => [field.name, field.value])));
    else unsaved.delete(form.dataset.api);
  }

  function bringBack() {
    const typed = unsaved.get(form.dataset.api) ?? new Map();
    for (const field of fields()) field.value = typed.get(field.name) ?? field.value;
    if (changed().length) say(form.dataset.unsaved);
    ready();
  }

  form.addEventListener("input", () => {
    say(changed().length ? form.dataset.unsaved : "");
    ready();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  conflict.addEventListener("click", ({ target }) => {
    if (target.matches("[data-mine]")) {
      conflict.hidden = true;
      save();
    } else if (target.matches("[data-theirs]")) {
      for (const field of fields()) field.value = field.defaultValue;
      conflict.hidden = true;
      say("");
      ready();
    }
  });
  bringBack();
}

const started = new WeakSet();
function startAll() {
  for (const form of document.querySelectorAll("[data-fan]")) {
    if (started.has(form)) continue;
    started.add(form);
    start(form);
  }
}
startAll();
document.addEventListener("htmx:afterSettle", startAll);
