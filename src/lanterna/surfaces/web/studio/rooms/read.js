// Read: a pad on which the network answers as the pen moves, and whole pages that are dropped on it.

import { messageOf } from "lanterna/words.js";
import { contextOf } from "lanterna/canvas.js";
import { makePad } from "lanterna/pad.js";
import { file, read, readSteps, upload, url } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Picker, take, useArrivals } from "../pictures.js";
import { attempt, go, keep, networks, route, said } from "../store.js";

/** @import { Child, Ref, State } from "preact" */
/** @import { Reading } from "../api.js" */

/** @typedef {Reading & { whole: number }} Told - and how long it took, in milliseconds

    @typedef {object} Asked - what is being read, and what is to be read next
    @property {boolean} busy
    @property {{ blob: Blob, begun: number } | null} next
    @property {string} network
    @property {string} surface
    @property {Blob | null} [last]
    @property {number} [resting]
    @property {HTMLElement} [pad]
    @property {(found: Told) => void} answered */

// Pixels of a drawing that is read as the pen moves: the reading takes a tenth of the pad's own 224.
const QUICK = 80;
const WHOLE = 224;
const REST = 120; // ms without a new drawing after which the pen rests
const GLANCE = 700; // ms between two looks through the camera
const DIGITS = [...Array(10).keys()];

