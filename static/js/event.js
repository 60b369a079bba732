// The event page: the button says what it will do, a code is looked at before anything is held, and a sale that opens soon
// counts down.

import { askedAhead, countDown, face } from "./clock.js";

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
  askedAhead().then((early) => {
    if (opening) {
      countDown(opening.dataset.opens, early, face(opening), () => {
        setTimeout(() => location.reload(), 1000 + Math.random() * 1500);
      });
    }
    for (const place of later) countQuietly(place, early);
  });
}

// A kind of ticket that opens while others can be had: nobody who is choosing is interrupted, they are told.
function countQuietly(place, early) {
  const write = (seconds) => {
    if (seconds > 3600) return;
    const minutes = Math.floor(seconds / 60);
    place.textContent = seconds > 0 ? `, in ${minutes ? `${minutes} min ` : ""}${seconds % 60} s` : "";
  };
  const tell = () => {
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
  // A second later, so that the server agrees.
  countDown(place.dataset.opensAt, early, write, () => setTimeout(tell, 1000));
}
