/* The import in steps: look into the file, assign its columns, check, import. The file stays in the form; every step
   sends it to the API again. Without this script the form imports with the guessed columns. */

import { dayWords } from "./moments.js";
import { LOCALE, gettext, interpolate, ngettext } from "./words.js";

const form = document.querySelector("[data-import]");
const find = (selector) => form.querySelector(selector);
const all = (selector) => [...form.querySelectorAll(selector)];
const file = find("#file");
const selects = all("select[data-field]");
const kindSelect = find("#kind");
const overwrites = all("[name=overwrite]");
const dayFirst = find("#day-first");
const decimalMark = find("#decimal-mark");
/* What the person says of the file's layout; the rest is left to the file. */
const reads = all("[data-reads]");
let layout = {};
const selectsOf = (kind) => selects.filter((select) => select.closest(`[data-${kind}]`));
/* The API names last_seen_at lastSeenAt. */
const fieldOf = (select) => select.dataset.field.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
/* Between two looks at how far a worker is. */
const ASK_EVERY = 1000;
let running = null;
let preview = null;

const counted = (number) => number.toLocaleString(LOCALE);
const show = (element, shown) => { element.hidden = !shown; };

function reach(id) {
  const heading = document.getElementById(id);
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "start" });
}

function tell(box, sentences) {
  box.replaceChildren(...sentences.map((sentence) => {
    const line = document.createElement("p");
    line.textContent = sentence;
    return line;
  }));
  show(box, sentences.length > 0);
}

/* The bar is real while the file is on its way and while a worker reads it; else nobody can say how far it is. */
function progress(text, share) {
  const box = find("[data-progress]");
  const bar = box.querySelector("progress");
  show(box, Boolean(text));
  const line = box.querySelector("[data-progress-text]");
  if (line.textContent !== text) line.textContent = text;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

/* What the server said, or {status: 0} where it did not answer. */
function send(url, fields, { working, headers = {} }) {
  const body = new FormData();
  body.set("file", file.files[0]);
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const request = new XMLHttpRequest();
  running = request;
  const named = JSON.parse(document.body.getAttribute("hx-headers"));
  return new Promise((resolve) => {
    request.open("POST", url);
    request.responseType = "json";
    for (const [name, value] of Object.entries({ ...named, ...headers, Accept: "application/json" })) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => loaded < total && progress(gettext("Uploading the file"), loaded / total));
    request.upload.addEventListener("load", () => progress(working));
    request.addEventListener("loadend", () => {
      if (running !== request) return;
      running = null;
      progress("");
      resolve({ status: request.status, body: request.response ?? {}, place: request.getResponseHeader("Location") });
    });
    progress(gettext("Uploading the file"), 0);
    request.send(body);
  });
}

function workerProgress({ status, progress: { rowsDone, rowsTotal, fansDone, fansTotal } }) {
  if (status === "queued") return progress(gettext("The file is here and waits for its turn"));
  if (!rowsTotal) return progress(gettext("Reading the file"));
  if (fansDone < fansTotal) return progress(interpolate(gettext("%s of %s new fans written"), [counted(fansDone), counted(fansTotal)]), fansDone / fansTotal);
  if (rowsDone === rowsTotal) return progress(gettext("Comparing with what is here"));
  return progress(interpolate(gettext("%s of %s rows read"), [counted(rowsDone), counted(rowsTotal)]), rowsDone / rowsTotal);
}

/* A large file is left to a worker, whose answer is asked for until there is one. */
async function settled(answer) {
  if (answer.status !== 202) return answer;
  const asking = new AbortController();
  running = asking;
  const headers = { ...JSON.parse(document.body.getAttribute("hx-headers")), Accept: "application/json" };
  let { body } = answer;
  while (["queued", "running"].includes(body.status)) {
    workerProgress(body);
    await new Promise((resolve) => { setTimeout(resolve, ASK_EVERY); });
    const found = await fetch(answer.place, { headers, signal: asking.signal }).catch(() => null);
    if (running !== asking) return new Promise(() => {});
    if (found?.ok) body = await found.json();
    else if (found && found.status < 500 && found.status !== 429) body = { status: "failed", failure: await found.json() };
  }
  running = null;
  progress("");
  return body.status === "failed" ? { status: 422, body: body.failure } : { status: 200, body };
}

function problems({ status, body }) {
  if (!status) return [gettext("The file could not be sent. If it was changed since it was chosen, choose it again; else try again.")];
  const details = (body.errors ?? []).map((error) => error.detail).filter((detail) => detail !== body.detail);
  return [body.detail ?? gettext("Something went wrong here. Nothing was imported; try again."), ...details];
}

function busy(isBusy) {
  form.toggleAttribute("aria-busy", isBusy);
  all("select, [type=checkbox], [data-reads], [data-check], [data-do-import], [data-back]").forEach((control) => { control.disabled = isBusy; });
}

