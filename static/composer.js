/* What the composer does beyond sending text: drafts, price and media, quick replies. huntaze.js sends. */

import { insertable } from "./placeholders.js";

function start(form) {
  const text = form.elements.text;
  const find = (selector) => form.querySelector(selector);
  const media = find("#media");
  const price = find("#price");
  const quick = find("[data-quick]");
  const items = () => [...quick.querySelectorAll("[data-shortcut]")];
  const fit = () => text.dispatchEvent(new Event("input", { bubbles: true }));

  /* --- Price and media: the API takes cents and a list ------------------------------------------------------------- */

  function openPpv(opened) {
    find("[data-ppv]").hidden = !opened;
    find("[data-ppv-toggle]").setAttribute("aria-expanded", String(opened));
  }

  find("[data-ppv-toggle]").addEventListener("click", () => {
    openPpv(find("[data-ppv]").hidden);
    if (!find("[data-ppv]").hidden) media.focus();
  });
  /* What is no number has no value, and would go out for free. */
  form.addEventListener("submit", (event) => {
    if (!price.validity.badInput) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    openPpv(true);
    find("#error-price").textContent = price.validationMessage;
    price.setAttribute("aria-invalid", "true");
    price.focus();
  }, { capture: true });
  form.addEventListener("htmx:configRequest", ({ target, detail }) => {
    if (target !== form) return;
    detail.formData.set("priceCents", String(Math.round(Number(price.value) * 100)));
    media.value.split("\n").map((line) => line.trim()).filter(Boolean).forEach((line, index) => {
      detail.formData.set(`attachments[${index}]type`, "media");
      detail.formData.set(`attachments[${index}]url`, line);
    });
  });
  form.addEventListener("fields-told", ({ detail }) => {
    if (detail.errors.some(({ field }) => !/^(text|content)/.test(field))) openPpv(true);
  });
  media.addEventListener("input", fit);

  /* --- Drafts: in this browser alone, by person and conversation ----------------------------------------------------- */

  const key = `draft-${form.dataset.draft}`;
  const kept = (shown) => { find("[data-kept]").hidden = !shown; };

  function keep() {
    const draft = { text: text.value, media: media.value, price: price.value };
    const empty = !Object.values(draft).some((value) => value.trim());
    try {
      if (empty) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(draft));
      kept(!empty);
    } catch {
      kept(false); /* A browser that keeps nothing: then nothing is promised. */
    }
  }

  function bringBack() {
    let draft = null;
    try {
      draft = JSON.parse(localStorage.getItem(key));
    } catch {
      return;
    }
    if (!draft || text.value) return;
    [text.value, media.value, price.value] = [draft.text, draft.media, draft.price];
    if (draft.media || draft.price) openPpv(true);
    kept(true);
  }

  form.addEventListener("input", keep);
  form.addEventListener("reset", () => {
    openPpv(false);
    setTimeout(keep);
  });

  /* --- Quick replies: from the menu, or by a slash at the beginning ---------------------------------------------------- */

  const typed = () => /^\/([a-z0-9-]*)$/.exec(text.value)?.[1] ?? null;

  const called = new Map(["name", "firstName", "handle"].map((word) => [word, form.dataset[word]]));

  function insert(words) {
    const filled = insertable(words, called);
    if (typed() === null) text.setRangeText(filled, text.selectionStart, text.selectionEnd, "end");
    else text.value = filled;
    quick.open = false;
    text.focus();
    fit();
  }

  function filter() {
    const begun = typed();
    for (const item of items()) item.hidden = begun !== null && !item.dataset.shortcut.startsWith(begun);
  }

  text.addEventListener("input", () => {
    if (typed() !== null) quick.open = true;
    else if (quick.dataset.bySlash !== undefined) quick.open = false;
    quick.toggleAttribute("data-by-slash", typed() !== null);
    filter();
  });
  quick.addEventListener("toggle", filter);
  quick.addEventListener("click", ({ target }) => {
    const item = target.closest("[data-shortcut]");
    if (item) insert(item.dataset.text);
  });
  form.addEventListener("keydown", (event) => {
    if (!quick.open) return;
    const shown = items().filter((item) => !item.hidden);
    const at = shown.indexOf(document.activeElement);
    if (event.key === "Enter" && event.target === text && typed() !== null && shown.length) insert(shown[0].dataset.text);
    else if (event.key === "ArrowDown" && shown.length) shown[Math.min(at + 1, shown.length - 1)].focus();
    else if (event.key === "ArrowUp" && at >= 0) (shown[at - 1] ?? text).focus();
    else if (event.key === "Escape") {
      quick.open = false;
      text.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });

  bringBack();
  fit();
}

const started = new WeakSet();
function startAll() {
  for (const form of document.querySelectorAll("[data-composer]")) {
    if (started.has(form)) continue;
    started.add(form);
    start(form);
  }
}
startAll();
document.addEventListener("htmx:afterSettle", startAll);
