/* Filters that fold on a phone, and what is done to many fans: the ticks outlast a search and a filter. A tag can be taken back; a campaign is written on
   a page of its own, which finds the ticked ones in this tab (campaign.js). */

import { LOCALE } from "./words.js";

const bar = document.querySelector("[data-tagging]");
const done = document.querySelector("[data-tagged]");
/* Names by ids. */
const chosen = new Map();
let undo = null;
const fold = document.querySelector("[data-fold]");

fold.addEventListener("click", () => fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") === "false")));

const count = (one, many, number) => (number === 1 ? one : many.replace("%s", number.toLocaleString(LOCALE)));

const boxes = () => [...document.querySelectorAll("[data-tick]")];

function drawTicks() {
  for (const box of boxes()) box.checked = chosen.has(box.value);
  const all = document.querySelector("[data-tick-all]");
  if (all) all.checked = boxes().length > 0 && boxes().every((box) => box.checked);
}

function draw() {
  drawTicks();
  bar.hidden = chosen.size === 0;
  bar.querySelector("[data-chosen-count]").textContent = count(bar.dataset.one, bar.dataset.many, chosen.size);
  say("");
}

function say(words) {
  bar.querySelector(".error").textContent = words;
}

async function tag(wish) {
  const named = JSON.parse(document.body.getAttribute("hx-headers"));
  const answer = await fetch(bar.dataset.api, {
    method: "POST",
    headers: { ...named, Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.errors?.map(({ detail }) => detail).join(" ") || body.detail);
  window.htmx.trigger("#fan-filter", "submit");
  return body.changed;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    bar.hidden = false;
    say(error instanceof TypeError ? bar.dataset.away : error.message);
  }
}

if (bar) {
  /* Ticked before this was loaded, or by a browser that keeps ticks over a reload. */
  for (const box of boxes()) if (box.checked) chosen.set(box.value, box.dataset.tick);
  if (chosen.size) draw();
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-tick], [data-tick-all]")) return;
    for (const box of target.matches("[data-tick]") ? [target] : boxes()) {
      if (target.checked) chosen.set(box.value, box.dataset.tick);
      else chosen.delete(box.value);
    }
    done.hidden = true;
    draw();
  });
  document.addEventListener("htmx:afterSettle", drawTicks);
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = bar.querySelector("#bulk-tag");
    const step = event.submitter?.value ?? "add";
    if (chosen.size > Number(bar.dataset.limit)) {
      say(bar.dataset.tooMany.replace("%s", bar.dataset.limit));
      return;
    }
    attempt(async () => {
      const tags = [words.value.trim()].filter(Boolean);
      const changed = await tag({ fanIds: [...chosen.keys()].map(Number), [step]: tags });
      undo = changed.length ? { fanIds: changed, [step === "add" ? "remove" : "add"]: tags } : null;
      words.value = "";
      chosen.clear();
      draw();
      done.querySelector("[role=status]").textContent = count(bar.dataset.doneOne, bar.dataset.doneMany, changed.length);
      done.querySelector("[data-undo]").hidden = !undo;
      done.hidden = false;
    });
  });
  bar.querySelector("[data-write]")?.addEventListener("click", ({ currentTarget: button }) => {
    sessionStorage.setItem(button.dataset.key, JSON.stringify([...chosen]));
    location.assign(button.dataset.write);
  });
  bar.querySelector("[data-clear]").addEventListener("click", () => {
    chosen.clear();
    draw();
  });
  done.querySelector("[data-undo]").addEventListener("click", () => attempt(async () => {
    await tag(undo);
    done.hidden = true;
  }));
  draw();
}
