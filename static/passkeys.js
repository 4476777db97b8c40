/* Passkeys: a form with [data-passkey] asks the browser for one ("get" or "create") and sends what it answers. */

import { gettext } from "./words.js";

/* What the server asks for stands on the page, or at the address that the form names. */
async function asked(form) {
  if (!form.dataset.passkeyFrom) return JSON.parse(document.querySelector("#passkey-data").textContent);
  const answer = await fetch(form.dataset.passkeyFrom, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(gettext("Too many attempts. Wait a minute and try again."));
  return answer.json();
}

async function created({ creation_options: { publicKey } }, alone) {
  /* Without the password only a key that remembers the user and asks who holds it will do. */
  Object.assign(publicKey.authenticatorSelection, {
    residentKey: alone ? "required" : "discouraged",
    requireResidentKey: alone,
    userVerification: alone ? "required" : publicKey.authenticatorSelection.userVerification,
  });
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
}

async function got({ request_options: { publicKey } }) {
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
}

function words(error) {
  if (error.name === "InvalidStateError") return gettext("This device has a passkey for this account already.");
  if (error instanceof DOMException) return gettext("The browser gave no passkey. Try again, or choose another way.");
  return error.message;
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [button, said] = [form.querySelector("button"), form.querySelector("[data-passkey-error]")];
    said.textContent = "";
    button.disabled = true;
    try {
      if (!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) throw new Error(gettext("This browser cannot use passkeys."));
      const data = await asked(form);
      const credential = form.dataset.passkey === "create" ? await created(data, form.elements.passwordless.checked) : await got(data);
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch (error) {
      said.textContent = words(error);
      button.disabled = false;
    }
  });
}
