/* Undo of a message that has not gone out: its words, price and media are back in the composer. huntaze.js sends. */

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  /* Not the event's target: a refresh may have replaced the button meanwhile. */
  const asker = detail.requestConfig.elt;
  if (!asker.matches("[data-undo]") || !detail.successful) return;
  const text = document.querySelector("[data-composer] [name=text]");
  if (!text) return;
  const { text: words, media, cents } = asker.dataset;
  const before = text.value.trim();
  /* What was begun meanwhile stays, behind what comes back. */
  text.value = before ? `${words}\n${text.value}` : words;
  const form = text.form;
  const fields = { media: form.querySelector("#media"), price: form.querySelector("#price") };
  if (media.trim() && !fields.media.value.trim()) fields.media.value = media.trim();
  if (Number(cents) && !fields.price.value) fields.price.value = String(Number(cents) / 100);
  if (media.trim() && form.querySelector("[data-ppv]").hidden) form.querySelector("[data-ppv-toggle]").click();
  text.dispatchEvent(new Event("input", { bubbles: true }));
  text.focus();
  text.setSelectionRange(words.length, words.length);
});
