// The gate without network: this worker keeps the shell of the gate's page and its files, and nothing else of the site.
// Every version has a cache of its own; what an older one kept is deleted when a newer one starts.

const VERSION = "{{ version }}";
const SHELL = "{{ shell }}";
const FILES = new Map(Object.entries({{ files|safe }})); // address: whether its content is part of its name
const CACHE = `gate-${VERSION}`;
const PATIENCE_MS = 5000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      const wanted = [SHELL, ...FILES.keys()].map((address) => new Request(address, { cache: "reload", credentials: "omit" }));
      await cache.addAll(wanted);
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith("gate-") && name !== CACHE);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (/^\/gate(\/|$)/.test(pathname)) event.respondWith(page(request));
  } else if (FILES.has(pathname)) {
    event.respondWith(file(request, pathname));
  }
});

// The page as the site has it now; the shell when the site does not answer.
async function page(request) {
  try {
    const answer = await patiently(fetch(request));
    return answer.status >= 502 && answer.status <= 504 ? await kept(SHELL) : answer;
  } catch (problem) {
    return (await kept(SHELL)) ?? Promise.reject(problem);
  }
}

// A file whose name says what is in it is the same for ever; any other is asked for first.
async function file(request, address) {
  const own = await kept(address);
  if (own && FILES.get(address)) return own;
  try {
    return await patiently(fetch(request));
  } catch (problem) {
    return own ?? Promise.reject(problem);
  }
}

async function kept(address) {
  return (await caches.open(CACHE)).match(address, { ignoreVary: true });
}

function patiently(answer) {
  return Promise.race([answer, new Promise((_, give) => setTimeout(give, PATIENCE_MS, new Error("too slow")))]);
}
