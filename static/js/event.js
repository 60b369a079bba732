// The event page: the button says what it will do, and a sale that opens soon counts down.

const form = document.querySelector("[data-choice]");
if (form) {
  const button = form.querySelector("button[data-label]");
  const numbers = [...form.querySelectorAll("input[name=quantity][type=radio]")];
  const write = () => {
    const tier = form.querySelector("input[name=category]:checked");
    if (!tier) return;
    const free = Number(tier.dataset.free);
    for (const number of numbers) number.disabled = Number(number.value) > free;
    const fits = numbers.filter((number) => !number.disabled);
    if (numbers.length && !fits.some((number) => number.checked)) fits.at(-1).checked = true;
    const count = Number(numbers.find((number) => number.checked)?.value ?? 1);
    const decimals = Number(form.dataset.decimals);
    const sum = (count * Number(tier.dataset.price)) / 10 ** decimals;
    const written = sum.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    const price = sum ? `${form.dataset.prefix}${written}` : "free";
    button.textContent = `${sum ? "Hold" : "Get"} ${count} ticket${count === 1 ? "" : "s"} · ${price}`;
  };
  form.addEventListener("change", write);
  write();
}

const opening = document.querySelector("[data-opens]");
if (opening) {
  // The page may come from a cache, so the clock is corrected by a fresh answer's Date.
  const asked = Date.now();
  fetch("/healthz", { method: "GET", cache: "no-store" })
    .then((answer) => Date.parse(answer.headers.get("Date")) + 500 - (asked + Date.now()) / 2)
    .catch(() => 0)
    .then((ahead) => countDown(Number.isFinite(ahead) ? ahead : 0));
}

function countDown(ahead) {
  const opens = Date.parse(opening.dataset.opens);
  const write = (name, value) => (opening.querySelector(`[data-${name}]`).textContent = value);
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((opens - Date.now() - ahead) / 1000));
    write("days", Math.floor(seconds / 86400));
    write("hours", Math.floor(seconds / 3600) % 24);
    write("minutes", String(Math.floor(seconds / 60) % 60).padStart(2, "0"));
    write("seconds", String(seconds % 60).padStart(2, "0"));
    opening.hidden = false;
    if (seconds > 0) return;
    clearInterval(timer);
    setTimeout(() => location.reload(), 1000 + Math.random() * 1500);
  };
  const timer = setInterval(tick, 1000);
  tick();
}
