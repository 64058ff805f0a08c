// The page on a phone: joins with the code, then draws or votes as the class's server says.

/** @typedef {{ round: number, step: number, task: "draw" | "vote" | "wait", asked: number | null,
    locked: boolean, words: string, choices: string[], most: number, names: boolean,
    chosen: number[] }} State */

const SIDE = 256; // units of the pad that are sent
const MAX_POINTS = 1000;
const STEP = 8; // units per arrow key
const RETRY = 1000; // milliseconds

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement} */ (find(id));

const pad = /** @type {HTMLCanvasElement} */ (find("pad"));
const pen = /** @type {CanvasRenderingContext2D} */ (pad.getContext("2d"));
const send = /** @type {HTMLButtonElement} */ (find("send"));
const [clear, vote, status, words] = ["clear", "vote", "status", "words"].map((id) => find(id));

/** @type {State | null} */
let state = null;
/** @type {EventSource | null} */
let events = null;
/** @type {number[][]} */
let strokes = [];
/** @type {object[]} */
const unsent = []; // drawings that have not been answered
let sending = false;

// Joining.

/** @param {string} path
    @param {object} body */
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const error = answer.error ?? "the class’s server does not understand this page";
  throw Object.assign(new Error(error[0].toUpperCase() + error.slice(1)), { status: response.status });
}

/** @param {string} code */
async function join(code) {
  try {
    const { names, named } = await post("/join", { code });
    if (names && !named && !sessionStorage.getItem("asked")) show("naming", "What shall we call you?");
    else listen();
  } catch (error) {
    const { message, status: number } = /** @type {Error & { status?: number }} */ (error);
    if (number === undefined) setTimeout(() => join(code), RETRY); // no connection
    show("join", "Join the class");
    say(number === undefined ? "No connection, trying again" : code ? message : "");
  }
}

find("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join(field("code").value);
});

find("naming").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, agreed] = [field("name").value.trim(), field("agreed").checked];
  try {
    if (name && agreed) await post("/name", { name, agreed });
    sessionStorage.setItem("asked", "yes");
    listen();
  } catch (error) {
    say(/** @type {Error} */ (error).message);
  }
});

function listen() {
  events?.close();
  events = new EventSource("/events");
  events.addEventListener("state", ({ data }) => follow(JSON.parse(data)));
  events.addEventListener("reading", ({ data }) => {
    const { digit, percent, round, step } = JSON.parse(data);
    if (!state || state.locked || state.task === "vote") return;
    const now = state.asked === null && state.round === round && state.step === step;
    say(now ? "Read as " : "Your last drawing was read as ", digit, `, ${percent}`);
  });
  events.addEventListener("error", () => {
    say("No connection, trying again");
    if (events?.readyState === EventSource.CLOSED) setTimeout(() => join(location.hash.slice(1)), RETRY);
  });
}

// Showing.

/** @param {string} id - of the only part that is shown, or "" for none
    @param {string} title */
function show(id, title) {
  for (const each of ["join", "naming", "draw", "vote"]) find(each).hidden = each !== id;
  words.textContent = title;
  words.classList.toggle("long", title.length > 60);
}

/** @param {string} text
    @param {string | number} [strong]
    @param {string} [rest] */
function say(text, strong = "", rest = "") {
  const bold = document.createElement("b");
  bold.textContent = String(strong);
  status.replaceChildren(text, bold, rest);
}

/** @param {State} next */
function follow(next) {
  const other = state?.round !== next.round || state.step !== next.step;
  if (other || next.locked || status.textContent?.startsWith("No connection")) say("");
  if (other) wipe();
  state = next;
  show(next.task === "wait" ? "" : next.task, next.words);
  if (next.task !== "vote") return;
  vote.className = next.choices.every((each) => each.length < 3) ? "short" : "";
  if (vote.childElementCount !== next.choices.length || other) {
    vote.replaceChildren(...next.choices.map((text, choice) => button(text, choice)));
  }
  mark(next.chosen);
}

/** @param {string} text
    @param {number} choice */
function button(text, choice) {
  const made = document.createElement("button");
  made.textContent = text;
  made.addEventListener("click", () => choose(choice));
  return made;
}

