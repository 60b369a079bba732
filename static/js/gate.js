// The gate: scans by camera, scanner or keyboard, a big answer, and going on without network.
// Without this script the same forms work, one page per answer. In the shell, which the service worker opens when there is no
// network, everything about the event comes from what this device keeps.

import * as store from "./gate-store.js";

const gate = document.querySelector("[data-gate-page]");
const part = (name) => gate.querySelector(`[data-${name}]`);
const page = gate.dataset;
const shell = "shell" in page;
const event = page.event || location.pathname.split("/")[2];
const gateName = page.gate || new URLSearchParams(location.search).get("gate")?.trim() || "";
const base = `/gate/${event}`;
const here = `${base}?gate=${encodeURIComponent(gateName)}`;
const form = part("scanner");
const field = form.elements.code;
const words = JSON.parse(document.getElementById("gate-words").textContent);
const SIGHT_MS = Number(page.sight) * 1000;
const PATIENCE_MS = 6000;
const SCAN_PATIENCE_MS = 4000; // then the list decides, when there is a good one
const LIST_MS = 120000;
const LIVE_MS = 10000;
const MOST_AT_ONCE = 200;
const CODE = /^[0-9A-HJKMNP-TV-Z]{26}$/;
let token = form.elements.csrfmiddlewaretoken?.value ?? "";
let clock = clockIn(page.timezone || "UTC");

function clockIn(timeZone) {
  return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
}

// -- The time, by the server's clock: a phone's may be wrong ----------------------------------------------------------
let ahead = 0;
const now = () => Date.now() + ahead;

function compareClocks(answer, sentAt) {
  const told = Date.parse(answer.headers.get("Date")) + 500; // it tells whole seconds
  const found = told - (sentAt + Date.now()) / 2;
  if (Number.isNaN(found) || Math.abs(found - ahead) < 1500) return;
  ahead = Math.round(found);
  store.keepSetting("ahead", ahead).catch(() => {});
}

// -- What this device keeps -------------------------------------------------------------------------------------------
const newId = () =>
  crypto.randomUUID?.() ??
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
    (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16),
  );
const fallen = []; // scans that this device could not keep: they wait in this page alone
const inside = new Set(); // and who came in by them
let list = null;
let online = navigator.onLine && !shell;
let leaving = false;
let busy = 0;
let device = newId().slice(0, 8);
let muted = false;

// What was kept is looked up while somebody may scan already; answers wait for it.
const ready = (async () => {
  try {
    device = await store.settingOr("device", device);
    ahead = (await store.setting("ahead")) ?? 0;
    muted = (await store.setting("muted")) === true;
    await store.dropExpired(now());
  } catch {
    // A device that keeps nothing scans with network all the same.
  }
  list = await verified(await store.listOf(event).catch(() => null)).catch(() => null);
})();

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

// A list is used only when its signature is right, by the key that came with this page, and as long as its time lasts.
async function verified(given) {
  if (!given || !crypto.subtle) return null;
  const imported = await crypto.subtle.importKey("raw", bytes(page.key), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const right = await crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    imported,
    bytes(given.signature),
    new TextEncoder().encode(given.list),
  );
  const found = right ? JSON.parse(given.list) : null;
  if (found?.eventId !== event || now() >= Date.parse(found.validUntil)) return null;
  return { ...found, tickets: new Map(Object.entries(found.tickets)) };
}

