// What the gate keeps on a device: the signed lists, who came in by this device, the scans that wait to be sent.
// One database for every tab; a scan is kept before its answer is shown.

const NAME = "gate";
const MARGIN_MS = 60000;
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => {
      const db = opening.result;
      db.createObjectStore("settings");
      db.createObjectStore("events", { keyPath: "event" });
      db.createObjectStore("lists", { keyPath: "event" });
      db.createObjectStore("entered", { keyPath: ["event", "hash"] });
      db.createObjectStore("queue", { keyPath: "client_id" }).createIndex("event", "event");
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  return opened;
}

// Runs `work` on these stores in one transaction; what it returns is a request whose result is wanted, or nothing.
async function within(stores, mode, work) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(stores, mode, { durability: "strict" });
    const asked = work(...[stores].flat().map((name) => transaction.objectStore(name)));
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onabort = () => reject(transaction.error ?? new DOMException("given up", "AbortError"));
  });
}

export const setting = (name) => within("settings", "readonly", (all) => all.get(name));
// Two tabs that start at once agree on one value.
export const settingOr = (name, value) =>
  within("settings", "readwrite", (all) => {
    all.add(value, name).onerror = (refused) => {
      refused.preventDefault();
      refused.stopPropagation();
    };
    return all.get(name);
  });
export const keepSetting = (name, value) => within("settings", "readwrite", (all) => void all.put(value, name));

export const events = () => within("events", "readonly", (all) => all.getAll());
export const eventOf = (event) => within("events", "readonly", (all) => all.get(event));
export const keepEvent = (known) => within("events", "readwrite", (all) => void all.put(known));

export const listOf = (event) => within("lists", "readonly", (all) => all.get(event));

// Keeps a list, and forgets who came in before it was made: those are on it.
export function keepList(event, given, { issuedAt, validUntil }) {
  return within(["lists", "entered"], "readwrite", (lists, entered) => {
    lists.put({ event, list: given.list, signature: given.signature, until: Date.parse(validUntil) });
    forget(entered, (one) => one.event === event && !one.queued && one.at < Date.parse(issuedAt) - MARGIN_MS);
  });
}

export const hasEntered = async (event, hash) =>
  (await within("entered", "readonly", (all) => all.count([event, hash]))) > 0;

export const noteEntry = (event, hash, at) =>
  within("entered", "readwrite", (all) => void all.put({ event, hash, at, queued: false }));

// Keeps a scan that waits. Of any number of tabs one lets a ticket in: false when another has.
export async function keepScan(scan) {
  try {
    await within(["queue", "entered"], "readwrite", (queue, entered) => {
      if (scan.accepted) {
        entered.add({ event: scan.event, hash: scan.hash, at: Date.parse(scan.scanned_at), queued: true });
      }
      queue.add(scan);
    });
    return true;
  } catch (problem) {
    if (problem?.name === "ConstraintError") return false;
    throw problem;
  }
}

export const waiting = () => within("queue", "readonly", (all) => all.getAll());
export const waitingCount = () => within("queue", "readonly", (all) => all.count());

// What was sent waits no longer; who came in by it is remembered until a newer list knows.
export function settle(scans, at) {
  return within(["queue", "entered"], "readwrite", (queue, entered) => {
    for (const scan of scans) {
      queue.delete(scan.client_id);
      if (scan.accepted) entered.put({ event: scan.event, hash: scan.hash, at, queued: false });
    }
  });
}

// A list whose time is over goes, with what was known about its event.
export function dropExpired(now) {
  return within(["lists", "events", "entered"], "readwrite", (lists, known, entered) => {
    forget(lists, (one) => one.until <= now, (one) => {
      known.delete(one.event);
      forget(entered, (entry) => entry.event === one.event && !entry.queued);
    });
  });
}

// At the end of a shift nothing stays but scans that still have to be sent.
export function wipe() {
  return within(["lists", "events", "entered"], "readwrite", (lists, known, entered) => {
    lists.clear();
    known.clear();
    forget(entered, (one) => !one.queued);
  });
}

function forget(store, unwanted, then = () => {}) {
  store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
    if (!cursor) return;
    if (unwanted(cursor.value)) {
      cursor.delete();
      then(cursor.value);
    }
    cursor.continue();
  };
}
