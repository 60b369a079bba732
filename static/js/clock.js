// The server's clock, and what counts down by it. A browser's own clock may be minutes wrong.

export const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
export const two = (number) => String(number).padStart(2, "0");
export const minutesAndSeconds = (seconds) => `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;

// How far the server's clock is ahead, in milliseconds: the page says in `data-now` what time it was when it was made.
export function ahead(place) {
  const answered = performance.getEntriesByType("navigation")[0]?.responseStart ?? 0;
  return Number(place.dataset.now) - (Date.now() - performance.now() + answered);
}

// The same for a page that may come from a cache: by the Date of a fresh answer.
export async function askedAhead() {
  const asked = Date.now();
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    const known = Date.parse(answer.headers.get("Date")) + 500 - (asked + Date.now()) / 2;
    return Number.isFinite(known) ? known : 0;
  } catch {
    return 0;
  }
}

// Calls `each` with the whole seconds left, now and every second, and `over` once when there are none.
export function countDown(ends, early, each, over) {
  const until = Date.parse(ends) - early;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    each(seconds);
    if (seconds > 0) return;
    clearInterval(timer);
    over();
  };
  const timer = setInterval(tick, 1000);
  tick();
}

// Writes days, hours, minutes and seconds into the parts of a face.
export function face(place) {
  const write = (name, value) => (place.querySelector(`[data-${name}]`).textContent = value);
  return (seconds) => {
    write("days", Math.floor(seconds / 86400));
    write("hours", Math.floor(seconds / 3600) % 24);
    write("minutes", two(Math.floor(seconds / 60) % 60));
    write("seconds", two(seconds % 60));
    place.hidden = false;
  };
}

// Says how many minutes are left when one of the marks is passed, once each. A page opened later than a mark says only the
// one that is next, or one that it came too late for by less than `late` seconds.
export function announcer(marks, say, late = 0) {
  let last = null;
  return (seconds) => {
    const mark = marks.find((minutes) => seconds <= minutes * 60) ?? Infinity;
    if (last === null ? seconds > mark * 60 - late : mark < last) say(mark);
    last = mark;
  };
}
