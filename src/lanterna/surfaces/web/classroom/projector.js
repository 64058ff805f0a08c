// The page on the big screen: the round that the class is in, and the teacher's keys.

import { contextOf } from "lanterna/canvas.js";
import { url } from "lanterna/studio/api.js";
import { html, render, signal, useEffect, useRef } from "lanterna/studio/html.js";

import { answer, Ink, opened, percent, reads, take, Wall } from "./wall.js";

/** @typedef {object} State - as views.screen_state
    @property {string} address
    @property {string} code
    @property {boolean} locked
    @property {boolean} quiet
    @property {boolean} review - a class that was held
    @property {boolean} busy
    @property {string} trouble - what could not be read, and why
    @property {number} joined
    @property {number} online
    @property {Record<string, string>} kinds
    @property {number} place
    @property {number} rounds
    @property {number} round
    @property {string} kind
    @property {string} title
    @property {string} step
    @property {string} words
    @property {"draw" | "vote" | "wait"} task
    @property {number} steps
    @property {number} number - of the step
    @property {{ text?: string, title?: string, strokes?: number[][] }} question
    @property {Record<string, any>} result
    @property {string[]} choices
    @property {number[]} split
    @property {number} votes
    @property {Record<string, number>} tally
    @property {{ title: string, text: string }[]} questions */

const THEME = "lanterna-theme"; // as in theme.js
const SECONDS = 6; // for which an error is shown

if (localStorage.getItem(THEME) !== "dark") {
  localStorage.setItem(THEME, "dark");
  dispatchEvent(new StorageEvent("storage", { key: THEME }));
}

const state = signal(/** @type {State | null} */ (null));
const looking = signal(false); // into the drawing that is open
const failure = signal("");
const lost = signal(false);
const hidden = signal(/** @type {number | null} */ (null)); // the drawing that was hidden last

/** @param {string} path
    @param {object} body */
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(url(path), request).catch(() => null);
  if (response?.ok) return;
  const answered = await response?.json().catch(() => ({}));
  failure.value = answered?.error ?? "the class’s server is not responding: is its terminal open?";
  setTimeout(() => (failure.value = ""), 1000 * SECONDS);
}

const events = new EventSource(url("/api/events"));
events.addEventListener("state", ({ data }) => {
  state.value = JSON.parse(data);
  reads.value = state.value?.result.reads ?? {};
  lost.value = false;
});
events.addEventListener("drawings", ({ data }) => take(JSON.parse(data)));
events.addEventListener("error", () => (lost.value = true));

// Keys.

/** @param {number} by */
const go = (by) => post("/api/go", { by });

/** @param {number} id
    @param {"shown" | "hidden"} sight */
function setSight(id, sight) {
  post(`/api/drawings/${id}`, { sight });
  hidden.value = sight === "hidden" ? id : null;
}

/** Hide the drawing that is open or has the focus. */
function hide() {
  const id = opened.value?.id ?? Number(document.activeElement?.getAttribute("data-id"));
  if (id) setSight(id, "hidden");
  close();
}

function close() {
  opened.value = null;
  looking.value = false;
}

/** @param {number} by */
function ask(by) {
  const { questions = [], question } = state.value ?? {};
  const now = questions.findIndex((each) => each.text === question?.text);
  if (questions.length) post("/api/question", { number: (now + by + questions.length) % questions.length });
}

/** @type {Record<string, () => void>} */
const KEYS = {
  " ": () => go(1),
  ArrowRight: () => go(1),
  PageDown: () => go(1),
  ArrowLeft: () => go(-1),
  PageUp: () => go(-1),
  ArrowDown: () => ask(1),
  ArrowUp: () => ask(-1),
  l: () => post("/api/lock", { locked: !state.value?.locked }),
  a: () => post("/api/show", {}),
  h: hide,
};

addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const kind = Object.keys(state.value?.kinds ?? {})[Number(key) - 1];
  const focused = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || !state.value) return;
  if (focused.closest("select") || (key === " " && focused.closest("button"))) return;
  if (opened.value && key !== "h") return;
  if (kind) post("/api/begin", { kind });
  else if (KEYS[key]) KEYS[key]();
  else return;
  event.preventDefault();
});
// After a click the keys are the teacher's again; with the keyboard, focus stays.
addEventListener("click", (event) => {
  if (event.detail) /** @type {HTMLElement} */ (document.activeElement)?.blur();
});

// Parts.

/** A drawing, large: how it was read, and what the network sees in it. */
function Opened() {
  const dialog = useRef(/** @type {HTMLDialogElement | undefined} */ (undefined));
  const drawing = opened.value;
  useEffect(() => {
    if (drawing && !dialog.current?.open) dialog.current?.showModal();
    else if (!drawing) dialog.current?.close();
  }, [drawing]);
  const chances = drawing?.reading?.chances;
  const top = chances && [...chances.keys()].sort((a, b) => chances[b] - chances[a]).slice(0, 3);
  const wide = looking.value ? "wide" : "";
  return html`<dialog ref=${dialog} onClose=${close} aria-label="A drawing" class=${wide}>
    ${
      drawing &&
      (looking.value
        ? html`<iframe
            title="The drawing in the network"
            src=${url(`/api/look?drawing=${drawing.id}`)}
          ></iframe>`
        : html`<div class="opened">
            ${
              drawing.strokes
                ? html`<${Ink} key=${drawing.id} strokes=${drawing.strokes} pixels=${560} />`
                : html`<p>It waits to be shown.</p>`
            }
            <div>
              ${drawing.name && html`<p class="quiet">${drawing.name}</p>`}
              ${chances && html`<p class="read">Read as <b>${answer(chances)}</b></p>`}
              <ul class="bars">
                ${
                  chances &&
                  top?.map(
                    (digit) => html`<${Bar} name=${digit} share=${chances[digit]} key=${digit}
                    value=${percent(chances[digit])} />`,
                  )
                }
              </ul>
            </div>
          </div>`)
    }
    <p class="buttons">
      ${
        drawing?.strokes &&
        html`<button onClick=${() => (looking.value = !looking.value)}>
          ${looking.value ? "Back" : "Look inside"}
        </button>`
      }
      ${
        drawing?.sight === "waiting"
          ? html`<button class="main" onClick=${() => setSight(drawing.id, "shown")}>Show</button>`
          : ""
      }
      <button onClick=${hide}>Hide <kbd>H</kbd></button>
      <button onClick=${close}>Close <kbd>Esc</kbd></button>
    </p>
  </dialog>`;
}

/** @param {{ name: string | number, share: number, value: string | number, right?: boolean }} props */
const Bar = ({ name, share, value, right }) => html`<li class=${right ? "right" : ""}>
  <span>${name}</span><i><i style=${{ width: `${100 * share}%` }}></i></i><b>${value}</b>
</li>`;

/** @param {{ state: State }} props */
const Split = ({ state: { choices, split, votes, result, step } }) => html`<ul class="bars">
  ${choices.map(
    (name, choice) => html`<${Bar} key=${choice} name=${name} right=${result.right === choice}
      share=${step !== "ask" && votes ? split[choice] / Math.max(...split, 1) : 0}
      value=${step === "ask" ? "" : split[choice]} />`,
  )}
</ul>`;

/** @param {{ state: State }} props */
function Vote({ state: now }) {
  const { question, questions, step, votes, online, result } = now;
  const pick = (/** @type {Event & { currentTarget: HTMLSelectElement }} */ { currentTarget }) => {
    post("/api/question", { number: currentTarget.selectedIndex });
    currentTarget.blur();
  };
  return html`<div class="vote">
    <div>
      <p class="quiet">${question.title}</p>
      ${question.strokes && html`<${Ink} key=${now.round} strokes=${question.strokes} pixels=${400} />`}
      <p class=${`question ${(question.text ?? "").length > 160 ? "long" : ""}`}>${question.text}</p>
      ${
        questions.length > 1 &&
        html`<label class="quiet">Another question
          <select onChange=${pick}>
            ${questions.map(
              (each, i) => html`<option key=${i} selected=${each.text === question.text}>
                ${each.title}: ${each.text.slice(0, 60)}
              </option>`,
            )}
          </select></label
        >`
      }
    </div>
    <div>
      <${Split} state=${now} />
      <p class="count"><b>${votes}</b> of ${Math.max(online, votes)} have voted</p>
      ${step === "truth" && result.words && html`<p class="because">${result.words}</p>`}
    </div>
  </div>`;
}

