// Passkeys. A form with data-passkey fetches its challenge, has the browser ask a device, and is then sent like any form.

const SAYS = {
  NotAllowedError: "Nothing was confirmed: it was cancelled, or it took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  NotSupportedError: "This device can not make such a passkey. Try another one, or use an authenticator app.",
  ConstraintError: "This device can not make such a passkey. Try another one, or use an authenticator app.",
};
const able = Boolean(window.isSecureContext && window.PublicKeyCredential && navigator.credentials);

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const named = (list) => (list ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));

// What was said by a device, in the form in which it travels.
function written(made) {
  const said = made.response;
  const response = { clientDataJSON: toText(said.clientDataJSON) };
  if (said.attestationObject) {
    response.attestationObject = toText(said.attestationObject);
    response.transports = said.getTransports?.() ?? [];
  } else {
    response.authenticatorData = toText(said.authenticatorData);
    response.signature = toText(said.signature);
    if (said.userHandle) response.userHandle = toText(said.userHandle);
  }
  return JSON.stringify({ id: made.id, rawId: toText(made.rawId), type: made.type, response });
}

async function ask(form) {
  let reply;
  try {
    reply = await fetch(form.dataset.challenge, { method: "POST", body: new FormData(form) });
  } catch {
    throw new Error("The site did not answer. Check your connection, and try again.");
  }
  const asked = await reply.json().catch(() => ({}));
  if (asked.code === "recent_proof_required") {
    location.reload(); // the page asks who it is first
    return null;
  }
  if (!reply.ok) throw new Error(asked.message ?? "That did not work. Load the page again.");
  asked.challenge = toBytes(asked.challenge);
  if (form.dataset.passkey === "add") {
    asked.user.id = toBytes(asked.user.id);
    asked.excludeCredentials = named(asked.excludeCredentials);
    return navigator.credentials.create({ publicKey: asked });
  }
  asked.allowCredentials = named(asked.allowCredentials);
  return navigator.credentials.get({ publicKey: asked });
}

function prepare(form) {
  const says = form.querySelector("[data-says]");
  const button = form.querySelector("[type=submit]");
  if (location.origin !== new URL(form.dataset.origin).origin) {
    says.textContent = `Passkeys work at ${form.dataset.origin} only.`;
    button.disabled = true;
    return;
  }
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    says.textContent = "";
    try {
      const made = await ask(form);
      if (made) {
        form.elements.answer.value = written(made);
        form.submit();
        return;
      }
    } catch (error) {
      says.textContent =
        SAYS[error.name] ??
        (error.name === "SecurityError" ? `Passkeys work at ${form.dataset.origin} only.` : null) ??
        (error.constructor === Error ? error.message : "Your browser could not use a passkey. Try again, or use a code.");
    }
    busy = false;
    button.removeAttribute("aria-disabled");
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!able) continue;
  form.hidden = false;
  prepare(form);
}
// What stands there for browsers without passkeys, and without scripts.
if (able) for (const place of document.querySelectorAll("[data-without-passkeys]")) place.hidden = true;