export default function Read() {
  const { query } = route.value;
  const network = query.get("network") ?? "conv";
  const camera = query.get("from") === "camera";
  const page = camera ? null : query.get("in.picture");
  const looks = query.get("inside") === "1";
  const [answer, setAnswer] = useState(/** @type {Told | null} */ (null));
  const [problem, setProblem] = useState("");
  const [which, setWhich] = useState(0);
  const [picking, setPicking] = useState(false);
  // The address of the picture of all steps.
  const [steps, setSteps] = useState(/** @type {string | null} */ (null));
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  /** @type {Ref<HTMLIFrameElement>} */
  const inner = useRef();
  /** @type {Ref<Asked>} */
  const { current: asked } = useRef({ busy: false, next: null, network, surface: "pad", answered: () => {} });
  asked.network = network;
  asked.surface = page || camera ? "page" : "pad";
  asked.answered = (found) => {
    // Until the new one is here, the last why stays.
    setAnswer((last) =>
      found.digits.some((each) => each.why) || !last
        ? found
        : {
            ...found,
            digits: found.digits.map((each, place) => ({
              ...each,
              why: last.digits[place]?.digit === each.digit ? last.digits[place].why : null,
            })),
          },
    );
    setProblem("");
    setWhich(Math.max(0, found.digits.length - 1));
  };

  /** One question at a time, and always the newest drawing next.

      @param {Blob | null} blob */
  async function ask(blob) {
    if (!blob) return;
    asked.next = { blob, begun: performance.now() };
    asked.last = blob;
    clearTimeout(asked.resting);
    if (asked.busy) return;
    asked.busy = true;
    while (asked.next) {
      const { blob: newest, begun } = asked.next;
      asked.next = null;
      const moves = asked.surface === "pad";
      try {
        const found = await read(newest, asked.network, asked.surface, moves);
        const whole = performance.now() - begun;
        if (asked.last === null) continue; // wiped meanwhile
        asked.answered({ ...found, whole });
        // To tell why, and two digits that touch, takes longer: it is asked for when the pen rests.
        if (moves && found.digits.length)
          asked.resting = setTimeout(
            () =>
              read(newest, asked.network, asked.surface, false).then(
                (told) => asked.last === newest && asked.answered({ ...told, whole }),
                () => {},
              ),
            REST,
          );
      } catch (error) {
        setProblem(messageOf(error));
      }
    }
    asked.busy = false;
  }
  useEffect(() => {
    if (page || camera) return undefined;
    setAnswer(null);
    const pad = makePad((pixels) => {
      if (!pixels) {
        setAnswer(null);
        clearTimeout(asked.resting);
        asked.next = asked.last = null; // an answer that is under way is to nothing now
        return;
      }
      drawing(pad, QUICK).then(ask);
    });
    asked.pad = pad;
    host.current.replaceChildren(pad);
    return () => {
      host.current?.replaceChildren();
    };
  }, [page, camera]);
  useArrivals((id) => keep({ "in.picture": id, from: null }), true);
  useEffect(() => {
    if (!page) return;
    setAnswer(null);
    fetch(file(page))
      .then((response) => response.blob())
      .then(ask);
  }, [page, network]);
  useEffect(() => {
    if (!answer) return undefined;
    const told = setTimeout(() => {
      said.value = answer.digits.length
        ? `It says ${answer.text || answer.digits.map((each) => each.digit).join(" ")}.`
        : "It sees no digit.";
    }, 700);
    return () => clearTimeout(told);
  }, [answer]);

  async function showSteps() {
    const { last, surface } = asked;
    const blob = last && (await attempt(() => readSteps(last, network, surface)));
    if (blob) setSteps(URL.createObjectURL(blob));
  }

  // The drawing becomes a picture that the room Look can open.
  async function inside() {
    const { pad } = asked;
    const blob = page || !pad ? null : await drawing(pad, WHOLE);
    const picture = page ?? (blob && (await attempt(() => upload(blob, "a drawing")))?.id);
    if (picture) go("look", { network, "in.picture": picture });
  }

  const digit = answer?.digits[Math.min(which, answer.digits.length - 1)];
  // The look view beside the pad sees what the network was shown.
  const tell = () => {
    if (looks && digit)
      inner.current?.contentWindow?.postMessage({ pixels: digit.seen.map((level) => level / 255) }, "*");
  };
  useEffect(tell, [looks, digit]);
  const readers = networks.value.filter((each) => each.here && each.input?.[0] === 1);
  const source = page ? "page" : camera ? "camera" : "pad";
  return html`
    <div class="room read" data-inside=${looks}>
      <section
        class="pen"
        aria-label=${{ page: "The page", camera: "The camera", pad: "The pad" }[source]}
      >
        ${
          page
            ? html`<${Page} picture=${file(page)} answer=${answer} which=${which} setWhich=${setWhich} />`
            : camera
              ? html`
                <${Live}
                  glance=${ask}
                  answer=${answer}
                  which=${which}
                  setWhich=${setWhich}
                  still=${async (blob) => {
                    const picture = await take(new File([blob], "page.jpg", { type: "image/jpeg" }));
                    if (picture) keep({ "in.picture": picture.id, from: null });
                  }}
                />
              `
              : html`<div ref=${host} style=${{ display: "contents" }}></div>`
        }
      </section>
      <section class="reading" aria-label="What it says">
        <h1>Read</h1>
        <div class="verdict">
          <p class="said-digit" data-testid="answer" data-long=${(answer?.text ?? "").length > 2}>
            ${
              answer
                ? answer.digits.length
                  ? answer.text || answer.digits.map((each) => each.digit).join("")
                  : "–"
                : html`
                  <span class="quiet" aria-hidden="true">
                    ?
                  </span>
                `
            }
          </p>
          <div class="because">
            <figure>
              <${Seen} pixels=${digit?.seen} />
              <figcaption>what it is shown</figcaption>
            </figure>
            <figure>
              <${Why} why=${digit?.why} seen=${digit?.seen} />
              <figcaption>
                ${
                  digit?.why
                    ? html`
                      why ${digit.digit}: <b class="for">for</b> it, <b class="against">against</b> it,
                      rather than ${digit.why.rather_than}
                    `
                    : "what speaks for the answer"
                }
              </figcaption>
            </figure>
          </div>
        </div>
        <ul class="chances" aria-label="How sure it is of each digit">
          ${DIGITS.map((each) => {
            const share = digit?.chances[each] ?? 0;
            return html`
              <li key=${each} data-most=${digit?.digit === each}>
                <span>${each}</span>
                <span class="bar-of" aria-hidden="true">
                  <span style=${{ transform: `scaleX(${share})` }}></span>
                </span>
                <span class="share">${digit ? `${(100 * share).toFixed(1)} %` : ""}</span>
              </li>
            `;
          })}
        </ul>
        ${
          answer &&
          answer.digits.length > 1 &&
          html`
            <div class="seen" aria-label="The digits that were found" role="group">
              ${answer.digits.slice(0, 40).map(
                (each, place) => html`
                  <button
                    type="button"
                    key=${place}
                    aria-pressed=${place === which}
                    aria-label=${`Digit ${place + 1}: ${each.digit}`}
                    onClick=${() => setWhich(place)}
                  >
                    <${Seen} pixels=${each.seen} />
                  </button>
                `,
              )}
            </div>
          `
        }
        <p class="hint" role="status">
          ${
            problem
              ? html`${problem} <a href="#/train">Train a network</a> first.`
              : answer
                ? [
                    `${answer.whole.toFixed(0)} ms ` +
                      `from ${source === "pad" ? "the pen" : "the page"} to the answer`,
                    digit?.note,
                    answer.notes?.join("; "),
                  ]
                    .filter(Boolean)
                    .join(" · ")
                : "What the network is shown is normalised as MNIST’s digits are: " +
                  "a box of 20 pixels, its weight in the middle of 28."
          }
        </p>
        <div class="acts">
          ${
            source !== "pad" &&
            html`
              <button
                type="button"
                class="button small"
                onClick=${() => {
                  setAnswer(null);
                  keep({ "in.picture": null, from: null });
                }}
              >
                Back to the pad
              </button>
            `
          }
          <button type="button" class="button small" onClick=${() => setPicking(true)}>
            Read a page …
          </button>
          ${
            source !== "camera" &&
            html`
              <button
                type="button"
                class="button small"
                onClick=${() => {
                  setAnswer(null);
                  keep({ from: "camera", "in.picture": null });
                }}
              >
                Camera
              </button>
            `
          }
          <button type="button" class="button small" disabled=${!answer} onClick=${showSteps}>
            The steps to it
          </button>
          <button
            type="button"
            class="button small"
            aria-pressed=${looks}
            onClick=${() => keep({ inside: looks ? null : "1" })}
          >
            Look inside as I draw
          </button>
          <button type="button" class="button small" disabled=${!answer?.digits.length} onClick=${inside}>
            Open in Look
          </button>
          ${
            readers.length > 1 &&
            html`
              <label class="check">
                Network${" "}
                <select
                  value=${network}
                  onChange=${(event) =>
                    keep({ network: event.target.value === "conv" ? null : event.target.value })}
                >
                  ${readers.map((each) => html`<option key=${each.name}>${each.name}</option>`)}
                </select>
              </label>
            `
          }
        </div>
        ${
          picking &&
          html`
            <${Picker}
              words="a page to read"
              close=${() => setPicking(false)}
              chosen=${(id) => {
                setPicking(false);
                keep({ "in.picture": id, from: null });
              }}
            />
          `
        }
        ${
          steps &&
          html`
            <${Steps}
              address=${steps}
              close=${() => {
                URL.revokeObjectURL(steps);
                setSteps(null);
              }}
            />
          `
        }
      </section>
      ${
        looks &&
        html`
          <iframe
            class="inner"
            ref=${inner}
            key=${network}
            src=${url(`/api/look?network=${encodeURIComponent(network)}`)}
            sandbox="allow-scripts"
            title="The drawing in the network"
            onLoad=${tell}
          ></iframe>
        `
      }
    </div>
  `;
}

