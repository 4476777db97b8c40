/* A form whose errors stand at its fields: [data-fields] holds places, each [data-error] naming the API's fields. */

const base = (field) => field.replace(/\[.*/, "");

function tell(form, errors) {
  let unplaced = errors.length === 0;
  for (const place of form.querySelectorAll("[data-error]")) {
    const names = place.dataset.error.split(" ");
    const mine = errors.filter(({ field }) => names.includes(base(field)));
    place.textContent = mine.map(({ detail }) => detail).join(" ");
    const control = form.querySelector(`[aria-describedby~="${place.id}"]`);
    if (mine.length) control?.setAttribute("aria-invalid", "true");
    else control?.removeAttribute("aria-invalid");
  }
  const places = [...form.querySelectorAll("[data-error]")].flatMap((place) => place.dataset.error.split(" "));
  unplaced ||= errors.some(({ field }) => !places.includes(base(field)));
  form.dispatchEvent(new CustomEvent("fields-told", { detail: { errors } }));
  form.querySelector('[aria-invalid="true"]')?.focus();
  return !unplaced;
}

document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (detail.successful && target.dataset.gone) target.closest(target.dataset.gone).remove();
  if (!target.matches("[data-fields]")) return;
  const answer = new DOMParser().parseFromString(detail.successful ? "" : detail.xhr.responseText, "text/html");
  const errors = [...answer.querySelectorAll("[data-field]")].map((item) => ({ field: item.dataset.field, detail: item.textContent }));
  /* Said at the field, it need not be said at the top of the page as well. */
  if (tell(target, errors)) document.querySelector("#problem")?.replaceChildren();
  if (detail.successful && "once" in target.dataset) target.reset();
});