/** @param {number[]} chosen */
function mark(chosen) {
  [...vote.children].forEach((each, choice) => {
    each.setAttribute("aria-pressed", String(chosen.includes(choice)));
  });
}

/** @param {number} choice */
async function choose(choice) {
  if (!state) return;
  const { chosen, most, round } = state;
  const others = most > 1 ? chosen.filter((each) => each !== choice) : [];
  state.chosen = others.length < chosen.length && most > 1 ? others : [...others.slice(1 - most), choice];
  mark(state.chosen);
  try {
    await post("/vote", { round, choices: state.chosen });
    say("Your choice is saved; you can change it");
  } catch (error) {
    say(/** @type {Error} */ (error).message);
  }
}

// Drawing.

/** @param {number} x
    @param {number} y
    @param {boolean} begin */
function move(x, y, begin) {
  const count = strokes.reduce((sum, each) => sum + each.length / 2, 0);
  const at = [x, y].map((each) => Math.min(SIDE - 1, Math.max(0, Math.round(each))));
  if (begin && strokes.length < 60) strokes.push([]);
  const stroke = strokes[strokes.length - 1];
  const last = stroke.slice(-2);
  if (count >= MAX_POINTS || (last.length && Math.hypot(at[0] - last[0], at[1] - last[1]) < 2)) return;
  stroke.push(...at);
  const scale = pad.width / SIDE;
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = 22 * scale;
  pen.strokeStyle = getComputedStyle(pad).color;
  pen.beginPath();
  pen.moveTo((last[0] ?? at[0]) * scale, (last[1] ?? at[1]) * scale);
  pen.lineTo(at[0] * scale + 0.01, at[1] * scale);
  pen.stroke();
  send.disabled = clear.hidden = false;
}

function wipe() {
  strokes = [];
  pen.clearRect(0, 0, pad.width, pad.height);
  send.disabled = clear.hidden = true;
}

/** @param {PointerEvent} event
    @param {boolean} begin */
function follows(event, begin) {
  const box = pad.getBoundingClientRect();
  move(
    ((event.clientX - box.left) / box.width) * SIDE,
    ((event.clientY - box.top) / box.height) * SIDE,
    begin,
  );
}

pad.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  pad.setPointerCapture(event.pointerId);
  say("");
  follows(event, true);
});
pad.addEventListener("pointermove", (event) => {
  if (!pad.hasPointerCapture(event.pointerId)) return;
  for (const each of event.getCoalescedEvents?.() ?? [event]) follows(each, false);
});

const key = { x: SIDE / 2, y: SIDE / 2, down: false };
pad.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (way) {
    key.x = Math.min(SIDE - 1, Math.max(0, key.x + STEP * way[0]));
    key.y = Math.min(SIDE - 1, Math.max(0, key.y + STEP * way[1]));
    if (key.down) move(key.x, key.y, !strokes.length);
  } else if (event.key === " ") {
    key.down = !key.down;
    if (key.down) move(key.x, key.y, true);
  } else if (event.key === "Delete" || event.key === "Backspace") wipe();
  else return;
  event.preventDefault();
});
clear.addEventListener("click", wipe);

send.addEventListener("click", () => {
  if (!state || !strokes.length) return;
  const random = crypto.getRandomValues(new Uint8Array(8));
  const name = [...random].map((each) => each.toString(16).padStart(2, "0")).join("");
  const asked = state.asked === null ? {} : { asked: state.asked };
  unsent.push({ key: name, round: state.round, step: state.step, ...asked, strokes });
  wipe();
  pad.focus({ preventScroll: true });
  deliver();
});

/** Send what has not been answered, one drawing after another, again and again until the server has it. */
async function deliver() {
  if (sending) return;
  sending = true;
  while (unsent.length) {
    try {
      say("Sending");
      await post("/draw", unsent[0]);
      unsent.shift();
      say("Sent");
    } catch (error) {
      const { message, status: number = 0 } = /** @type {Error & { status?: number }} */ (error);
      const final = number >= 400 && number < 500 && number !== 429 && number !== 401;
      if (final) unsent.shift();
      say(number ? message : "No connection, trying again");
      if (!final) await new Promise((done) => setTimeout(done, RETRY));
    }
  }
  sending = false;
}

join(location.hash.slice(1));
addEventListener("hashchange", () => join(location.hash.slice(1)));
