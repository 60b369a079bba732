// A place on the waitlist is looked at again every half minute; an offer counts down. Both say it politely, and rarely.

import { ahead, announcer, countDown, minutesAndSeconds, two } from "./clock.js";

const said = document.querySelector("[data-said]");
const place = document.querySelector("[data-place]");
const offer = document.querySelector("[data-offer]");

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect") return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = fresh.querySelector("[data-place]");
    if (!now) return location.reload(); // an offer, or the end of it
    for (const part of place.querySelectorAll("[data-live]")) {
      const next = now.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && next.textContent !== part.textContent) part.textContent = next.textContent;
    }
    if (now.dataset.place !== place.dataset.place) said.textContent = `You are now number ${now.dataset.place} in line.`;
    place.dataset.place = now.dataset.place;
    document.title = fresh.title;
  } catch {
    // Offline for a moment: the next look will tell.
  }
}

if (place) {
  setInterval(look, 30000);
  document.addEventListener("visibilitychange", look);
}

if (offer) {
  const write = (name, text) => {
    const part = offer.querySelector(`[data-${name}]`);
    if (part.textContent !== text) part.textContent = text;
  };
  const announce = announcer([1, 10, 60], (minutes) => {
    write("said", minutes === 60 ? "One hour left" : `${minutes} ${minutes === 1 ? "minute" : "minutes"} left`);
  });
  countDown(
    offer.dataset.expires,
    ahead(offer),
    (seconds) => {
      const long = seconds >= 3600;
      write("left", long ? `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}` : minutesAndSeconds(seconds));
      write("unit", long ? "hours and minutes left" : "minutes and seconds left");
      announce(seconds);
    },
    () => setTimeout(() => location.reload(), 1500),
  );
}
