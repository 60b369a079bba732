// The event page: the button says what it will do, a code is looked at before anything is held, and a sale that opens soon
// counts down.

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

  // Enter in the field of the code looks what the code does; Enter anywhere else holds the tickets, as without this script.
  const code = form.querySelector("input[name=code]");
  form.querySelector("[data-enter]").addEventListener("click", (event) => {
    if (document.activeElement !== code) return;
    event.preventDefault();
    form.querySelector("[data-look]").click();
  });
}

const opening = document.querySelector("[data-opens]");
const later = [...document.querySelectorAll("[data-opens-at]")];
if (opening || later.length) {
  // The page may come from a cache, so the clock is corrected by a fresh answer's Date.
  const asked = Date.now();
  fetch("/healthz", { method: "GET", cache: "no-store" })
    .then((answer) => Date.parse(answer.headers.get("Date")) + 500 - (asked + Date.now()) / 2)
    .catch(() => 0)
    .then((ahead) => {
      const known = Number.isFinite(ahead) ? ahead : 0;
      if (opening) countDown(known);
      for (const place of later) countQuietly(place, known);
    });
}

// A kind of ticket that opens while others can be had: nobody who is choosing is interrupted, they are told.
function countQuietly(place, ahead) {
  const opens = Date.parse(place.dataset.opensAt);
  const tick = () => {
    const seconds = Math.ceil((opens - Date.now() - ahead) / 1000);
    if (seconds > 3600) return;
    const minutes = Math.floor(seconds / 60);
    place.textContent = seconds > 0 ? `, in ${minutes ? `${minutes} min ` : ""}${seconds % 60} s` : "";
    if (seconds > -1) return;
    clearInterval(timer);
    const chosen = new URLSearchParams(location.search);
    for (const [name, value] of new FormData(form)) {
      if (["category", "quantity", "code"].includes(name)) chosen.set(name, value);
    }
    const link = document.createElement("a");
    link.href = `${location.pathname}?${chosen}#tickets`;
    link.textContent = "Show them";
    const told = form.querySelector("[data-opened]");
    told.replaceChildren(`${place.dataset.name} is on sale now. `, link);
    told.hidden = false;
  };
  const timer = setInterval(tick, 1000);
  tick();
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
