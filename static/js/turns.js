// The head turn: a dot to follow in the order the server chose, and a picture at each of its stops.

const LONGEST = 800;
const QUALITY = 0.9;
const STOP_MS = 800;
const SAID = { left: "Turn slowly to your left", right: "Turn slowly to your right" };
const form = document.querySelector("form[data-turns]");
const part = (name) => document.querySelector(`[data-${name}]`);

if (form && navigator.mediaDevices?.getUserMedia) set_up();

function set_up() {
  const video = part("video");
  const lens = part("lens");
  const advice = part("advice");
  let stream = null;
  let run = null; // what ends the head turn under way

  form.hidden = false;
  part("need-camera").hidden = true;

  async function open() {
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
      });
    } catch (error) {
      complain("The camera did not open", [
        error.name === "NotAllowedError"
          ? "Your browser was told not to use the camera. Allow it in the address bar, or ask a person instead."
          : "No camera answered. Connect one, or ask a person instead.",
      ]);
      return;
    }
    video.srcObject = stream;
    await video.play();
    lens.hidden = false;
    part("close").hidden = false;
    part("begin-words").textContent = "Begin the head turn";
    advice.textContent = "Put your face inside the oval, then begin.";
    lens.scrollIntoView({ block: "center" });
  }

  function close() {
    run?.abort();
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    lens.hidden = true;
    part("close").hidden = true;
    part("begin-words").textContent = "Open the camera";
  }

  async function turn() {
    run = new AbortController();
    const { signal } = run;
    part("problems").replaceChildren();
    try {
      const told = await post(form.action, new FormData(form), signal);
      if (!told?.turns) return;
      const frames = await follow(told.turns, signal);
      advice.textContent = "Thank you. Looking at the pictures…";
      const body = new FormData(form);
      frames.forEach((frame, index) => body.append("frames", frame, `${index}.jpg`));
      await post(told.answer, body, signal);
    } catch (error) {
      if (error.name !== "AbortError") complain("No connection", ["Nothing was used up. Begin again when you are back online."]);
    } finally {
      run = null;
      part("follow").hidden = true;
      delete lens.dataset.good;
      if (stream) advice.textContent = "Put your face inside the oval, then begin.";
      part("begin-words").textContent = stream ? "Begin again" : "Open the camera";
    }
  }

  async function follow(turns, signal) {
    const stops = path(turns);
    const pace = part("slow").checked ? STOP_MS * 2 : STOP_MS;
    const frames = [];
    part("follow").hidden = false;
    part("progress").max = stops.length;
    for (const [index, stop] of stops.entries()) {
      if (stop.said) advice.textContent = stop.said;
      part("follow").dataset.at = stop.at;
      await pause(stop.said ? pace * 1.5 : pace, signal);
      frames.push(await shoot());
      part("progress").value = index + 1;
    }
    return frames;
  }

  async function shoot() {
    const width = Math.min(video.videoWidth, video.videoHeight * 0.75);
    const height = width / 0.75;
    const ratio = Math.min(1, LONGEST / height);
    const still = document.createElement("canvas");
    still.width = Math.round(width * ratio);
    still.height = Math.round(height * ratio);
    const [x, y] = [(video.videoWidth - width) / 2, (video.videoHeight - height) / 2];
    still.getContext("2d").drawImage(video, x, y, width, height, 0, 0, still.width, still.height);
    return new Promise((done) => still.toBlob(done, "image/jpeg", QUALITY));
  }

  async function post(address, body, signal) {
    const answer = await fetch(address, { method: "POST", body, signal, headers: { Accept: "application/json" } });
    if (!(answer.headers.get("Content-Type") ?? "").startsWith("application/json")) {
      if (answer.redirected) location.assign(answer.url);
      else complain("That did not go through", ["Wait a moment, then begin again."]);
      return null;
    }
    const told = await answer.json();
    if (told.next) {
      close();
      location.assign(told.next);
      return null;
    }
    if (told.problems) complain(told.title, told.problems.map((problem) => problem.text));
    return told;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (run) return;
    part("begin").setAttribute("aria-disabled", "true");
    (stream ? turn() : open()).finally(() => part("begin").removeAttribute("aria-disabled"));
  });
  part("close").addEventListener("click", () => {
    close();
    part("begin").focus();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && stream) {
      close();
      part("begin").focus();
    }
  });
  addEventListener("pagehide", close);
}

// Where the dot stops: straight, half way, at the side, half way back, straight, … never more than half a turn from one to
// the next, 8 stops for two turns and 11 for three.
function path(turns) {
  const stops = [{ at: "straight", said: "Look straight ahead" }];
  turns.forEach((side, index) => {
    const said = index ? `${SAID[side]}, past the middle` : SAID[side];
    if (index) stops.push({ at: `half-${turns[index - 1]}`, said }, { at: "straight" });
    stops.push({ at: `half-${side}`, said: index ? undefined : said }, { at: side });
  });
  while (stops.length < 8) stops.push({ at: turns.at(-1) });
  return stops;
}

function pause(milliseconds, signal) {
  return new Promise((done, stop) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      stop(new DOMException("closed", "AbortError"));
    });
  });
}

function complain(title, texts) {
  const box = document.createElement("div");
  box.className = "errs";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  box.setAttribute("aria-labelledby", "errors-title");
  const heading = document.createElement("h2");
  heading.id = "errors-title";
  heading.textContent = title;
  box.append(heading, ...texts.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  part("problems").replaceChildren(box);
  box.focus();
}