/** @param {{ state: State }} props */
function Train({ state: now }) {
  const { step, tally, result } = now;
  const points = /** @type {number[]} */ (result.curve ?? []);
  const path = points.map((y, i) => `${(100 * i) / Math.max(1, points.length - 1)},${50 - 50 * y}`).join(" ");
  const count = tally.read ?? 0;
  return html`<div class="train">
    ${step === "collect" && html`<p class="count"><b>${tally.drawn ?? 0}</b> digits so far</p>`}
    ${
      step === "learn" &&
      html`<div class="curve">
        <svg viewBox="0 0 100 50" preserveAspectRatio="none" role="img" aria-label="Accuracy while it learns">
          <polyline points=${path} />
        </svg>
        <p>
          <b>${result.accuracy === undefined ? "" : `${Math.round(100 * result.accuracy)} %`}</b>${" "}
          of the digits that it learned from are read right, step ${result.step ?? 0} of${" "}
          ${result.steps ?? "…"}
        </p>
      </div>`
    }
    ${
      step === "test" &&
      html`<ul class="bars">
        ${[
          [`Yours, from ${result.learned ?? 0} digits`, tally.own_right],
          ["MNIST’s, from 50,000", tally.right],
        ].map(
          ([name, right = 0]) => html`<${Bar} key=${name} name=${name}
          share=${count ? Number(right) / count : 0} value=${`${right} of ${count}`} />`,
        )}
      </ul>`
    }
    <${Wall} kind="train" step=${step} />
  </div>`;
}

/** @param {{ state: State }} props */
function Style({ state: now }) {
  const { step, result, choices, split, round } = now;
  const picture = (/** @type {string} */ name) => url(`/api/pictures/${round}/${name}.jpg`);
  if (step === "paint")
    return html`<div class="painted">
      ${["first", "both", "second"].map((name) => {
        const words = result.painted?.[name];
        return html`<figure key=${name}>
          ${
            words
              ? html`<img src=${`${picture(name)}?${words}`} alt=${`The photograph in the style ${words}`} />`
              : html`<img src=${picture("photograph")} alt="Not painted yet" class="unpainted" />`
          }
          <figcaption>${words ? words[0].toUpperCase() + words.slice(1) : "…"}</figcaption>
        </figure>`;
      })}
    </div>`;
  const [first, second] = [...split.keys()].sort((a, b) => split[b] - split[a]);
  const leads = (/** @type {number} */ i) => split[i] && (i === first || i === second);
  return html`<ol class="styles">
    ${choices.map(
      (name, i) => html`<li key=${i} class=${leads(i) ? "right" : ""}>
      ${i < (result.thumbnails ?? 0) ? html`<img src=${picture(`style-${i}`)} alt="" />` : html`<i></i>`}
      <p>${name}</p>
      ${split[i] > 0 && html`<b>${split[i]}</b>`}
    </li>`,
    )}
  </ol>`;
}

/** A digit of 28 × 28 levels.
    @param {{ levels: number[] }} props */
function Digit({ levels }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | undefined} */ (undefined));
  useEffect(() => {
    const pen = contextOf(/** @type {HTMLCanvasElement} */ (canvas.current));
    const image = pen.createImageData(28, 28);
    levels.forEach((level, i) => image.data.set([240, 234, 222, level], 4 * i));
    pen.putImageData(image, 0, 0);
  }, [levels]);
  return html`<canvas ref=${canvas} width="28" height="28"></canvas>`;
}

