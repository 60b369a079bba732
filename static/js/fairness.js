// Checks a line in the browser, from what is published alone: the same steps and words as bookings/waitingroom/verify.py.
// Tests hold both to the same breaches. Hashes come from WebCrypto; nothing that is checked leaves the browser.

const FORMAT = "fairseat-line-1";
const SEED_BYTES = 32;
const GENESIS = "00".repeat(32);
const BATCH = 2000;
const PAGE = 10_000;

export class Breach extends Error {
  constructor(step, text) {
    super(text);
    this.step = step;
  }
}

const need = (holds, step, text) => {
  if (!holds) throw new Breach(step, text);
};
const isHex = (text, size = 0) => /^(?:[0-9a-f]{2})+$/.test(text) && typeof text === "string" && (!size || text.length === 2 * size);
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

// RFC 9162, 2.1.1: leaves and nodes are hashed apart, so neither passes for the other.
const leafHash = (entry) => sha256([0], bytes(entry));
const nodeHash = (left, right) => sha256([1], left, right);

/** Calls `make(item, index)` for all items, some thousands at a time, and tells how far it is. */
async function inBatches(items, make, tell = () => {}) {
  const made = [];
  for (let at = 0; at < items.length; at += BATCH) {
    made.push(...(await Promise.all(items.slice(at, at + BATCH).map((item, index) => make(item, at + index)))));
    tell(made.length / items.length);
  }
  return made;
}

export async function merkleRoot(entries, tell) {
  if (!entries.length) return hex(await sha256([]));
  let level = await inBatches(entries, leafHash, tell);
  while (level.length > 1) {
    const pairs = [];
    for (let at = 0; at + 1 < level.length; at += 2) pairs.push([level[at], level[at + 1]]);
    const above = await inBatches(pairs, ([left, right]) => nodeHash(left, right));
    if (level.length % 2) above.push(level.at(-1));
    level = above;
  }
  return hex(level[0]);
}