/* --- The file --------------------------------------------------------------------------------------------------------- */

function begin() {
  running?.abort();
  running = null;
  preview = null;
  progress("");
  busy(false);
  ["[data-columns]", "[data-how]", "[data-outcome]"].forEach((step) => show(find(step), false));
  tell(find("[data-check-error]"), []);
  tell(find("#file-error"), []);
  file.removeAttribute("aria-invalid");
}

function refuse(sentences) {
  tell(find("#file-error"), sentences);
  file.setAttribute("aria-invalid", "true");
  file.focus();
}

/* Into the file, as what it looks like or as the `kind` that the person says it is. */
async function look(kind, said = {}) {
  begin();
  layout = said;
  const [chosen] = file.files;
  if (!chosen) return;
  if (chosen.size > Number(form.dataset.limit)) {
    refuse([interpolate(gettext("The file is larger than %s MB. Split it into several."), [counted(form.dataset.limit / 1_000_000)])]);
    return;
  }
  const answer = await send(form.dataset.preview, { ...layout, ...(kind && { kind }) }, { working: gettext("Reading the file") });
  if (answer.status !== 200 && preview === null && Object.keys(said).length) {
    /* What was said does not fit the file: say so, and go back to what the file says itself. */
    await look(kind);
    tell(find("[data-check-error]"), problems(answer));
    return;
  }
  if (answer.status !== 200) {
    refuse(problems(answer));
    return;
  }
  preview = answer.body;
  showColumns();
  reach("step-columns");
}

/* --- Its columns ------------------------------------------------------------------------------------------------------ */

function sample(select) {
  const at = preview.header.indexOf(select.value);
  const values = select.value ? preview.firstRows.map((row) => row[at]).filter(Boolean).slice(0, 3) : [];
  document.getElementById(select.getAttribute("aria-describedby")).textContent = values.join(", ");
}

function cells(kind, texts) {
  const row = document.createElement("tr");
  row.append(...texts.map((text) => {
    const cell = document.createElement(kind);
    if (kind === "th") cell.scope = "col";
    cell.textContent = text;
    return cell;
  }));
  return row;
}