/** @param {{ state: State }} props */
const Hunt = ({ state: { step, result, split, votes } }) => html`<ol class="hunt">
  ${(result.digits ?? []).map(
    (levels, i) => html`<li key=${i} class=${result.imagined?.includes(i) ? "right" : ""}>
      <${Digit} levels=${levels} />
      <p><b>${i + 1}</b>${
        step === "choose" ? "" : html` <span>${votes ? Math.round((100 * split[i]) / votes) : 0} %</span>`
      }</p>
    </li>`,
  )}
</ol>`;

/** @param {{ state: State }} props */
const Join = ({ state: { address, code, step } }) => html`<div class="joining">
  <div>
    <img class="qr" src=${url("/api/code.svg")} alt=${`QR code of ${address}`} />
    <p class="address">${address.replace("http://", "")}</p>
    <p class="code" aria-label=${`Code ${[...code].join(" ")}`}>${code}</p>
  </div>
  <${Wall} kind="draw" step=${step} />
</div>`;

/** @param {{ state: State }} props */
function Fool({ state: { tally, step } }) {
  return html`<div class="train">
    <p class="count"><b>${tally.fooled ?? 0}</b> of ${tally.read ?? 0} are read as 7 with certainty</p>
    <${Wall} kind="fool" step=${step} />
  </div>`;
}

/** @param {{ state: State }} props */
function Round({ state: now }) {
  const note = /** @type {string} */ (now.result.note ?? "");
  if (note) return html`<p class="note" role="alert">${note[0].toUpperCase() + note.slice(1)}</p>`;
  if (now.kind === "draw" && now.step === "join" && !now.review) return html`<${Join} state=${now} />`;
  const parts = { vote: Vote, train: Train, style: Style, hunt: Hunt, fool: Fool };
  const Part = parts[/** @type {keyof typeof parts} */ (now.kind)];
  return Part ? html`<${Part} state=${now} />` : html`<${Wall} kind=${now.kind} step=${now.step} />`;
}

function Page() {
  const now = state.value;
  if (!now) return html`<p class="note">${lost.value ? "The class’s server is not responding." : ""}</p>`;
  document.title = `${now.title} – Lanterna`;
  const problem = failure.value || (lost.value ? "No connection, trying again" : now.trouble);
  return html`<header>
      <h1><span>${now.title}</span> ${now.words}</h1>
      ${now.busy && html`<p role="status" class="busy">working</p>`}
    </header>
    <main data-kind=${now.kind} data-step=${now.step}>
      <${Round} key=${`${now.round} ${now.kind}`} state=${now} />
    </main>
    <footer>
      <p class="where">${
        now.review ? "A class that was held" : html`${now.address.replace("http://", "")} <b>${now.code}</b>`
      }</p>
      <nav aria-label="Rounds">
        ${Object.entries(now.kinds).map(
          ([kind, title]) => html`<button key=${kind} disabled=${now.review}
            aria-current=${kind === now.kind ? "step" : undefined}
            onClick=${() => post("/api/begin", { kind })}>${title}</button>`,
        )}
      </nav>
      <p class="room">
        ${
          hidden.value !== null &&
          html`<button onClick=${() => setSight(Number(hidden.value), "shown")}>Show again</button>`
        }
        ${
          !now.review &&
          html`<span>${now.online} here</span>
            <button class=${now.locked ? "main" : ""} onClick=${KEYS.l}>
              ${now.locked ? "Unlock" : "Lock"}
            </button>`
        }
        <button onClick=${() => go(-1)} disabled=${now.busy} aria-label="Back">←</button>
        <button onClick=${() => go(1)} disabled=${now.busy} aria-label="Next">→</button>
      </p>
    </footer>
    ${problem && html`<p class="failure" role="alert">${problem}</p>`}
    <${Opened} />`;
}

render(html`<${Page} />`, /** @type {Element} */ (document.getElementById("app")));
