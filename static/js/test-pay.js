// Test mode only: a card form that talks to the payment sandbox the way Stripe's own script talks to Stripe.

const place = document.querySelector("[data-pay]");
const form = place.querySelector("[data-card-form]");
const button = form.querySelector("button");
const fields = {
  number: { input: form.querySelector("#number"), wrong: "Use one of the test card numbers below" },
  expiry: { input: form.querySelector("#expiry"), wrong: "Write the expiry as month / year, for example 08 / 29" },
  cvc: { input: form.querySelector("#cvc"), wrong: "Write the three or four digits of the security code" },
};

place.querySelector("[data-plain]").hidden = true;
form.hidden = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-disabled")) return;
  const digits = fields.number.input.value.replace(/[\s-]/g, "");
  const [, month, year] = fields.expiry.input.value.match(/^\s*(\d{1,2})\s*\/\s*(\d{2}|\d{4})\s*$/) ?? [];
  const wrong = [];
  if (!/^\d{12,19}$/.test(digits)) wrong.push("number");
  if (!(month >= 1 && month <= 12)) wrong.push("expiry");
  if (!/^\s*\d{3,4}\s*$/.test(fields.cvc.input.value)) wrong.push("cvc");
  mark(wrong);
  if (wrong.length) {
    return say("Please check your card", wrong.map((name) => [fields[name].wrong, name]));
  }
  button.setAttribute("aria-disabled", "true");
  const words = button.lastChild.textContent;
  button.lastChild.textContent = "Paying…";
  try {
    await confirm({ number: digits, exp_month: month, exp_year: year.slice(-2), cvc: fields.cvc.input.value.trim() });
  } catch {
    say("The payment service does not answer", [["Nothing was charged and your tickets are still held. Try again."]]);
  }
  button.lastChild.textContent = words;
  button.removeAttribute("aria-disabled");
});

async function confirm(card) {
  const body = new URLSearchParams({
    client_secret: place.dataset.secret,
    return_url: place.dataset.return,
    "payment_method_data[type]": "card",
  });
  for (const [name, value] of Object.entries(card)) body.set(`payment_method_data[card][${name}]`, value);
  const answer = await fetch(`${place.dataset.base}/v1/payment_intents/${place.dataset.intent}/confirm`, {
    method: "POST",
    headers: { Authorization: `Bearer ${place.dataset.key}` },
    body,
  });
  const intent = await answer.json();
  if (intent.error) {
    const known = intent.error.type === "card_error";
    if (known) mark(["number"], "Check this number or use another card");
    // Paid meanwhile (another tab): the page behind the return address knows.
    if (intent.error.code === "payment_intent_unexpected_state") return location.assign(place.dataset.return);
    return say(known ? "Your card was declined" : intent.error.message, [
      ["Nothing was charged and your tickets are still held."],
      ["Use another card", "number"],
    ]);
  }
  location.assign(intent.next_action?.redirect_to_url?.url ?? place.dataset.return);
}

function mark(names, text) {
  for (const [name, { input, wrong }] of Object.entries(fields)) {
    const bad = names.includes(name);
    const line = form.querySelector(`#${name}-e`);
    input.closest(".field").toggleAttribute("data-bad", bad);
    if (bad) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    line.hidden = !bad;
    line.textContent = bad ? (text ?? wrong) : "";
  }
}

function say(title, lines) {
  const box = document.createElement("div");
  box.className = "errs";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  const heading = document.createElement("h2");
  heading.textContent = title;
  box.append(heading);
  for (const [text, field] of lines) {
    const line = document.createElement("p");
    if (field) {
      const link = document.createElement("a");
      link.href = `#${field}`;
      link.textContent = text;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        fields[field].input.focus();
      });
      line.append(link);
    } else line.textContent = text;
    box.append(line);
  }
  document.querySelector("[data-problems]").replaceChildren(box);
  if (!document.title.startsWith("Error: ")) document.title = `Error: ${document.title}`;
  box.focus();
}