/** @param {{ address: string, close: () => void }} props */
function Steps({ address, close }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`
    <dialog
      ref=${dialog}
      class="picker steps"
      aria-label="From the page to the network"
      onClose=${close}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}
    >
      <header>
        <h2>How it was made ready</h2>
        <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
          Close
        </button>
      </header>
      <img src=${address} alt="Each step from the page to what the network is shown" />
    </dialog>
  `;
}

/** What is on the pad, white on black, as a PNG of `side` pixels.
    @param {HTMLElement} pad
    @param {number} side
    @returns {Promise<Blob | null>} */
function drawing(pad, side) {
  const paper = document.createElement("canvas");
  paper.width = paper.height = side;
  const context = contextOf(paper);
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(/** @type {HTMLCanvasElement} */ (pad.querySelector("canvas")), 0, 0, side, side);
  return new Promise((done) => paper.toBlob(done, "image/png"));
}

/** @param {{ pixels: number[] }} props */
function Seen({ pixels }) {
  /** @type {Ref<HTMLCanvasElement>} */
  const canvas = useRef();
  useEffect(() => {
    const context = contextOf(canvas.current);
    const image = context.createImageData(28, 28);
    for (let place = 0; place < 784; place += 1)
      image.data.set([...Array(3).fill(pixels?.[place] ?? 0), 255], 4 * place);
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return html`<canvas ref=${canvas} width="28" height="28"></canvas>`;
}

/** Amber speaks for the answer and blue against it, over a shade of the digit.
    @param {{ why: import("../api.js").Why | null, seen: number[] }} props */
function Why({ why, seen }) {
  /** @type {Ref<HTMLCanvasElement>} */
  const canvas = useRef();
  useEffect(() => {
    const context = contextOf(canvas.current);
    const image = context.createImageData(28, 28);
    const style = getComputedStyle(document.documentElement);
    const [amber, blue] = [colour("#f5b041"), colour(style.getPropertyValue("--against").trim())];
    for (let place = 0; place < 784; place += 1) {
      const share = Math.sign(why?.terms[place] ?? 0) * Math.sqrt(Math.abs(why?.terms[place] ?? 0) / 100);
      const ground = 0.16 * (seen?.[place] ?? 0);
      const end = share > 0 ? amber : blue;
      image.data.set(
        [0, 1, 2].map((band) => ground + Math.abs(share) * (end[band] - ground)).concat(255),
        4 * place,
      );
    }
    context.putImageData(image, 0, 0);
  }, [why]);
  return html`
    <canvas
      ref=${canvas}
      width="28"
      height="28"
      role="img"
      aria-label=${
        why ? "Which pixels speak for the answer, in amber, and against it, in blue" : "Nothing yet"
      }
    ></canvas>
  `;
}

/** @param {string} text */
const colour = (text) => [1, 3, 5].map((place) => Number.parseInt(text.slice(place, place + 2), 16));

/** @param {{ picture: string, answer: Told | null, which: number, setWhich: (place: number) => void,
        children?: Child }} props */
function Page({ picture, answer, which, setWhich, children }) {
  const [size, setSize] = useState(/** @type {{ width: number, height: number } | null} */ (null));
  const { width, height } = answer ?? size ?? { width: 4, height: 3 };
  return html`
    <div
      class="page-read"
      style=${{
        width: `min(100cqw, 100cqh * ${width} / ${height})`,
        aspectRatio: `${width} / ${height}`,
      }}
    >
      ${
        children ??
        html`
          <img
            src=${picture}
            alt="The page that is read"
            onLoad=${(event) =>
              setSize({ width: event.target.naturalWidth, height: event.target.naturalHeight })}
          />
        `
      }
      ${answer?.digits.map((each, place) => {
        const [left, top, right, bottom] = each.box;
        return html`
          <button
            type="button"
            key=${place}
            aria-pressed=${place === which}
            aria-label=${`Digit ${place + 1}: ${each.digit}`}
            onClick=${() => setWhich(place)}
            style=${{
              left: `${(100 * left) / width}%`,
              top: `${(100 * top) / height}%`,
              width: `${(100 * (right - left)) / width}%`,
              height: `${(100 * (bottom - top)) / height}%`,
            }}
          >
            <span>${each.digit}</span>
          </button>
        `;
      })}
    </div>
  `;
}

/** A page held into the camera is read about once a second.
    @param {{ glance: (blob: Blob) => Promise<void>, still: (blob: Blob) => void, answer: Told | null, which:
        number, setWhich: (place: number) => void }} props */
function Live({ glance, still, ...page }) {
  /** @type {Ref<HTMLVideoElement>} */
  const video = useRef();
  const [problem, setProblem] = useState("");
  /** @type {Ref<() => Promise<Blob | null>>} */
  const shot = useRef();
  shot.current = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.current?.videoWidth ?? 0, video.current?.videoHeight ?? 0];
    if (!canvas.width) return Promise.resolve(null);
    contextOf(canvas).drawImage(video.current, 0, 0);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  };
  useEffect(() => {
    /** @type {MediaStream | null} */
    let stream = null;
    let gone = false;
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    const asked = navigator.mediaDevices?.getUserMedia({
      video: { width: { ideal: 1280 }, facingMode: "environment" },
    });
    if (!asked) setProblem("This browser has no camera to offer here.");
    asked?.then(
      (opened) => {
        stream = opened;
        if (gone) stop();
        else video.current.srcObject = opened;
      },
      () => setProblem("The camera did not open: the browser, or another program, keeps it."),
    );
    let due = 0;
    const look = async () => {
      const blob = await shot.current();
      if (blob && !gone) await glance(blob);
      if (!gone) due = setTimeout(look, GLANCE);
    };
    due = setTimeout(look, GLANCE);
    return () => {
      gone = true;
      clearTimeout(due);
      stop();
    };
  }, []);
  if (problem) return html`<p class="empty">${problem}</p>`;
  return html`
    <div class="camera-live">
      <${Page} ...${page}>
        <video ref=${video} autoplay muted playsinline aria-label="What the camera sees"></video>
      <//>
      <button
        type="button"
        class="button primary"
        onClick=${async () => {
          const blob = await shot.current();
          if (blob) still(blob);
        }}
      >
        Keep this still
      </button>
    </div>
  `;
}
