// The gate: scans by camera, scanner or keyboard, a big answer, and going on without network.
// Without this script the same forms work, one page per answer.

const gate = document.querySelector("[data-gate]");
const part = (name) => gate.querySelector(`[data-${name}]`);
const form = part("scanner");
const field = form.elements.code;
const words = JSON.parse(document.getElementById("gate-words").textContent);
const { event, key } = gate.dataset;
const token = form.elements.csrfmiddlewaretoken.value;
const SAME_CODE_MS = 3000;
const PATIENCE_MS = 6000;
const LIST_MS = 120000;
const LIVE_MS = 10000;
const MOST_AT_ONCE = 200;
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  timeZone: gate.dataset.timezone,
});

// -- What this device keeps: its name, the signed list, scans that wait -----------------------------------------------
const names = { list: `gate:${event}:list`, queue: `gate:${event}:queue`, device: "gate:device", mute: "gate:mute" };
const kept = (name) => {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
};
const keep = (name, value) => {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
};
const newId = () =>
  crypto.randomUUID?.() ??
  "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
    (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16),
  );
let device = kept(names.device);
if (!device) keep(names.device, (device = newId().slice(0, 8)));
let queue = kept(names.queue) ?? [];
let list = null;
let online = navigator.onLine;
let syncing = false;

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

// A list is used only when its signature is right, by the key that came with this page.
async function verified(given) {
  if (!given || !crypto.subtle) return null;
  const imported = await crypto.subtle.importKey("raw", bytes(key), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const right = await crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    imported,
    bytes(given.signature),
    new TextEncoder().encode(given.list),
  );
  const found = right ? JSON.parse(given.list) : null;
  return found?.eventId === event ? { ...found, tickets: new Map(Object.entries(found.tickets)) } : null;
}

