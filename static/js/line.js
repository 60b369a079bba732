// A place in line: asks for news when the server says so, one window of a browser for all of them, and writes what changed.
// Without this script the page looks again by itself.

import { ahead, countDown, face, hour } from "./clock.js";

const exact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const spread = (ms) => ms * (0.85 + Math.random() * 0.3);
const LONGEST = 60000;

for (const place of document.querySelectorAll("[data-line]")) follow(place);

function follow(place) {
  const here = "here" in place.dataset;
  const channel = "BroadcastChannel" in window ? new BroadcastChannel(`line:${place.dataset.event}`) : null;
  let { phase, mark } = place.dataset;
  let next = Number(place.dataset.next);
  let failures = 0;
  let etag = "";
  let timer = 0;
  let asks = false;
  let leaving = false;
  let asked = Date.now();

  async function ask() {
    clearTimeout(timer);
    if (leaving) return;
    asked = Date.now();
    try {
      const answer = await fetch(place.dataset.status, {
        headers: etag ? { "If-None-Match": etag } : {},
        cache: "no-store",
        signal: AbortSignal.timeout(15000),
      });
      if (answer.status === 200) {
        etag = answer.headers.get("ETag") ?? "";
        const news = await answer.json();
        channel?.postMessage(news);
        tell(news);
      } else if (answer.status === 401) {
        return move();
      } else if (answer.status !== 304) {
        throw new Error(String(Number(answer.headers.get("Retry-After")) * 1000 || ""));
      }
      failures = 0;
      next = Number(answer.headers.get("Next-Poll-Ms")) || next;
      if (here) stamp();
      later(next);
    } catch (problem) {
      failures += 1;
      offline(!navigator.onLine);
      later(Math.min(LONGEST, Math.max(Number(problem.message) || 0, next * 2 ** Math.min(failures, 5))));
    }
  }

  function later(ms) {
    clearTimeout(timer);
    if (!leaving) timer = setTimeout(ask, spread(ms));
  }

  function now() {
    if (asks && Date.now() - asked > 2000) later(500 + Math.random() * 1500);
  }

  // One window asks for all of this browser; when it is closed the next one takes over.
  async function begin() {
    if (navigator.locks && channel) {
      channel.addEventListener("message", (message) => (tell(message.data), here && stamp()));
      await navigator.locks.request(`line:${place.dataset.event}`, () => {
        asks = true;
        later(next);
        return new Promise((over) => addEventListener("pagehide", over, { once: true }));
      });
    } else {
      asks = true;
      later(next);
    }
  }

  function tell(news) {
    if (leaving) return;
    offline(false);
    const before = phase;
    phase = place.dataset.phase = news.phase;
    if (here && before !== phase && !(news.moves && before !== "active")) return arrive(news);
    write(news);
    if (news.mark !== mark) {
      mark = news.mark;
      place.querySelector("[data-spoken]").textContent = news.spoken;
    }
    if (!here) {
      place.hidden = !news.moves && phase !== "active";
      const door = place.querySelector("a.btn");
      door.textContent = phase === "active" ? "Choose tickets" : "See your place";
      door.classList.toggle("ghost", phase !== "active");
      if (before !== phase && phase === "active") alarm();
    }
  }

  function write(news) {
    for (const word of place.querySelectorAll("[data-word]")) {
      const text = news.words[word.dataset.word] ?? "";
      if (word.textContent !== text) word.textContent = text;
    }
    for (const part of place.querySelectorAll("[data-show]")) {
      const filled = part.dataset.filled ? news.words[part.dataset.filled] : "yes";
      part.hidden = !part.dataset.show.split(" ").includes(phase) || !filled;
    }
    if (!here) return;
    document.title = document.title.replace(/^.* – /, `${news.words.title} – `);
    const odds = place.querySelector("[data-odds]");
    if (odds) odds.dataset.odds = news.odds;
    const progress = place.querySelector("[data-progress]");
    if (progress) {
      progress.hidden = news.progress === null;
      progress.value = news.progress ?? 0;
    }
    between(news.between);
  }

  function between(times) {
    const part = place.querySelector("[data-between]");
    if (!part) return;
    part.hidden = !times;
    const shown = [...part.querySelectorAll("time")];
    times?.forEach((at, index) => (shown[index].dateTime = at));
    for (const time of shown) if (time.dateTime) time.textContent = hour.format(new Date(time.dateTime));
    // The zone's name stood behind the second time; what stands there now is the reader's own.
    const zone = shown.at(-1)?.nextSibling;
    if (zone) zone.textContent = ".";
  }

  function stamp() {
    const shown = place.querySelector("[data-updated]");
    if (shown) shown.textContent = `Updated ${exact.format(new Date())}.`;
  }

  function offline(is) {
    const note = place.querySelector("[data-offline]");
    if (note) note.hidden = !is;
  }

  // Another page now: with a sound and a notification first, where somebody asked for them.
  function arrive(news) {
    const wait = news.phase === "active" ? alarm() : 0;
    setTimeout(move, wait);
  }

  function move() {
    leaving = true;
    if (here) location.replace(location.href.split("#")[0]);
    else place.hidden = true;
  }

  function opening() {
    const shown = place.querySelector("[data-countdown]");
    if (!shown) return;
    const write = face(shown);
    countDown(
      shown.dataset.countdown,
      ahead(place),
      (seconds) => {
        shown.querySelector("[data-days]").parentElement.hidden = seconds < 86400;
        shown.querySelector("[data-hours]").parentElement.hidden = seconds < 3600;
        write(seconds);
      },
      // A whole lobby reaches zero at once; the draw takes a moment, and nobody gains by being first.
      () => asks && phase === "lobby" && later(1000 + Math.random() * 3000),
    );
  }

  addEventListener("online", now);
  addEventListener("offline", () => offline(true));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && Date.now() - asked > next && now());
  // A form that is on its way is not overtaken by news.
  document.addEventListener("submit", (event) => event.defaultPrevented || (leaving = true));
  place.querySelector("[data-again]")?.addEventListener("click", (event) => {
    if (!asks) return;
    event.preventDefault();
    if (Date.now() - asked > 1000) ask();
  });
  if (here) {
    opening();
    const shown = [...place.querySelectorAll("[data-between]:not([hidden]) time")].map((time) => time.dateTime);
    between(shown.length ? shown : null);
    alerts(place);
  }
  begin();
}