/* How the file was read, to be changed where it is wrong; open where that is likely. */
function showLayout() {
  const { layout: found, notices } = preview;
  const together = found.sheetsRead.length > 1;
  const sheets = find("#sheet");
  const joined = together ? [new Option(interpolate(gettext("all with the same columns: %s"), [found.sheetsRead.join(", ")]), "*")] : [];
  sheets.replaceChildren(...joined, ...found.sheets.map((name) => new Option(name, name)));
  sheets.value = together ? "*" : found.sheetsRead[0] ?? "";
  show(find("[data-sheets]"), found.sheets.length > 1);
  find("#header-row").value = found.headerRow;
  find("#encoding").replaceChildren(...found.encodings.map((name) => new Option(name, name)));
  find("#encoding").value = found.encoding;
  const delimiter = find("#delimiter");
  if (found.delimiter && ![...delimiter.options].some(({ value }) => value === found.delimiter)) delimiter.add(new Option(found.delimiter, found.delimiter));
  delimiter.value = found.delimiter;
  show(find("[data-encodings]"), found.encodings.length > 0);
  show(find("[data-delimiters]"), found.delimiter !== "");
  const list = find("[data-notices]");
  list.replaceChildren(...notices.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  show(list, notices.length > 0);
  find("[data-layout]").open = notices.length > 0 || found.sheets.length > 1 || !found.encodingCertain || Object.keys(layout).length > 0;
}

function showColumns() {
  const { kind, header, firstRows, totalRows, mapping, overwrite, remembered } = preview;
  const areFans = kind === "fans";
  kindSelect.value = kind;
  all("[data-fans]").forEach((part) => show(part, areFans));
  all("[data-earnings]").forEach((part) => show(part, !areFans));
  const names = [...new Set(header)].filter(Boolean);
  for (const select of selects) {
    select.replaceChildren(new Option(gettext("not in the file"), ""), ...names.map((name) => new Option(name, name)));
    select.value = (selectsOf(kind).includes(select) && mapping[fieldOf(select)]) || "";
    sample(select);
  }
  overwrites.forEach((box) => { box.checked = overwrite.includes(box.value); });
  dayFirst.value = decimalMark.value = "";
  showLayout();
  const rows = interpolate(ngettext("%s row.", "%s rows.", totalRows), [counted(totalRows)]);
  const needed = areFans
    ? gettext("Username or Fan ID says who the fan is; one of them is needed.")
    : gettext("Date and two of Gross, Fee and Net are needed; the third follows.");
  find("[data-about]").textContent = `${rows} ${needed}`;
  const when = remembered && dayWords(new Date(remembered.createdAt));
  const asBefore = areFans
    ? gettext("Columns and overwriting are chosen as in your import of %s on %s.")
    : gettext("Columns are chosen as in your import of %s on %s.");
  tell(find("[data-remembered]"), remembered ? [interpolate(asBefore, [remembered.filename, when])] : []);
  const table = find("[data-rows]");
  table.tHead.replaceChildren(cells("th", header));
  table.tBodies[0].replaceChildren(...firstRows.map((row) => cells("td", row)));
  show(find("[data-columns]"), true);
  show(find("[data-how]"), true);
}

/* A check holds for what was checked. */
function changed() {
  show(find("[data-outcome]"), false);
  tell(find("[data-check-error]"), []);
  find("#day-first-error").textContent = "";
  dayFirst.removeAttribute("aria-invalid");
}

function choices() {
  const { kind } = preview;
  const mapping = Object.fromEntries(selectsOf(kind).map((select) => [fieldOf(select), select.value || null]));
  const fields = { kind, mapping: JSON.stringify(mapping), ...layout, ...(dayFirst.value && { dayFirst: dayFirst.value }), ...(decimalMark.value && { decimalMark: decimalMark.value }) };
  if (kind !== "fans") return fields;
  /* Of the last import only the order of dates is left to take. */
  return { ...fields, overwrite: overwrites.filter((box) => box.checked).map((box) => box.value).join(","), remembered: "true" };
}

/* --- Check and import ------------------------------------------------------------------------------------------------- */

const resultOf = (id) => form.dataset.result.replace(/0$/, id);

async function check() {
  changed();
  busy(true);
  const answer = await settled(await send(form.dataset.api, { ...choices(), dryRun: "true" }, { working: gettext("Checking every row") }));
  busy(false);
  if (answer.status !== 200) {
    failed(answer, find("[data-check-error]"), find("[data-check]"));
    return;
  }
  const { importId, summary } = answer.body;
  await window.htmx.ajax("GET", resultOf(importId), { target: "[data-outcome-parts]", select: "#outcome", swap: "innerHTML" });
  const taken = summary.totalRows - summary.errors - summary.skipped;
  const button = find("[data-do-import]");
  button.textContent = interpolate(ngettext("Import %s row", "Import %s rows", taken), [counted(taken)]);
  button.disabled = taken === 0;
  importKey = crypto.getRandomValues(new Uint32Array(4)).join("-");
  tell(find("[data-import-error]"), []);
  show(find("[data-outcome]"), true);
  reach("step-outcome");
}

function failed(answer, box, button) {
  if (answer.body.code === "date_order_unknown") {
    find("#day-first-error").textContent = gettext("The file does not say whether the day or the month is first. Choose which it is.");
    dayFirst.setAttribute("aria-invalid", "true");
    dayFirst.focus();
    return;
  }
  tell(box, problems(answer));
  button.focus();
}

/* Asked again after a lost answer, the server does not import twice. */
let importKey = "";

async function doImport() {
  tell(find("[data-import-error]"), []);
  busy(true);
  const answer = await send(form.dataset.api, choices(), { working: gettext("Importing"), headers: { "Idempotency-Key": importKey } });
  if (answer.status === 200 || answer.status === 202) {
    location.assign(resultOf(answer.body.importId));
    return;
  }
  busy(false);
  failed(answer, find("[data-import-error]"), find("[data-do-import]"));
}

/* --- Start ------------------------------------------------------------------------------------------------------------ */

all("[data-plain]").forEach((element) => element.remove());
all("[data-script]").forEach((element) => show(element, true));
begin();
form.addEventListener("submit", (event) => event.preventDefault());
file.addEventListener("change", () => look());
kindSelect.addEventListener("change", async () => {
  await look(kindSelect.value, layout);
  kindSelect.focus();
});
reads.forEach((control) => control.addEventListener("change", async () => {
  if (!control.checkValidity() || control.value === "") return;
  await look(kindSelect.value, { ...layout, [control.dataset.reads]: control.value });
  control.focus();
}));
selects.forEach((select) => select.addEventListener("change", () => { sample(select); changed(); }));
[...overwrites, dayFirst, decimalMark].forEach((control) => control.addEventListener("change", changed));
find("[data-check]").addEventListener("click", check);
find("[data-do-import]").addEventListener("click", doImport);
find("[data-back]").addEventListener("click", () => reach("step-columns"));
const drop = find("[data-drop]");
/* A file dropped beside the field must not replace the page. */
["dragover", "drop"].forEach((kind) => document.addEventListener(kind, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault()));
drop.addEventListener("dragover", () => drop.toggleAttribute("data-over", true));
["dragleave", "drop"].forEach((kind) => drop.addEventListener(kind, () => drop.toggleAttribute("data-over", false)));
drop.addEventListener("drop", ({ dataTransfer }) => {
  if (!dataTransfer.files.length) return;
  file.files = dataTransfer.files;
  look();
});
/* A file that the browser kept over a reload. */
if (file.files.length) look();
