// While the bank checks: asks quietly, and moves on only when there is news. Slower the longer it takes.

let wait = Number(document.querySelector("[data-wait]").dataset.first ?? 1500);
let asked = 0;

async function look() {
  asked += 1;
  try {
    const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect") return location.reload();
  } catch {
    // Offline for a moment: the next look will tell.
  }
  if (asked === 3) document.querySelector("[data-said]").textContent = "Still checking. You can close this page.";
  wait = Math.min(wait * 1.3, 15000);
  setTimeout(look, wait);
}
setTimeout(look, wait);