// -- A sound and a notification, for those who do something else meanwhile ---------------------------------------------

let sound = null;
let notify = false;

function alerts(place) {
  const offer = place.querySelector("[data-alerts]");
  if (!offer) return;
  const hear = offer.querySelector("[data-sound]");
  const see = offer.querySelector("[data-notify]");
  offer.hidden = !("AudioContext" in window);
  hear.addEventListener("click", () => {
    const wanted = hear.getAttribute("aria-pressed") !== "true";
    hear.setAttribute("aria-pressed", String(wanted));
    hear.textContent = wanted ? "A sound will play at your turn" : "Play a sound at my turn";
    sound = wanted ? (sound ?? new AudioContext()) : null;
    if (wanted) chime(0.15);
  });
  if (!("Notification" in window) || Notification.permission === "denied") return;
  see.hidden = offer.hidden = false;
  see.addEventListener("click", async () => {
    notify = !notify && (await Notification.requestPermission()) === "granted";
    see.setAttribute("aria-pressed", String(notify));
    see.textContent = notify ? "A notification will show" : "Show a notification";
  });
}

function alarm() {
  if (notify) {
    try {
      new Notification("It’s your turn", { body: document.title, tag: "line", requireInteraction: true });
    } catch {
      // Some phones only let a service worker notify; the sound and the mail remain.
    }
  }
  if (!sound) return 0;
  chime(0.4);
  return 1200;
}

// Two soft notes.
function chime(volume) {
  [659, 880].forEach((pitch, index) => {
    const note = sound.createOscillator();
    const level = sound.createGain();
    const start = sound.currentTime + index * 0.28;
    note.frequency.value = pitch;
    level.gain.setValueAtTime(volume, start);
    level.gain.exponentialRampToValueAtTime(0.001, start + 0.5);
    note.connect(level).connect(sound.destination);
    note.start(start);
    note.stop(start + 0.55);
  });
}
