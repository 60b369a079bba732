// The camera of the face pages: an oval, advice in words, pictures as JPEG. Without it the file inputs do the same.

const LONGEST = 1280;
const QUALITY = 0.92;
const form = document.querySelector("form[data-photos]");
const root = form?.querySelector("[data-camera]");
const part = (name) => root.querySelector(`[data-${name}]`);

if (root) set_up();

function set_up() {
  const inputs = [...root.querySelectorAll("input[type=file]")];
  const single = "one" in root.dataset;
  const lens = part("lens");
  const video = part("video");
  const still = part("still");
  const sender = form.querySelector("button[type=submit]");
  const shots = [];
  let stream = null;
  let watcher = 0;
  let pending = null;

  if (navigator.mediaDevices?.getUserMedia) {
    part("files").open = false;
    part("offer").hidden = false;
    if (single) for (const input of inputs) input.addEventListener("change", () => (sender.hidden = !input.value));
    if (single) sender.hidden = true;
    part("files").querySelector("summary").textContent = single ? "Choose a file instead" : "Choose files instead";
  }

  async function open() {
    const words = part("advice");
    part("open").setAttribute("aria-disabled", "true");
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
      });
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      complain("The camera did not open", [
        denied
          ? "Your browser was told not to use the camera. Allow it in the address bar, or choose a file instead."
          : "No camera answered. Choose a file instead, or ask a person.",
      ]);
      part("files").open = true;
      return;
    } finally {
      part("open").removeAttribute("aria-disabled");
    }
    video.srcObject = stream;
    await video.play();
    lens.hidden = false;
    part("offer").hidden = true;
    show_live();
    words.textContent = "Put your face inside the oval.";
    lens.scrollIntoView({ block: "center" });
    part("shoot").focus({ preventScroll: true });
    watcher = setInterval(advise(video, lens, words), 350);
  }

  function close() {
    clearInterval(watcher);
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    pending = null;
    lens.hidden = true;
    part("offer").hidden = shots.length >= inputs.length;
    part("open-words").textContent = shots.length ? "Take one more" : "Open the camera";
  }

  function show_live() {
    pending = null;
    delete lens.dataset.taken;
    video.hidden = false;
    still.hidden = true;
    for (const [name, hidden] of [["shoot", false], ["use", true], ["again", true]]) part(name).hidden = hidden;
  }

  async function shoot() {
    const [x, y, width, height] = visible(video.videoWidth, video.videoHeight);
    const ratio = Math.min(1, LONGEST / Math.max(width, height));
    still.width = Math.round(width * ratio);
    still.height = Math.round(height * ratio);
    still.getContext("2d").drawImage(video, x, y, width, height, 0, 0, still.width, still.height);
    pending = await as_jpeg(still);
    lens.dataset.taken = "yes";
    delete lens.dataset.good;
    video.hidden = true;
    still.hidden = false;
    for (const [name, hidden] of [["shoot", true], ["use", false], ["again", false]]) part(name).hidden = hidden;
    part("advice").textContent = "Is your whole face sharp and well lit?";
    part("use").focus({ preventScroll: true });
  }

  function use() {
    if (!pending) return;
    shots.push(pending);
    if (single) {
      send([shots.pop()]);
      return;
    }
    show_shot(pending, shots.length);
    close();
    (shots.length < inputs.length ? part("open") : sender).focus();
  }

  function show_shot(blob, number) {
    const list = part("shots");
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    image.alt = "";
    const item = document.createElement("li");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "linkish";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove photo ${number}`);
    remove.addEventListener("click", () => {
      shots.splice(shots.indexOf(blob), 1);
      URL.revokeObjectURL(image.src);
      item.remove();
      list.hidden = !shots.length;
      part("offer").hidden = false;
      part("open-words").textContent = shots.length ? "Take one more" : "Open the camera";
      part("open").focus();
    });
    item.append(image, remove);
    list.append(item);
    list.hidden = false;
  }

  async function send(pictures) {
    if (form.dataset.sent) return;
    const body = new FormData(form);
    for (const input of inputs) body.delete(input.name);
    const chosen = await Promise.all(inputs.flatMap((input) => [...input.files]).map(smaller));
    [...pictures, ...chosen].slice(0, inputs.length).forEach((picture, index) => {
      body.append(inputs[index].name, picture, "photo.jpg");
    });
    form.dataset.sent = "yes";
    const buttons = [...form.querySelectorAll("button")];
    buttons.forEach((button) => button.setAttribute("aria-disabled", "true"));
    part("advice").textContent = "Sending your photo…";
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
      const kind = answer.headers.get("Content-Type") ?? "";
      if (!kind.startsWith("application/json")) {
        if (answer.redirected) location.assign(answer.url);
        else complain("That did not go through", ["Wait a moment, then try again. Your photo was not used."]);
        return;
      }
      const told = await answer.json();
      if (told.next) {
        stream?.getTracks().forEach((track) => track.stop());
        location.assign(told.next);
      } else complain(told.title, told.problems.map((problem) => problem.text), told.problems);
    } catch {
      complain("No connection", ["Your photo is still here. Send it again when you are back online."]);
    } finally {
      delete form.dataset.sent;
      buttons.forEach((button) => button.removeAttribute("aria-disabled"));
      if (stream) show_live();
    }
  }

  part("open").addEventListener("click", open);
  part("shoot").addEventListener("click", shoot);
  part("again").addEventListener("click", () => {
    show_live();
    part("shoot").focus({ preventScroll: true });
  });
  part("use").addEventListener("click", use);
  part("close").addEventListener("click", () => {
    close();
    part("open").focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(shots);
  });
  addEventListener("pagehide", close);
}

// The part of the camera's picture that the upright frame shows.
function visible(width, height) {
  const shown = Math.min(width, height * 0.75);
  const tall = shown / 0.75;
  return [(width - shown) / 2, (height - tall) / 2, shown, tall];
}

function as_jpeg(canvas) {
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}

// A file as large as a camera makes it is shrunk before it travels; what this browser can not read goes as it is.
async function smaller(file) {
  try {
    const picture = await createImageBitmap(file);
    const ratio = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * ratio);
    canvas.height = Math.round(picture.height * ratio);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return (await as_jpeg(canvas)) ?? file;
  } catch {
    return file;
  }
}

// Looks at the light of the whole scene and at how still it is, never at the face: that is for the server, and dark skin in
// good light must not be taken for darkness.
function advise(video, lens, words) {
  const small = document.createElement("canvas");
  small.width = 48;
  small.height = 64;
  const pen = small.getContext("2d", { willReadFrequently: true });
  let before = null;
  let last = "";
  return () => {
    if (!video.videoWidth || "taken" in lens.dataset) return;
    pen.drawImage(video, ...visible(video.videoWidth, video.videoHeight), 0, 0, 48, 64);
    const { data } = pen.getImageData(0, 0, 48, 64);
    const light = new Uint8Array(data.length / 4);
    for (let at = 0; at < light.length; at += 1) light[at] = 0.299 * data[at * 4] + 0.587 * data[at * 4 + 1] + 0.114 * data[at * 4 + 2];
    const moved = before ? light.reduce((sum, value, at) => sum + Math.abs(value - before[at]), 0) / light.length : 0;
    before = light;
    const sorted = light.slice().sort();
    const [darkest, brightest] = [0.1, 0.9].map((part) => sorted[Math.floor(part * sorted.length)]);
    const found =
      brightest < 70 ? "It’s dark. Face a window or a lamp."
      : darkest > 205 ? "It’s very bright. Step out of the direct light."
      : moved > 14 ? "Hold still."
      : "Good light. Put your face inside the oval and take the photo.";
    if (found === last) {
      lens.toggleAttribute("data-good", found.startsWith("Good"));
      if (words.textContent !== found) words.textContent = found; // only what lasts is said
    }
    last = found;
  };
}

function complain(title, texts, problems = []) {
  const place = document.querySelector("[data-problems]");
  const box = document.createElement("div");
  box.className = "errs";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  box.setAttribute("aria-labelledby", "errors-title");
  const heading = document.createElement("h2");
  heading.id = "errors-title";
  heading.textContent = title;
  box.append(heading);
  texts.forEach((text, index) => {
    const line = document.createElement("p");
    const field = problems[index]?.field;
    if (field && document.getElementById(field)) {
      const link = document.createElement("a");
      link.href = `#${field}`;
      link.textContent = text;
      link.addEventListener("click", () => (part("files").open ||= field.startsWith("id_photo")));
      line.append(link);
    } else line.textContent = text;
    box.append(line);
  });
  place.replaceChildren(box);
  box.focus();
}