// RFC 9162, 2.1.3.2.
export async function verifyProof({ entry, index, size, proof, root }) {
  if (!(index >= 0 && index < size)) return false;
  let node = index;
  let last = size - 1;
  let hashed = await leafHash(entry);
  for (const text of proof) {
    if (last === 0) return false;
    const sibling = bytes(text);
    if (node % 2 || node === last) {
      hashed = await nodeHash(sibling, hashed);
      while (node % 2 === 0 && node) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
    } else {
      hashed = await nodeHash(hashed, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && hex(hashed) === root;
}

export const commitment = async (seed) => hex(await sha256(bytes(seed)));

/** Returns a function that draws for an entry: the first 52 bits of HMAC-SHA256 under seed ‖ root ‖ beacon, as 13 hex digits. */
export async function drawing(seed, root, beacon = "") {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(seed + root + beacon), algorithm, false, ["sign"]);
  return async (entry) => hex((await crypto.subtle.sign("HMAC", key, bytes(entry))).slice(0, 7)).slice(0, 13);
}

/** Returns the entries in the order of their draws; equal draws by entry. */
export async function order(seed, root, entries, beacon, tell) {
  const draw = await drawing(seed, root, beacon);
  const drawn = await inBatches(entries, async (entry) => (await draw(entry)) + entry, tell);
  return drawn.sort().map((text) => text.slice(13));
}

/** RFC 8785, for what a chain may hold: keys sorted, no spaces, whole numbers only. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value).sort();
    return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new TypeError(`${value} can not stand in a chain.`);
  return JSON.stringify(value);
}

export async function chainHash(previous, content) {
  return hex(await sha256([2], bytes(previous), new TextEncoder().encode(canonical(content))));
}

/**
 * Goes through the steps and calls `tell(step, text, share)`: with a share while one is under way, without one when it held.
 * Throws a Breach at the first thing that is not as it must be.
 */
export async function verify(published, tell = () => {}) {
  try {
    await steps(published, tell);
  } catch (problem) {
    if (problem instanceof Breach || problem instanceof DOMException) throw problem;
    throw new Breach("file", `The file is not put together as it must be: ${problem.message}.`);
  }
}

async function steps(published, tell) {
  need(published.format === FORMAT, "file", `This is no ${FORMAT} file.`);
  for (const name of ["eventId", "commitment", "seed", "root", "beacon"]) {
    need(typeof published[name] === "string", "file", `\`${name}\` is missing.`);
  }
  for (const name of ["entries", "chain"]) need(Array.isArray(published[name]), "file", `\`${name}\` is missing.`);
  tell("chain", await checkChain(published, (share) => tell("chain", "", share)));
  if (!published.seed) {
    need(!published.entries.length && !published.root, "seed", "There is a list, but no seed was revealed.");
    if (published.chain.some((link) => link.kind === "open")) {
      tell("draw", "There was no lobby and no draw: first come, first served.");
      tell("moves", checkMoves(published));
    } else {
      tell("draw", "The draw has not been held yet: only the promise and the chain can be checked.");
    }
    return;
  }
  tell("seed", await checkSeed(published));
  tell("list", await checkList(published, (share) => tell("list", "", share)));
  tell("order", await checkOrder(published, (share) => tell("order", "", share)));
  tell("moves", checkMoves(published));
}

async function checkChain(published, tell) {
  const { chain } = published;
  let previous = GENESIS;
  let before = "";
  for (const [index, link] of chain.entries()) {
    const number = index + 1;
    for (const name of ["number", "at", "kind", "payload", "previous", "hash"]) {
      need(link !== null && typeof link === "object" && name in link, "chain", `Link ${number} has no \`${name}\`.`);
    }
    need(link.number === number, "chain", `Link ${number} is missing: number ${link.number} stands in its place.`);
    need(link.previous === previous, "chain", `Link ${number} does not follow the link before it.`);
    const content = { event: published.eventId, number, at: link.at, kind: link.kind, payload: link.payload };
    need(link.hash === (await chainHash(previous, content)), "chain", `Link ${number} was changed: its hash differs.`);
    need(link.at >= before, "chain", `Link ${number} is older than the link before it.`);
    previous = link.hash;
    before = link.at;
    if (number % 100 === 0) tell(number / chain.length);
  }
  const recorded = [["commitment", "lobby"], ...["seed", "root", "beacon", "commitment"].map((name) => [name, "draw"])];
  for (const [name, kind] of recorded) {
    const links = chain.filter((link) => link.kind === kind);
    need(links.length <= 1, "chain", `There are ${links.length} links \`${kind}\`; a line is opened once.`);
    for (const link of links) {
      const same = link.payload[name] === published[name];
      need(same, "chain", `The ${name} is not the one that link ${link.number} recorded.`);
    }
  }
  const drawn = chain.some((link) => link.kind === "draw");
  need(drawn === Boolean(published.seed), "chain", "The chain and the file disagree about whether the draw was held.");
  return `${chain.length} links, none missing, none changed.`;
}

async function checkSeed(published) {
  need(isHex(published.seed, SEED_BYTES), "seed", `The seed is not ${SEED_BYTES} bytes of hex.`);
  const kept = (await commitment(published.seed)) === published.commitment;
  need(kept, "seed", "The seed is not the one that was promised before the lobby opened.");
  return "The revealed seed is the one promised before the lobby opened.";
}

async function checkList(published, tell) {
  const { entries } = published;
  entries.forEach((entry, index) => need(isHex(entry), "list", `Place ${index + 1} holds no entry.`));
  const { size } = published.chain.find((link) => link.kind === "draw").payload;
  need(entries.length === size, "list", `The list has ${entries.length} entries, ${size} were in the lobby at opening.`);
  const sorted = [...entries].sort();
  for (let at = 1; at < sorted.length; at += 1) {
    need(sorted[at - 1] !== sorted[at], "list", `Entry ${sorted[at]} is on the list twice.`);
  }
  const same = (await merkleRoot(sorted, tell)) === published.root;
  need(same, "list", "The list is not the one whose root was published at opening.");
  return `${entries.length} entries, each once, under the published root.`;
}

async function checkOrder(published, tell) {
  const { entries, seed, root, beacon } = published;
  const computed = await order(seed, root, entries, beacon, tell);
  for (const [index, entry] of computed.entries()) {
    const text = `Place ${index + 1} belongs to ${entry}, the list gives it to ${entries[index]}.`;
    need(entries[index] === entry, "order", text);
  }
  return "Every place follows from the seed and the list.";
}

// The line as the chain tells it, played again move by move.
class Line {
  constructor(entries) {
    this.size = entries.length;
    this.order = entries.map((entry, key) => [key, entry]); // places from 0, then who came late
    this.keys = new Map(this.order.map(([key, entry]) => [entry, key]));
    this.standing = new Map(entries.map((entry) => [entry, "waiting"]));
    this.since = new Map(); // the link in which somebody was called or went away
    [this.head, this.late, this.restored, this.calls, this.byStaff] = [0, 0, 0, 0, 0];
  }

  play(link) {
    this.link = link.number;
    if (link.kind === "restored") this.restored = this.link;
    if (link.kind !== "moves") return;
    const rewound = Boolean(link.payload.rewound);
    for (const [move, entry, number] of link.payload.moves) {
      if (entry === undefined) throw new RangeError("list index out of range");
      const now = this.standing.get(entry);
      if (move === "joined" || move === "restored") {
        this.join(move, entry, number, now);
      } else if (move === "staff") {
        if (now === undefined) this.insert(entry, number);
        this.byStaff += 1;
        this.set(entry, "called");
      } else if (move === "regained") {
        need(this.restored > 0, "moves", `In link ${this.link} ${entry} regained a turn, but nothing was lost.`);
        this.set(entry, "called");
      } else {
        need(now !== undefined, "moves", `In link ${this.link} ${entry} was ${move} who never joined.`);
        if (move === "called") {
          this.call(entry, now, rewound);
        } else if (move === "parked" || move === "missed") {
          this.set(entry, "away");
        } else if (move === "back") {
          need(now === "away" || rewound, "moves", `In link ${this.link} ${entry} came back who was not away.`);
          this.set(entry, "waiting");
        } else {
          this.set(entry, "gone");
        }
      }
    }
  }

  // Where a key stands, or would stand, in the order.
  at(key) {
    let [low, high] = [0, this.order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.order[middle][0] < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  set(entry, standing) {
    this.standing.set(entry, standing);
    this.since.set(entry, this.link);
    if (standing === "waiting") this.head = Math.min(this.head, this.at(this.keys.get(entry)));
  }

  insert(entry, number) {
    const key = this.size + number - 1;
    this.keys.set(entry, key);
    this.order.splice(this.at(key), 0, [key, entry]);
    this.set(entry, "waiting");
  }

  join(move, entry, number, now) {
    const fresh = now === undefined || now === "gone" || (this.since.get(entry) ?? 0) < this.restored;
    need(fresh, "moves", `In link ${this.link} ${entry} joined a second time.`);
    if (move === "joined") {
      need(number > this.late, "moves", `In link ${this.link} ${entry} joined in front of somebody.`);
      this.late = number;
    } else {
      need(this.restored > 0, "moves", `In link ${this.link} ${entry} got a place back, but nothing was lost.`);
    }
    this.insert(entry, number);
  }

  call(entry, now, rewound) {
    this.calls += 1;
    if (now !== "waiting") {
      const again = this.since.get(entry) <= this.restored && (rewound || now === "called" || now === "away");
      need(again, "moves", `In link ${this.link} ${entry} was let in who was ${now} already.`);
    } else if (!rewound) {
      const [key, first] = this.first();
      const mine = this.keys.get(entry);
      const text = `In link ${this.link} ${entry} (place ${mine + 1}) was let in before ${first} (place ${key + 1}).`;
      need(first === entry, "moves", text);
    }
    this.set(entry, "called");
  }

  // Who joined again stands at their last place only.
  first() {
    for (;;) {
      const [key, entry] = this.order[this.head];
      if (this.standing.get(entry) === "waiting" && this.keys.get(entry) === key) return [key, entry];
      this.head += 1;
    }
  }
}

function checkMoves(published) {
  const line = new Line(published.entries);
  for (const link of published.chain) line.play(link);
  return `${line.calls} people were let in, each when it was their turn; staff let in ${line.byStaff}.`;
}

/** Fetches everything that is published of a line, a piece at a time. */
export async function download(address, tell = () => {}) {
  let published;
  let [entries, chain] = [[], []];
  for (;;) {
    const wanted = new URLSearchParams({ first: entries.length + 1, count: PAGE, after: chain.length, links: 200 });
    const answer = await fetch(`${address}?${wanted}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`The site answered ${answer.status}. Try again in a moment.`);
    const { data } = await answer.json();
    // The chain goes on growing while it is read: what was there at first is checked.
    published ??= data;
    entries = entries.concat(data.entries);
    chain = chain.concat(data.chain).slice(0, published.head.number);
    tell((entries.length + chain.length) / Math.max(1, published.size + published.head.number));
    if (entries.length >= published.size && chain.length >= published.head.number) break;
    if (!data.entries.length && !data.chain.length) break;
  }
  return { ...published, entries, chain };
}

/** Checks one person's receipt against what is published, and returns what held in a sentence. */
export async function verifyReceipt(receipt, published) {
  const { entry, place, proof, leaf, size, root, late } = receipt;
  for (const name of ["commitment", "seed", "root", "beacon"]) {
    need(receipt[name] === published[name], "mine", `The ${name} on your receipt is not the published one.`);
  }
  const known = published.chain[receipt.chain.number - 1];
  const same = receipt.chain.number === 0 || known?.hash === receipt.chain.hash;
  need(same, "mine", `Link ${receipt.chain.number} of the book is not the one that your receipt names.`);
  if (place) {
    const listed = published.entries[place - 1] === entry;
    need(listed, "mine", `Place ${place} belongs to ${published.entries[place - 1]}, not to you.`);
    const proven = await verifyProof({ entry, index: leaf, size, proof, root });
    need(proven, "mine", "The proof does not lead from your entry to the published list.");
    const draw = await drawing(published.seed, published.root, published.beacon);
    need(parseInt(await draw(entry), 16) === receipt.draw, "mine", "Your draw is another one.");
    return `Your entry is on the list, and your draw gives it place ${place} of ${size}.`;
  }
  if (late) {
    const moves = published.chain.filter((link) => link.kind === "moves").flatMap((link) => link.payload.moves);
    const told = moves.some((move) => move[1] === entry && move[2] === late);
    need(told, "mine", `The book does not say that you came with number ${late}.`);
    return `The book says that you came after the draw with number ${late}.`;
  }
  return "Your place is drawn when the sale opens. The promise on your receipt is the published one.";
}

/** The part of a page that checks: a button, a list of steps, a sentence. */
function prepare(part) {
  const start = part.querySelector("[data-start]");
  const button = start.querySelector("button");
  const spoken = part.querySelector("[data-said]");
  const items = new Map([...part.querySelectorAll("[data-step]")].map((item) => [item.dataset.step, item]));
  const tell = (step, text, share) => {
    const item = items.get(step);
    if (!item) return;
    item.dataset.state = share === undefined ? "held" : "running";
    item.querySelector("span").textContent = share === undefined ? text : `${Math.round(100 * share)} %`;
  };
  start.hidden = false;
  if (!globalThis.crypto?.subtle) {
    start.hidden = true;
    spoken.textContent = "Your browser only calculates hashes on a secure (https) page. Use the command below.";
    return;
  }
  button.addEventListener("click", async () => {
    button.setAttribute("aria-disabled", "true");
    for (const item of items.values()) delete item.dataset.state;
    spoken.textContent = "Fetching what was published…";
    try {
      const published = await download(part.dataset.check);
      spoken.textContent = "Checking…";
      await verify(published, tell);
      if (part.dataset.receipt) tell("mine", await verifyReceipt(JSON.parse(part.dataset.receipt), published));
      spoken.textContent = published.seed ? "Everything holds." : "What can be checked so far holds.";
      part.dataset.verdict = "held";
    } catch (problem) {
      const item = items.get(problem.step);
      if (item) {
        item.dataset.state = "broken";
        item.querySelector("span").textContent = problem.message;
      }
      const found = problem instanceof Breach;
      spoken.textContent = found ? `This does not hold: ${problem.message}` : `The check could not finish. ${problem.message}`;
      part.dataset.verdict = found ? "broken" : "unfinished";
    }
    button.removeAttribute("aria-disabled");
    button.textContent = "Check again";
  });
}

for (const part of globalThis.document?.querySelectorAll("[data-check]") ?? []) prepare(part);
