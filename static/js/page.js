// On every page: small things that make it nicer. Nothing here is needed to buy a ticket.

import { ahead, announcer, countDown, hour, minutesAndSeconds } from "./clock.js";

document.documentElement.classList.add("js");

// The error summary is read first.
document.querySelector("[data-errors]")?.focus();

// A form that is on its way is not sent twice, unless it takes so long that somebody stopped it.
function release(form) {
  delete form.dataset.sent;
  form.querySelectorAll("[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled"));
}
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-disabled", "true");
  setTimeout(release, 8000, form);
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-sent]")) release(form);
});

// Times of an event stand in its own zone; who reads them elsewhere is told their own time too.
const dated = new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });
for (const place of document.querySelectorAll("[data-local-after]")) {
  const shown = place.parentElement.querySelector("time");
  const mine = new Date(place.dataset.localAfter);
  if (shown.textContent.trim() === hour.format(mine)) continue;
  place.textContent = ` (${dated.format(mine)} your time)`;
  place.hidden = false;
}
for (const shown of document.querySelectorAll("time[data-local]")) {
  const mine = hour.format(new Date(shown.dateTime));
  if (!shown.textContent.includes(mine)) shown.after(` (${dated.format(new Date(shown.dateTime))} your time)`);
}

// The bar with the time left.
const bar = document.querySelector("[data-hold]");
if (bar) {
  const ends = bar.dataset.expires;
  const left = bar.querySelector("[data-left]");
  const spoken = bar.querySelector("[data-spoken]");
  for (const place of document.querySelectorAll("[data-clock]")) place.textContent = hour.format(new Date(ends));
  const announce = announcer(
    [1, 2, 5],
    (minutes) => (spoken.textContent = `${minutes} ${minutes === 1 ? "minute" : "minutes"} left`),
    5,
  );
  countDown(
    ends,
    ahead(bar),
    (seconds) => {
      left.textContent = minutesAndSeconds(seconds);
      bar.toggleAttribute("data-low", seconds < 120);
      announce(seconds);
    },
    // The server decides what became of it; a second later so that it agrees that the time is over.
    () => setTimeout(() => location.assign(bar.dataset.over), 1000),
  );
}

// Nobody is logged in: what the gate keeps on a device goes, but for scans that still have to be sent.
function gateWasHere() {
  try {
    return localStorage.getItem("gate") !== null;
  } catch {
    return false;
  }
}
if ("guest" in document.body.dataset && !document.querySelector("[data-shell]") && gateWasHere()) {
  import("./gate-store.js")
    .then(({ wipe }) => wipe())
    .then(() => localStorage.removeItem("gate"))
    .catch(() => {}); // its time ends it all the same
}
