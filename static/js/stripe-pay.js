// Stripe's card field (Payment Element). It stands only on the payment page, and the plain way stays if it can not load.

const place = document.querySelector("[data-pay]");
const form = place.querySelector("[data-card-form]");
const button = form.querySelector("button");
const plain = place.querySelector("[data-plain]");

const script = document.createElement("script");
script.src = "https://js.stripe.com/v3/";
script.addEventListener("load", start);
document.head.append(script);

function start() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const stripe = globalThis.Stripe(place.dataset.key);
  const elements = stripe.elements({
    clientSecret: place.dataset.secret,
    appearance: { theme: dark ? "night" : "stripe", variables: { colorPrimary: dark ? "#A99CFF" : "#4B3BD6", borderRadius: "10px" } },
  });
  const field = elements.create("payment");
  field.on("ready", () => {
    form.hidden = false;
    plain.hidden = true;
  });
  field.on("loaderror", () => {
    form.hidden = true;
    plain.hidden = false;
  });
  field.mount(place.querySelector("[data-card-field]"));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    const { error } = await stripe.confirmPayment({ elements, confirmParams: { return_url: place.dataset.return } });
    // Only reached when it did not leave for the return address.
    button.removeAttribute("aria-disabled");
    if (error.type !== "validation_error") say(error);
  });
}

function say(error) {
  const box = document.createElement("div");
  box.className = "errs";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  const heading = document.createElement("h2");
  heading.textContent = error.type === "card_error" ? "Your card was declined" : "That did not work";
  const line = document.createElement("p");
  line.textContent = `${error.message ?? ""} Nothing was charged and your tickets are still held.`.trim();
  box.append(heading, line);
  document.querySelector("[data-problems]").replaceChildren(box);
  if (!document.title.startsWith("Error: ")) document.title = `Error: ${document.title}`;
  box.focus();
}
