// A place on the waitlist is looked at again every half minute; an offer counts down. Both say it politely, and rarely.

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

function countDown() {
  const answered = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
  const ahead = Number(offer.dataset.now) - (Date.now() - performance.now() + answered);
  const ends = Date.parse(offer.dataset.expires);
  const write = (name, text) => {
    const part = offer.querySelector(`[data-${name}]`);
    if (part.textContent !== text) part.textContent = text;
  };
  const two = (number) => String(number).padStart(2, "0");
  let mark = Infinity;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((ends - Date.now() - ahead) / 1000));
    const long = seconds >= 3600;
    write("left", long ? `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}` : `${Math.floor(seconds / 60)}:${two(seconds % 60)}`);
    write("unit", long ? "hours and minutes left" : "minutes and seconds left");
    // Heard at one hour, ten minutes and one minute, once each.
    const next = [1, 10, 60].find((minutes) => seconds <= minutes * 60);
    if (next && next < mark && mark !== Infinity) write("said", next === 60 ? "One hour left" : `${next} ${next === 1 ? "minute" : "minutes"} left`);
    mark = next ?? 61;
    if (seconds > 0) return;
    clearInterval(timer);
    setTimeout(() => location.reload(), 1500);
  };
  const timer = setInterval(tick, 1000);
  tick();
}

if (offer) countDown();
