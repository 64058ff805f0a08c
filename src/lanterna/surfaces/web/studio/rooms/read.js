// Read: a pad on which the network answers as the pen moves, and whole pages that are dropped on it.

import { makePad } from "lanterna/pad.js";
import { file, read, upload } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Picker } from "../pictures.js";
import { attempt, go, keep, networks, route, said } from "../store.js";

const QUICK = 80; // pixels of a drawing that is read as the pen moves: the reading takes a tenth of the pad's own 224
const WHOLE = 224;
const DIGITS = [...Array(10).keys()];

export default function Read() {
  const { query } = route.value;
  const network = query.get("network") ?? "conv";
  const page = query.get("in.picture");
  const [answer, setAnswer] = useState(null);
  const [problem, setProblem] = useState("");
  const [which, setWhich] = useState(0);
  const [picking, setPicking] = useState(false);
  const host = useRef();
  const asked = useRef({ busy: false, next: null, network }).current;
  asked.network = network;
  asked.surface = page ? "page" : "pad";
  asked.answered = (found) => {
    setAnswer(found);
    setProblem("");
    setWhich(Math.max(0, found.digits.length - 1));
  };

  // One question at a time, and always the newest drawing next.
  async function ask(blob) {
    asked.next = { blob, begun: performance.now() };
    if (asked.busy) return;
    asked.busy = true;
    while (asked.next) {
      const { blob: newest, begun } = asked.next;
      asked.next = null;
      try {
        const found = await read(newest, asked.network, asked.surface);
        asked.answered({ ...found, whole: performance.now() - begun });
      } catch (error) {
        setProblem(error.message);
      }
    }
    asked.busy = false;
  }
  useEffect(() => {
    if (page) return undefined;
    const pad = makePad((pixels) => {
      if (!pixels) {
        setAnswer(null);
        asked.next = null;
        return;
      }
      drawing(pad, QUICK).then(ask);
    });
    asked.pad = pad;
    host.current.replaceChildren(pad);
    return () => { host.current?.replaceChildren(); };
  }, [page]);
  useEffect(() => {
    if (!page) return;
    setAnswer(null);
    fetch(file(page)).then((response) => response.blob()).then(ask);
  }, [page, network]);
  useEffect(() => {
    if (!answer) return undefined;
    const told = setTimeout(() => { said.value = answer.digits.length ? `It says ${answer.text || answer.digits.map((each) => each.digit).join(" ")}.` : "It sees no digit."; }, 700);
    return () => clearTimeout(told);
  }, [answer]);

  // The drawing becomes a picture that the room Look can open.
  async function inside() {
    const picture = page ?? (await attempt(async () => upload(await drawing(asked.pad, WHOLE), "a drawing")))?.id;
    if (picture) go("look", { network, "in.picture": picture });
  }

  const digit = answer?.digits[Math.min(which, answer.digits.length - 1)];
  const readers = networks.value.filter((each) => each.here && each.input?.[0] === 1);
  return html`<div class="room read">
    <section class="pen" aria-label=${page ? "The page" : "The pad"}>
      ${page ? html`<${Page} id=${page} answer=${answer} which=${which} setWhich=${setWhich} />` : html`<div ref=${host} style=${{ display: "contents" }}></div>`}
    </section>
    <section class="reading" aria-label="What it says">
      <h1>Read</h1>
      <p class="said-digit" data-testid="answer">${answer ? (answer.digits.length ? answer.text || answer.digits.map((each) => each.digit).join("") : "–") : html`<span class="quiet" aria-hidden="true">?</span>`}</p>
      <ul class="chances" aria-label="How sure it is of each digit">
        ${DIGITS.map((each) => {
          const share = digit?.chances[each] ?? 0;
          return html`<li key=${each} data-most=${digit?.digit === each}><span>${each}</span><span class="bar-of" aria-hidden="true"><span style=${{ transform: `scaleX(${share})` }}></span></span><span class="share">${digit ? `${(100 * share).toFixed(1)} %` : ""}</span></li>`;
        })}
      </ul>
      <div class="seen" aria-label="What the network is shown" role="group">
        ${answer?.digits.slice(0, 40).map((each, place) => html`<button type="button" key=${place} aria-pressed=${place === which} aria-label=${`Digit ${place + 1}: ${each.digit}`} onClick=${() => setWhich(place)}><${Seen} pixels=${each.seen} /></button>`)}
      </div>
      <p class="hint" role="status">${problem ? html`${problem} <a href="#/train">Train a network</a> first.` : answer ? `${answer.whole.toFixed(0)} ms from the pen to the answer${digit?.note ? ` · ${digit.note}` : ""}` : "What the network is shown is normalised as MNIST’s digits are: a box of 20 pixels, its weight in the middle of 28."}</p>
      <div class="acts">
        <button type="button" class="button small" onClick=${() => setPicking(true)}>Read a page …</button>
        <button type="button" class="button small" disabled=${!answer?.digits.length} onClick=${inside}>Look inside</button>
        ${page && html`<button type="button" class="button small" onClick=${() => { setAnswer(null); keep({ "in.picture": null }); }}>Back to the pad</button>`}
        ${readers.length > 1 && html`<label class="check">Network <select value=${network} onChange=${(event) => keep({ network: event.target.value === "conv" ? null : event.target.value })}>${readers.map((each) => html`<option key=${each.name}>${each.name}</option>`)}</select></label>`}
      </div>
      ${picking && html`<${Picker} words="a page to read" close=${() => setPicking(false)} chosen=${(id) => { setPicking(false); keep({ "in.picture": id }); }} />`}
    </section>
  </div>`;
}

/** What is on the pad, white on black, as a PNG of `side` pixels. */
function drawing(pad, side) {
  const paper = document.createElement("canvas");
  paper.width = paper.height = side;
  const context = paper.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(pad.querySelector("canvas"), 0, 0, side, side);
  return new Promise((done) => paper.toBlob(done, "image/png"));
}

function Seen({ pixels }) {
  const canvas = useRef();
  useEffect(() => {
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(28, 28);
    pixels.forEach((value, place) => image.data.set([value, value, value, 255], 4 * place));
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return html`<canvas ref=${canvas} width="28" height="28"></canvas>`;
}

function Page({ id, answer, which, setWhich }) {
  const [size, setSize] = useState(null);
  const { width, height } = answer ?? size ?? { width: 4, height: 3 };
  return html`<div class="page-read" style=${{ width: `min(100cqw, 100cqh * ${width} / ${height})`, aspectRatio: `${width} / ${height}` }}>
    <img src=${file(id)} alt="The page that is read" onLoad=${(event) => setSize({ width: event.target.naturalWidth, height: event.target.naturalHeight })} />
    ${answer?.digits.map((each, place) => {
      const [left, top, right, bottom] = each.box;
      return html`<button type="button" key=${place} aria-pressed=${place === which} aria-label=${`Digit ${place + 1}: ${each.digit}`} onClick=${() => setWhich(place)}
        style=${{ left: `${(100 * left) / width}%`, top: `${(100 * top) / height}%`, width: `${(100 * (right - left)) / width}%`, height: `${(100 * (bottom - top)) / height}%` }}><span>${each.digit}</span></button>`;
    })}
  </div>`;
}
