// The on-sale control renews its figures; without this script, reloading the page does.

const panel = document.querySelector("[data-onsale]");
const EVERY = 3000;
let failures = 0;

async function renew() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(panel.dataset.onsale, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.statusText);
      panel.innerHTML = await answer.text();
      failures = 0;
    } catch {
      failures += 1;
      const stale = panel.querySelector("[data-stale]");
      if (stale) stale.hidden = false;
    }
  }
  setTimeout(renew, EVERY * 2 ** Math.min(failures, 4));
}
if (panel) setTimeout(renew, EVERY);