async function hashed(code) {
  const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${event}:${code}`)));
  return btoa(String.fromCharCode(...whole)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}

async function ask(address, options = {}) {
  const answer = await fetch(address, {
    ...options,
    headers: { Accept: "application/json", "X-CSRFToken": token, ...options.headers },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (answer.redirected || (answer.ok && !json)) {
    location.reload(); // logged out meanwhile
    throw new Error("logged out");
  }
  if (answer.status >= 500) throw new Error("busy");
  return { ok: answer.ok, body: json ? await answer.json() : { words: "That did not work. Scan again." } };
}

async function fetchList() {
  try {
    const query = new URLSearchParams({ gate: gate.dataset.gate, device });
    const { ok, body } = await ask(`${gate.dataset.list}?${query}`);
    const fresh = ok ? await verified(body) : null;
    if (fresh) {
      list = fresh;
      keep(names.list, body);
      await remember();
    }
    connected(true);
  } catch {
    connected(false);
  }
}

// What this device let in and could not tell yet is inside, whatever an older list says.
async function remember() {
  for (const one of queue) if (one.accepted) list?.tickets.set(await hashed(one.code), "u");
}

function connected(now) {
  const back = now && !online;
  online = now;
  part("offline").hidden = online;
  const waiting = part("waiting");
  waiting.hidden = !queue.length;
  waiting.textContent = queue.length
    ? `${queue.length} scan${queue.length === 1 ? "" : "s"} wait${queue.length === 1 ? "s" : ""} to be sent. Keep this page open.`
    : "";
  if (!online) {
    const good = list && Date.now() < Date.parse(list.validUntil);
    part("offline-words").textContent = good
      ? `Scanning goes on with the list of ${clock.format(new Date(list.issuedAt))}. Tickets sold or cancelled since are not on it.`
      : "There is no list on this device that is good. Let nobody in by this page; ask a supervisor.";
  }
  if (back) sync();
}

async function sync() {
  if (syncing || !queue.length) return;
  syncing = true;
  try {
    const scans = queue.slice(0, MOST_AT_ONCE);
    const { ok, body } = await ask(gate.dataset.sync, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ gate: gate.dataset.gate, device, scans }),
    });
    if (ok) {
      const taken = new Set(body.scans.map((one) => one.client_id));
      queue = queue.filter((one) => !taken.has(one.client_id));
      keep(names.queue, queue);
      const cases = body.scans.filter((one) => one.is_case);
      if (cases.length) show({ kind: "bad", says: "Call a supervisor", words: caseWords(cases) });
    }
    connected(true);
  } catch {
    connected(false);
  } finally {
    syncing = false;
  }
}

function caseWords(cases) {
  const whose = cases.map((one) => one.ticket?.holder_name).filter(Boolean).join(", ");
  return `${cases.length} you let in without network should not be inside${whose ? `: ${whose}` : ""}. ${cases[0].words}`;
}

// -- One scan ---------------------------------------------------------------------------------------------------------
let last = { code: "", at: 0 };

async function read(text) {
  const code = text.replace(/\s+/g, "").toUpperCase().slice(0, 200);
  field.value = "";
  if (!code || (code === last.code && Date.now() - last.at < SAME_CODE_MS)) return;
  last = { code, at: Date.now() };
  const scan = { client_id: newId(), code, scanned_at: new Date().toISOString() };
  if (!online && !navigator.onLine) return alone(scan);
  try {
    const { ok, body } = await ask(gate.dataset.scan, {
      method: "POST",
      body: new URLSearchParams({ gate: gate.dataset.gate, device, code, client_id: scan.client_id }),
    });
    connected(true);
    if (!ok) return show({ kind: "bad", says: "Not read", words: body.words });
    if (body.result === "accepted" && list) list.tickets.set(await hashed(code), "u");
    show(fromServer(body));
    live();
  } catch {
    connected(false);
    alone(scan);
  }
}

function fromServer(scan) {
  const who = scan.ticket
    ? [scan.ticket.category, scan.ticket.seat, `${scan.ticket.number} of ${scan.ticket.quantity}`]
    : [];
  const since = scan.inside_since ? `Inside since ${clock.format(new Date(scan.inside_since))}, by ${scan.inside_by}.` : "";
  const more = who.filter(Boolean).join(" · ");
  const name = scan.ticket?.holder_name ?? "";
  if (scan.result === "accepted") return { kind: "ok", says: "Welcome in", name, more };
  if (scan.next.length) return { kind: "wait", says: "One more check", words: scan.words, name, more, open: scan.id };
  return { kind: "bad", says: "Stop", words: `${scan.words} ${since}`.trim(), name, more };
}

// Without network: the signed list decides, and the scan waits to be sent.
async function alone(scan) {
  connected(false);
  const now = Date.now();
  if (!list || now >= Date.parse(list.validUntil)) {
    return show({ kind: "bad", says: "No list", words: "There is no network and no good list on this device. Ask a supervisor." });
  }
  const hash = await hashed(scan.code);
  const letter = list.tickets.get(hash);
  const reason =
    { u: "already_used", n: "unassigned", v: "void", f: "id_needed", a: "" }[letter] ?? "unknown";
  const early = !reason && now < Date.parse(list.opensAt) ? "not_yet" : reason;
  const late = !early && now >= Date.parse(list.endsAt) ? "over" : early;
  if (late === "id_needed") {
    return show({
      kind: "wait",
      says: "Check an ID",
      words: "Its name must be the holder’s. Faces are not compared without network.",
      accept: () => settle({ ...scan, method: "id", note: "ID looked at without network" }, hash, ""),
    });
  }
  settle(scan, hash, late);
}

function settle(scan, hash, reason) {
  queue.push({ ...scan, accepted: !reason, reason });
  if (!reason) list.tickets.set(hash, "u");
  const safe = keep(names.queue, queue);
  connected(false);
  const unsafe = safe ? "" : "This device is full: keep this page open until the network is back.";
  show(
    reason
      ? { kind: "bad", says: "Stop", words: words[reason], more: unsafe }
      : { kind: "ok", says: "Welcome in", words: "Without network.", more: unsafe },
  );
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
  part("answer-open").href = open ? `${gate.dataset.here}&scan=${open}` : "#";
  part("answer-id").hidden = !accepting;
  panel.hidden = false;
  panel.focus();
  sound(kind);
  if (kind === "ok") closing = setTimeout(close, 2500);
}

function close() {
  clearTimeout(closing);
  panel.hidden = true;
  if (!gate.querySelector("details[open] input:focus, #q:focus") && matchMedia("(pointer: fine)").matches) field.focus();
}

part("answer-close").addEventListener("click", close);
part("answer-id").addEventListener("click", () => {
  const accepting = accept;
  close();
  accepting?.();
});

// A scanner types wherever it is; what it types while nothing else is being written is a code.
document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey) return;
  if (press.key === "Escape" && !panel.hidden) return close();
  if (press.target.closest("input, textarea, select")) return;
  if (press.key.length === 1 && press.key !== " ") {
    if (!panel.hidden) close();
    field.focus();
  }
});

form.addEventListener("submit", (sent) => {
  sent.preventDefault();
  read(field.value);
});

// -- Sound ------------------------------------------------------------------------------------------------------------
const button = part("sound");
let muted = kept(names.mute) === true;
let audio = null;
const TONES = { ok: [[880, 0.09], [1320, 0.16]], bad: [[220, 0.22], [160, 0.34]], wait: [[560, 0.14], [560, 0.14]] };
button.hidden = false;
button.setAttribute("aria-pressed", String(!muted));
button.addEventListener("click", () => {
  muted = !muted;
  keep(names.mute, muted);
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
  const { default: decode } = await import(`${gate.dataset.decoder}#${(fetched += 1)}`).catch(() => ({}));
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
  look();
});

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  view.hidden = true;
  camera.setAttribute("aria-pressed", "false");
  said.textContent = "";
}

async function look() {
  if (!stream) return;
  if (detect && panel.hidden && view.videoWidth && !document.hidden) {
    const code = await detect().catch(() => undefined);
    if (code) await read(code);
  }
  setTimeout(look, 160);
}

// -- Counters ---------------------------------------------------------------------------------------------------------
async function live() {
  try {
    const { ok, body } = await ask(gate.dataset.counters);
    connected(true);
    if (!ok) return;
    for (const name of ["inside", "expected", "refused"]) part(name).textContent = body[name];
    part("bar").max = body.expected || 1;
    part("bar").value = body.inside;
    part("gates").replaceChildren(
      ...body.gates.map((one) => {
        const row = document.createElement("li");
        const [name, count] = [document.createElement("span"), document.createElement("b")];
        name.textContent = one.gate;
        count.textContent = one.inside;
        row.append(name, count);
        return row;
      }),
    );
  } catch {
    connected(false);
  }
}

addEventListener("online", live);
addEventListener("offline", () => connected(false));
addEventListener("beforeunload", (leaving) => {
  if (!online && queue.length) leaving.preventDefault();
});
setInterval(() => {
  if (!document.hidden) live();
  if (online) sync();
}, LIVE_MS);
setInterval(fetchList, LIST_MS);

list = await verified(kept(names.list)).catch(() => null);
await remember();
await fetchList();
await sync();
