/* Copying: a button with [data-copy] puts what the element that it names says into the clipboard, and says so. It shows
   itself where a page may copy, which none may without TLS. */

import { gettext } from "./words.js";

for (const button of navigator.clipboard ? document.querySelectorAll("[data-copy]") : []) {
  const source = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    /* Emptied first, so that the same words are read out again. */
    said.textContent = "";
    try {
      await navigator.clipboard.writeText(source.innerText.trim());
      said.textContent = gettext("Copied");
    } catch {
      getSelection().selectAllChildren(source);
      said.textContent = gettext("The browser does not let this page copy. It is selected now: copy it yourself.");
    }
  });
}