async function hashed(code) {
  const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${event}:${code}`)));
  return btoa(String.fromCharCode(...whole)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}

const entered = (hash) => store.hasEntered(event, hash).catch(() => inside.has(hash));

async function ask(address, options = {}, patience = PATIENCE_MS) {
  const sentAt = Date.now();
  const answer = await fetch(address, {
    ...options,
    headers: { Accept: "application/json", "X-CSRFToken": token, ...options.headers },
    cache: "no-store",
    signal: AbortSignal.timeout(patience),
  });
  compareClocks(answer, sentAt);
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (answer.redirected || answer.status === 404 || (answer.ok && !json)) {
    await leave(); // logged out meanwhile, or no longer allowed to stand here
    throw new Error("not ours");
  }
  if (answer.status >= 500) throw new Error("busy");
  return { ok: answer.ok, stale: answer.status === 403 && !json, body: json ? await answer.json() : { words: "That did not work. Scan again." } };
}

// A page that was opened without network, or before its person logged in again, gets a token first.
async function send(address, options, patience) {
  if (!token) await live();
  const first = await ask(address, { method: "POST", ...options }, patience);
  if (!first.stale) return first;
  await live();
  return ask(address, { method: "POST", ...options }, patience);
}

async function leave() {
  if (leaving) return;
  leaving = true;
  list = null;
  await forgetAll();
  location.assign(here);
}

async function forgetAll() {
  await store.wipe().catch(() => {});
  try {
    localStorage.removeItem("gate");
    sessionStorage.removeItem("gate-sight");
  } catch {
    // Nothing was kept there either.
  }
}

async function fetchList() {
  try {
    const { ok, body } = await ask(`${base}/list?${new URLSearchParams({ gate: gateName, device })}`);
    const fresh = ok ? await verified(body) : null;
    if (fresh) {
      list = fresh;
      await store.keepList(event, body, fresh).catch(() => {});
    }
    connected(true);
  } catch {
    connected(false);
  }
}

function dropOldList() {
  if (list && now() >= Date.parse(list.validUntil)) list = null;
  return store.dropExpired(now()).catch(() => {});
}

// -- The network ------------------------------------------------------------------------------------------------------
let told = "";

function connected(nowOnline) {
  const back = nowOnline && !online;
  online = nowOnline;
  const good = list && now() < Date.parse(list.validUntil);
  const says = online
    ? ""
    : good
      ? `No network. Scanning goes on with the list of ${clock.format(new Date(list.issuedAt))}. Tickets sold or cancelled since are not on it.`
      : "No network, and no good list on this device. Let nobody in by this page; ask a supervisor.";
  if (says !== told) part("network").textContent = told = says;
  part("network").hidden = !says;
  part("ready").textContent = online && good ? `Works without network until ${clock.format(new Date(list.validUntil))}.` : "";
  showWaiting();
  if (back) comeBack();
}

async function comeBack() {
  await sync();
  if (shell) openAnew();
}

async function showWaiting() {
  const count = ((await store.waitingCount().catch(() => 0)) ?? 0) + fallen.length;
  const waiting = part("waiting");
  waiting.hidden = !count;
  waiting.textContent = count
    ? `${count} scan${count === 1 ? "" : "s"} wait${count === 1 ? "s" : ""} to be sent. ` +
      (fallen.length ? "This device is full: keep this page open." : "This device keeps and sends them by itself.")
    : "";
}

// One tab sends; what two send all the same counts once.
async function sync() {
  const work = async () => {
    for (const [of, scans] of batches([...(await store.waiting().catch(() => [])), ...fallen])) await bring(of, scans);
  };
  try {
    await (navigator.locks ? navigator.locks.request("gate-sync", { ifAvailable: true }, (lock) => lock && work()) : work());
  } catch {
    connected(false);
  }
  await showWaiting();
}

// Scans by event and gate, at most so many at once.
function batches(scans) {
  const all = new Map();
  for (const scan of scans) {
    const name = `${scan.event} ${scan.gate}`;
    all.set(name, [...(all.get(name) ?? []), scan]);
  }
  return [...all.values()].flatMap((some) =>
    Array.from({ length: Math.ceil(some.length / MOST_AT_ONCE) }, (_, index) => [
      { event: some[0].event, gate: some[0].gate },
      some.slice(index * MOST_AT_ONCE, (index + 1) * MOST_AT_ONCE),
    ]),
  );
}

async function bring(of, scans) {
  const sentAt = new Date(now()).toISOString();
  const told = scans.map(({ client_id, code, scanned_at, accepted, method, reason, note }) => ({
    client_id, code, scanned_at, accepted, method, reason, note,
  }));
  const { ok, body } = await send(`/gate/${of.event}/sync`, {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ gate: of.gate, device, sent_at: sentAt, scans: told }),
  });
  if (!ok) return;
  const taken = new Map(body.scans.map((one) => [one.client_id, one]));
  const settled = scans.filter((scan) => taken.has(scan.client_id));
  await store.settle(settled.filter((scan) => !fallen.includes(scan)), now()).catch(() => {});
  for (const scan of settled) if (fallen.includes(scan)) fallen.splice(fallen.indexOf(scan), 1);
  const cases = body.scans.filter((one) => one.is_case);
  if (cases.length) show({ kind: "bad", says: "Call a supervisor", words: caseWords(cases) });
}

function caseWords(cases) {
  const whose = cases.map((one) => one.ticket?.holder_name).filter(Boolean).join(", ");
  const [first] = cases;
  const why = first.reason === "double" ? `This ticket came in by ${first.inside_by} too.` : first.words;
  const who = cases.length === 1 ? "Somebody" : `${cases.length} people`;
  return `${who} you let in without network should not be inside${whose ? `: ${whose}` : ""}. ${cases.length === 1 ? why : ""}`.trim();
}

// -- One scan ---------------------------------------------------------------------------------------------------------
// A code that stays in sight is one sight: it is read once, however long somebody holds it there.
// A page that loads again while somebody holds it there still knows.
let sight = { code: "", at: 0 };
let shown = "";
try {
  sight = JSON.parse(sessionStorage.getItem("gate-sight")) ?? sight;
} catch {
  // Then it begins anew.
}

const hasSomethingInSight = () => Math.abs(Date.now() - sight.at) < SIGHT_MS;

function see(code) {
  sight = { code, at: Date.now() };
  try {
    sessionStorage.setItem("gate-sight", JSON.stringify(sight));
  } catch {
    // Then this page alone knows.
  }
}

function stillInSight(code) {
  const same = code === sight.code && hasSomethingInSight();
  see(code);
  return same;
}

const tidy = (text) => text.replace(/\s+/g, "").toUpperCase().replace(/^\][A-Z]\d/, "").slice(0, 200);

// A scanner that was set up for another keyboard types other letters; `keys` is what the same keys are on its own. The list
// knows which of the two is a ticket's code; without it the one that looks like a code comes first.
async function read(text, keys = "") {
  const typed = tidy(text);
  field.value = "";
  if (!typed || stillInSight(typed)) return;
  busy += 1;
  await ready;
  const codes = [...new Set([typed, tidy(keys)])].filter(Boolean);
  if (codes.length > 1) {
    const [own, other] = codes;
    const listed = list ? await Promise.all(codes.map(async (code) => list.tickets.has(await hashed(code)))) : [false, false];
    if (listed[0] !== listed[1]) codes.splice(listed[0] ? 1 : 0, 1);
    else if (!CODE.test(own) && CODE.test(other)) codes.reverse();
    else if (!CODE.test(other)) codes.pop();
  }
  try {
    for (const [index, code] of codes.entries()) if (await scanned(code, index + 1 < codes.length)) break;
  } finally {
    busy -= 1;
    if (sight.code === typed) see(typed); // nobody looked while the answer was on its way
  }
}

// Returns whether that was an answer; when another spelling is left to try, "no ticket has this code" is none.
async function scanned(code, more) {
  const scan = { client_id: newId(), code, scanned_at: new Date(now()).toISOString() };
  if (!online && !navigator.onLine) return alone(scan);
  let answer;
  try {
    answer = await send(
      `${base}/scan`,
      { body: new URLSearchParams({ gate: gateName, device, code, client_id: scan.client_id }) },
      list ? SCAN_PATIENCE_MS : PATIENCE_MS,
    );
  } catch {
    if (leaving) return true;
    connected(false);
    return alone(scan);
  }
  const { ok, body } = answer;
  connected(true);
  if (!ok) {
    show({ kind: "bad", says: "Not read", words: body.words });
    return true;
  }
  if (more && body.reason === "unknown") return false;
  if (body.result === "accepted") await store.noteEntry(event, await hashed(code), Date.parse(body.at)).catch(() => {});
  if (!(body.seen_again && body.id === shown)) show(fromServer(body));
  shown = body.id;
  live();
  return true;
}

function fromServer(scan) {
  const who = scan.ticket
    ? [scan.ticket.category, scan.ticket.seat, scan.ticket.quantity > 1 ? `${scan.ticket.number} of ${scan.ticket.quantity}` : ""]
    : [];
  const since = scan.inside_since ? `Inside since ${clock.format(new Date(scan.inside_since))}, by ${scan.inside_by}.` : "";
  const more = who.filter(Boolean).join(" · ");
  const name = scan.ticket?.holder_name ?? "";
  if (scan.result === "accepted") return { kind: "ok", says: "Welcome in", name, more };
  if (scan.next.includes("identity")) return { kind: "wait", says: "One more check", words: scan.words, name, more, open: scan.id };
  const told = [scan.words, since, scan.reason === "refused" ? scan.note : ""].filter(Boolean).join(" ");
  return { kind: "bad", says: "Stop", words: told, name, more, open: scan.next.length && "supervises" in page ? scan.id : "" };
}

// Without network: the signed list decides, and the scan waits to be sent.
async function alone(scan) {
  connected(false);
  await dropOldList();
  if (!list) {
    show({ kind: "bad", says: "No list", words: "There is no network and no good list on this device. Ask a supervisor." });
    return true;
  }
  const at = now();
  const hash = await hashed(scan.code);
  const letter = list.tickets.get(hash);
  const opens = (letter === "a" || letter === "f") && (await entered(hash)) ? "u" : letter;
  const reason =
    { u: "already_used", n: "unassigned", v: "void", p: "passed_on", x: "refused", f: "id_needed", a: "" }[opens] ?? "unknown";
  const early = (!reason || reason === "id_needed") && at < Date.parse(list.opensAt) ? "not_yet" : reason;
  const late = (!early || early === "id_needed") && at >= Date.parse(list.endsAt) ? "over" : early;
  if (late === "id_needed") {
    show({
      kind: "wait",
      says: "Check an ID",
      words: "Its name must be the holder’s. Faces are not compared without network.",
      accept: () => settle({ ...scan, method: "id", note: "ID looked at without network" }, hash, ""),
    });
    return true;
  }
  await settle(scan, hash, late);
  return true;
}

async function settle(given, hash, reason) {
  const scan = { method: "code", note: "", ...given, event, gate: gateName, hash, accepted: !reason, reason };
  let unsafe = "";
  try {
    if (!(await store.keepScan(scan))) return settle({ ...given, client_id: newId() }, hash, "already_used");
  } catch {
    fallen.push(scan);
    if (!reason) inside.add(hash);
    unsafe = "This device is full: keep this page open until the network is back.";
  }
  showWaiting();
  show(
    reason
      ? { kind: "bad", says: "Stop", words: inWords(reason), more: unsafe }
      : { kind: "ok", says: "Welcome in", words: "Without network.", more: unsafe },
  );
}

function inWords(reason) {
  return reason === "not_yet" ? `The gate opens at ${clock.format(new Date(list.opensAt))}.` : words[reason];
}

// -- The answer -------------------------------------------------------------------------------------------------------
const panel = part("answer");
const SIGNS = { ok: "✓", bad: "✕", wait: "?" };
let closing = 0;
let accept = null;

function show({ kind, says, words: told = "", name = "", more = "", open = "", accept: accepting = null }) {
  clearTimeout(closing);
  accept = accepting;
  panel.className = `gate-answer ${kind}`;
  part("sign").textContent = SIGNS[kind];
  part("says").textContent = says;
  part("answer-words").textContent = told;
  part("answer-name").textContent = name;
  part("answer-more").textContent = more;
  part("answer-open").hidden = !open;
  part("answer-open").textContent = kind === "wait" ? "Check face or ID" : "Decide";
  part("answer-open").href = open ? `${here}&scan=${open}` : "#";
  part("answer-id").hidden = !accepting;
  panel.hidden = false;
  hush(true);
  panel.focus();
  sound(kind);
  if (kind === "ok") closing = setTimeout(close, 2500);
}

// While an answer is shown nothing behind it is reached.
function hush(on) {
  const others = [...gate.children, ...document.querySelectorAll("body > :not(main, script)")];
  for (const one of others) if (one !== panel) one.inert = on;
}

function close() {
  clearTimeout(closing);
  panel.hidden = true;
  hush(false);
  if (!gate.querySelector("details[open] input:focus, #q:focus") && matchMedia("(pointer: fine)").matches) field.focus();
}

part("answer-close").addEventListener("click", close);
part("answer-id").addEventListener("click", () => {
  const accepting = accept;
  close();
  accepting?.();
});

// A scanner types wherever it is; what it types while nothing else is being written is a code. What the keys are on a keyboard
// without a layout is kept beside what they typed.
let keys = "";

function keyOf(press) {
  return /^(?:Key|Digit|Numpad)([0-9A-Z])$/.exec(press.code)?.[1] ?? "?";
}

document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey) return;
  if (press.key === "Escape" && !panel.hidden) return close();
  const types = (press.key.length === 1 && press.key !== " ") || press.key === "Dead";
  const elsewhere = press.target !== field && press.target.closest("input, textarea, select");
  if (!types || elsewhere) return;
  if (!panel.hidden) close();
  if (press.target !== field) field.focus();
  keys = (field.value ? keys : "") + keyOf(press);
});

form.addEventListener("submit", (sent) => {
  sent.preventDefault();
  const other = keys.length >= 8 && !keys.includes("?") ? keys : "";
  keys = "";
  read(field.value, other);
});

// A scanner may have typed into the search.
part("search")?.addEventListener("submit", (sent) => {
  const code = tidy(sent.target.elements.q.value);
  if (!CODE.test(code)) return;
  sent.preventDefault();
  sent.target.reset();
  read(code);
});

// -- Sound ------------------------------------------------------------------------------------------------------------
const button = part("sound");
let audio = null;
const TONES = { ok: [[880, 0.09], [1320, 0.16]], bad: [[220, 0.22], [160, 0.34]], wait: [[560, 0.14], [560, 0.14]] };
button.hidden = false;
ready.then(() => button.setAttribute("aria-pressed", String(!muted)));
button.addEventListener("click", () => {
  muted = !muted;
  store.keepSetting("muted", muted).catch(() => {});
  button.setAttribute("aria-pressed", String(!muted));
});

function sound(kind) {
  if (muted) return;
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(kind === "ok" ? 80 : [120, 80, 120]);
  try {
    audio ??= new AudioContext();
    let at = audio.currentTime;
    for (const [pitch, length] of TONES[kind]) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = pitch;
      tone.type = kind === "bad" ? "square" : "sine";
      volume.gain.setValueAtTime(0.25, at);
      volume.gain.exponentialRampToValueAtTime(0.001, at + length);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + length);
      at += length + 0.03;
    }
  } catch {
    // A device without sound still shows the answer.
  }
}

// -- Camera -----------------------------------------------------------------------------------------------------------
const camera = part("camera");
const view = part("camera-view");
const said = part("camera-words");
const canvas = document.createElement("canvas");
const SIDE = 640;
let stream = null;
let detect = null;
let fetched = 0;

if (navigator.mediaDevices?.getUserMedia) {
  camera.hidden = false;
  prepare();
}

// The browser's own reader where there is one; else ours, fetched while there is network.
async function prepare() {
  const formats = (await window.BarcodeDetector?.getSupportedFormats?.().catch(() => [])) ?? [];
  if (formats.includes("qr_code")) {
    const reader = new BarcodeDetector({ formats: ["qr_code"] });
    detect = async () => (await reader.detect(view))[0]?.rawValue;
    return;
  }
  // Without network now, it is fetched when the camera is switched on: by another name, as browsers remember what failed.
  const { default: decode } = await import(`${page.decoder}#${(fetched += 1)}`).catch(() => ({}));
  if (!decode) return;
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  detect = async () => {
    const scale = Math.min(1, SIDE / Math.max(view.videoWidth, view.videoHeight));
    canvas.width = Math.round(view.videoWidth * scale);
    canvas.height = Math.round(view.videoHeight * scale);
    brush.drawImage(view, 0, 0, canvas.width, canvas.height);
    try {
      return decode(brush.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      return undefined; // no code in this picture
    }
  };
}

camera.addEventListener("click", async () => {
  if (stream) return stop();
  await watch();
});

async function watch() {
  if (!detect) await prepare();
  if (!detect) {
    said.textContent = "The reader of codes could not be fetched without network. Type the code.";
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch {
    said.textContent = "The camera can not be used. Allow it in the browser, or type the code.";
    return;
  }
  view.srcObject = stream;
  view.hidden = false;
  await view.play();
  camera.setAttribute("aria-pressed", "true");
  said.textContent = "Hold the code in the picture.";
  rememberCamera(true);
  const [track] = stream.getVideoTracks();
  light.hidden = !track.getCapabilities?.().torch;
  track.addEventListener("ended", stop);
  look();
}

const light = part("light");
light.addEventListener("click", async () => {
  const on = light.getAttribute("aria-pressed") !== "true";
  await stream?.getVideoTracks()[0].applyConstraints({ advanced: [{ torch: on }] }).catch(() => {});
  light.setAttribute("aria-pressed", String(on));
});

// A page that loads again goes on looking.
function rememberCamera(on) {
  try {
    if (on) sessionStorage.setItem("gate-camera", "on");
    else sessionStorage.removeItem("gate-camera");
  } catch {
    // Then it has to be pressed again.
  }
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  view.hidden = true;
  light.hidden = true;
  light.setAttribute("aria-pressed", "false");
  camera.setAttribute("aria-pressed", "false");
  said.textContent = "";
  rememberCamera(false);
}

async function look() {
  if (!stream) return;
  if (detect && view.videoWidth && !document.hidden) {
    const code = await detect().catch(() => undefined);
    // A red or amber answer stays until somebody has seen it; a green one makes way for the next code.
    const open = !panel.hidden && !panel.classList.contains("ok");
    if (code && !open) await read(code);
    else if (code && tidy(code) === sight.code) see(sight.code);
  }
  setTimeout(look, 160);
}

// The screen stays on while somebody scans.
async function stayAwake() {
  if (!document.hidden) await navigator.wakeLock?.request("screen").catch(() => {});
}
document.addEventListener("visibilitychange", stayAwake);
stayAwake();

// -- Counters ---------------------------------------------------------------------------------------------------------
async function live() {
  try {
    const { ok, body } = await ask(`${base}/counters`);
    if (ok) {
      token = body.token;
      count(body);
      if (body.version !== page.version) renew();
    }
    connected(true);
  } catch {
    if (!leaving) connected(false);
  }
}

function count(body) {
  for (const name of ["inside", "outside", "expected", "refused"]) part(name).textContent = body[name];
  part("bar").max = body.expected || 1;
  part("bar").value = body.inside;
  part("gates").replaceChildren(...body.gates.map((one) => row(one.gate, one.inside)));
  part("categories").replaceChildren(...body.categories.map((one) => row(one.category, `${one.inside} of ${one.expected}`)));
  part("counts").hidden = false;
  const calls = part("calls");
  if (calls) calls.hidden = body.cases + body.reviews <= Number(calls.dataset.calls);
}

function row(name, number) {
  const line = document.createElement("li");
  const [label, value] = [document.createElement("span"), document.createElement("b")];
  label.textContent = name;
  value.textContent = number;
  line.append(label, value);
  return line;
}

// -- Another version of this page, and the way from the shell to the page itself --------------------------------------
function isIdle() {
  const written = [...gate.querySelectorAll("input:not([type=hidden]), select")].some((one) => one.value && one.id !== "q");
  return online && panel.hidden && !busy && !hasSomethingInSight() && !fallen.length && !written;
}

async function renew() {
  await navigator.serviceWorker?.getRegistration("/gate").then((known) => known?.update()).catch(() => {});
  openAnew();
}

let opening = 0;
function openAnew() {
  clearTimeout(opening);
  opening = setTimeout(() => (isIdle() ? location.assign(here) : openAnew()), 1000);
}

addEventListener("online", live);
addEventListener("offline", () => connected(false));
addEventListener("beforeunload", (going) => {
  if (fallen.length) going.preventDefault();
});

// At the end of a shift everything is sent, then nothing stays on this device.
const ending = part("end-shift");
ending?.addEventListener("submit", async (sent) => {
  sent.preventDefault();
  await sync();
  const left = ((await store.waitingCount().catch(() => 0)) ?? 0) + fallen.length;
  if (left || !online) {
    part("end-words").textContent = left
      ? `${left} scan${left === 1 ? " is" : "s are"} not sent yet. End the shift where there is network.`
      : "There is no network. End the shift where there is.";
    return;
  }
  leaving = true;
  list = null;
  await forgetAll();
  ending.submit();
});

// -- Beginning --------------------------------------------------------------------------------------------------------
// The page itself tells this device what the shell will need.
async function introduce() {
  const known = await store.events().catch(() => []);
  if (known.some((one) => one.staff !== page.staff)) {
    list = null;
    await store.wipe().catch(() => {}); // another person's shift
  }
  const gates = new Set([gateName, ...(known.find((one) => one.event === event && one.staff === page.staff)?.gates ?? [])]);
  const own = { event, name: page.name, timezone: page.timezone, staff: page.staff, gates: [...gates] };
  await store.keepEvent(own).catch(() => {});
  try {
    localStorage.setItem("gate", "kept"); // any page of the site then knows that there is something to forget
  } catch {
    // Then the list's time alone ends it.
  }
  navigator.serviceWorker?.register(page.worker, { scope: "/gate", updateViaCache: "none" }).catch(() => {});
  navigator.storage?.persist?.().catch(() => {});
}

// The shell without an event or a gate: where this device has stood.
async function choose() {
  const known = await store.events().catch(() => []);
  part("scanning").hidden = true;
  part("choice").hidden = false;
  part("choice-none").hidden = known.length > 0;
  part("choices").replaceChildren(
    ...known.flatMap((one) =>
      one.gates.map((name) => {
        const line = document.createElement("li");
        const way = document.createElement("a");
        way.className = "card";
        way.href = `/gate/${one.event}?gate=${encodeURIComponent(name)}`;
        way.textContent = `${one.name}: ${name}`;
        line.append(way);
        return line;
      }),
    ),
  );
}

async function begin() {
  await ready;
  const known = shell ? await store.eventOf(event).catch(() => null) : null;
  if (shell) {
    if (!known || !gateName) return choose();
    part("title").textContent = known.name;
    part("standing").textContent = gateName;
    document.title = `Gate ${gateName}: ${known.name}`;
    clock = clockIn(known.timezone);
  } else {
    await introduce();
  }
  connected(online);
  setInterval(() => {
    dropOldList();
    if (!document.hidden || !online) live();
    if (online) sync();
  }, LIVE_MS);
  setInterval(fetchList, LIST_MS);
  let watched = null;
  try {
    watched = sessionStorage.getItem("gate-camera");
  } catch {
    // Nothing is remembered.
  }
  if (watched && !camera.hidden) watch();
  await fetchList();
  await sync();
  if (shell && online) openAnew();
}

begin();
