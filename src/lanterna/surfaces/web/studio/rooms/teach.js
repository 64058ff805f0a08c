// Teach: your own pictures as classes, from files or held before the camera, and a network that tells them
// apart.

import { contextOf } from "lanterna/canvas.js";
import { classify, file, get, patch, post, thumbnail, upload } from "../api.js";
import { Typed } from "../form.js";
import { html, signal, time, useEffect, useRef, useState } from "../html.js";
import { remember, usePicture } from "../pictures.js";
import { FirstTime } from "../shelf.js";
import { active, attempt, jobOf, keep, networks, put, techniqueOf, route } from "../store.js";
/** @import { Ref, Signal, State } from "preact" */
/** @import { Answer, Job } from "../api.js" */

/** @typedef {{ name: string, ids: string[] }} Shown - a class: its name, and the pictures of it

    @typedef {ReturnType<typeof useCamera>} Camera */

const PLACE = "lanterna-classes"; // too many pictures for an address: kept in this browser
const FEWEST = 4;
const GOOD = 20;
const EVERY = 250; // milliseconds between two pictures while the camera's button is held
const LOOK = 400; // and between two answers

/** @returns {Shown[]} */
const begun = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "null");
    if (Array.isArray(kept) && kept.every(({ name, ids }) => typeof name === "string" && Array.isArray(ids)))
      return kept;
  } catch {
    /* nothing that can be read: begin anew */
  }
  return [
    { name: "", ids: [] },
    { name: "", ids: [] },
  ];
};
const classes = signal(begun());
/** @param {Shown[]} next */
const set = (next) => {
  classes.value = next;
  localStorage.setItem(PLACE, JSON.stringify(next));
};
/** @param {number} place
    @param {Partial<Shown>} what */
const change = (place, what) =>
  set(classes.value.map((each, number) => (number === place ? { ...each, ...what } : each)));
/** @param {number} place
    @param {string[]} ids */
const add = (place, ids) => change(place, { ids: [...classes.value[place].ids, ...ids] });

export default function Teach() {
  const technique = techniqueOf("teach");
  const { query } = route.value;
  const asked = query.get("job");
  const job =
    (asked ? jobOf(asked) : active.value.find((each) => each.kind === "teach" && each.state !== "queued")) ??
    null;
  const running = job && ["running", "paused", "queued"].includes(job.state);
  const camera = useCamera();
  const named = classes.value.map(({ name }) => name.trim());
  const twice = named.find((name, place) => name && named.indexOf(name) !== place);
  const full = classes.value.filter(({ ids }) => ids.length > 0);
  const missing =
    full.length < 2
      ? "Give two classes pictures"
      : full.some(({ name }) => !name.trim())
        ? "Name every class"
        : twice
          ? `Two classes are called ${twice}`
          : full.some(({ ids }) => ids.length < FEWEST)
            ? `Give each class ${FEWEST} pictures at least`
            : null;
  if (!technique)
    return html`
      <div class="room">
        <p class="empty">This room is not open yet.</p>
      </div>
    `;

  async function start() {
    const inputs = full.flatMap(({ ids }) => ids.map((picture) => ({ role: "picture", picture })));
    const settings = {
      labels: full.flatMap(({ name, ids }) => ids.map(() => name.trim())),
      ...(query.get("fine_tune") && { fine_tune: true }),
    };
    const made = await attempt(() =>
      post("/api/jobs", { kind: "teach", settings, inputs, title: query.get("name") ?? "" }),
    );
    if (!made) return;
    put(made);
    keep({ job: made.id });
  }
  return html`
    <div class="room make teach">
      <section class="workspace" aria-label="Classes">
        <ul class="classes-taught">
          ${classes.value.map(
            (each, place) => html`
              <${Class} key=${place} place=${place} ...${each} camera=${camera} />
            `,
          )}
          <li>
            <button
              type="button"
              class="add-class"
              onClick=${() => set([...classes.value, { name: "", ids: [] }])}
            >
              + another class
            </button>
          </li>
        </ul>
        <div class="caption">
          <p class="facts" role="status">
            ${told(job).map((each) => html`<span key=${each}>${each}</span>`)}
          </p>
        </div>
      </section>
      <aside class="panel" aria-label="Teaching">
        <div class="scroll">
          <h1>Teach</h1>
          <p class="lead">
            Show a network pictures of two things or more, from files or before the camera. ${GOOD} of
            each are good; different backgrounds make it surer.
          </p>
          <${Live} camera=${camera} job=${job} />
          <div class="field named">
            <div class="head">
              <label for="set-name">Name</label>
            </div>
            <${Typed}
              type="text"
              id="set-name"
              value=${query.get("name") ?? ""}
              placeholder="automatic"
              maxlength="40"
              autocomplete="off"
              spellcheck=${false}
              aria-describedby="set-name-words"
              commit=${(event) => keep({ name: event.target.value.trim().toLowerCase() })}
            />
            <p class="hint" id="set-name-words">
              What the rest of the studio calls it: small letters, digits and -.
            </p>
          </div>
          <label class="check">
            <input
              type="checkbox"
              checked=${!!query.get("fine_tune")}
              onChange=${(event) => keep({ fine_tune: event.target.checked ? "1" : null })}
            />${" "}
            Fine-tune, which takes minutes
          </label>
          <${FirstTime} names=${["efficientnet-lite0"]} />
          ${job?.state === "done" && html`<${Taught} job=${job} camera=${camera} />`}
        </div>
        <div class="go">
          ${
            running &&
            html`
              <button
                type="button"
                class="button"
                onClick=${() =>
                  attempt(async () => put(await patch(`/api/jobs/${job.id}`, { state: "stopped" })))}
              >
                Stop
              </button>
            `
          }
          <button type="button" class="button primary" disabled=${!!missing} onClick=${start}>
            ${missing ?? (running ? "Teach another" : "Teach")}
          </button>
        </div>
      </aside>
    </div>
  `;
}

/** @param {Job | null} job */
function told(job) {
  if (!job) return ["Nothing has been taught here yet."];
  const first =
    {
      queued: "waiting for its turn",
      failed: `failed: ${job.error}`,
      done: `${job.title} is taught`,
      stopped: "stopped",
    }[job.state] ?? `${job.step} of ${job.steps || "…"} pictures`;
  const right = job.numbers?.accuracy;
  return [
    first,
    ...(job.state === "running" && job.seconds_left != null ? [`${time(job.seconds_left)} left`] : []),
    ...(right != null ? [`${(100 * right).toFixed(0)} % of the pictures held out named right`] : []),
  ];
}

// One class: its name, its pictures, and how more come.
/** @param {{ place: number, name: string, ids: string[], camera: Camera }} props */
function Class({ place, name, ids, camera }) {
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  const [over, setOver] = useState(false);
  const [coming, setComing] = useState(0);
  async function take(files) {
    setComing(files.length);
    for (const each of files) {
      const picture = await attempt(() => upload(each));
      if (picture) add(place, [remember(picture).id]);
      setComing((left) => left - 1);
    }
    setComing(0);
  }
  const called = name.trim() || `class ${place + 1}`;
  return html`
    <li
      class="taught-class"
      data-over=${over}
      onDragOver=${(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave=${() => setOver(false)}
      onDrop=${(event) => {
        event.preventDefault();
        event.stopPropagation();
        setOver(false);
        take([...event.dataTransfer.files]);
      }}
    >
      <header>
        <input
          type="text"
          value=${name}
          maxlength="60"
          placeholder="What is this?"
          aria-label=${`Name of class ${place + 1}`}
          onInput=${(event) => change(place, { name: event.target.value })}
        />
        <output aria-label=${`Pictures of ${called}`} data-few=${ids.length < FEWEST}>
          ${ids.length}
          ${ids.length < GOOD ? html`<span class="quiet"> of ${GOOD}</span>` : ""}
        </output>
        <button type="button" class="button small" onClick=${() => input.current.click()}>
          Files …
        </button>
        ${
          camera.on &&
          html`
            <${Hold}
              label=${`Take pictures of ${called}`}
              shoot=${async () => {
                const blob = await camera.shot();
                if (blob) await take([blob]);
              }}
            />
          `
        }
        <button
          type="button"
          class="away"
          aria-label=${`Remove ${called}`}
          onClick=${() => set(classes.value.filter((_, number) => number !== place))}
        >
          ×
        </button>
        <input
          ref=${input}
          type="file"
          accept="image/*"
          multiple
          class="unseen"
          tabindex="-1"
          aria-label=${`Pictures of ${called} from this computer`}
          onChange=${(event) => {
            take([...event.target.files]);
            event.target.value = "";
          }}
        />
      </header>
      <div class="pictures-of">
        ${ids.map(
          (id, number) => html`
            <button
              type="button"
              key=${id + number}
              class="one-of"
              aria-label=${`Remove picture ${number + 1} of ${called}`}
              onClick=${() => change(place, { ids: ids.filter((_, each) => each !== number) })}
            >
              <${Small} id=${id} />
            </button>
          `,
        )}
        ${
          coming > 0 &&
          html`
            <span class="hint" role="status">
              ${coming} more …
            </span>
          `
        }
        ${ids.length === 0 && coming === 0 && html`<p class="hint">Drop pictures here.</p>`}
      </div>
    </li>
  `;
}

/** @param {{ id: string }} props */
function Small({ id }) {
  usePicture(id);
  return html`<img loading="lazy" src=${thumbnail(id)} alt="" />`;
}

// A button that takes one picture when pressed, and more while it is held.
/** @param {{ label: string, shoot: () => void }} props */
function Hold({ label, shoot }) {
  const timer = useRef(0);
  const stop = () => {
    clearInterval(timer.current);
    timer.current = 0;
  };
  useEffect(() => stop, []);
  return html`
    <button
      type="button"
      class="button small"
      aria-label=${label}
      onClick=${(event) => {
        if (event.detail === 0) shoot();
      }}
      onPointerDown=${() => {
        shoot();
        stop();
        timer.current = setInterval(shoot, EVERY);
      }}
      onPointerUp=${stop}
      onPointerLeave=${stop}
      onPointerCancel=${stop}
    >
      Hold to take
    </button>
  `;
}

// The camera: off until it is asked for, and off again when the room is left.
function useCamera() {
  /** @type {Ref<HTMLVideoElement>} */
  const video = useRef();
  const stream = useRef(/** @type {MediaStream | null} */ (null));
  const [on, setOn] = useState(false);
  const [problem, setProblem] = useState("");
  const stop = () => {
    stream.current?.getTracks().forEach((track) => track.stop());
    stream.current = null;
    setOn(false);
  };
  useEffect(() => stop, []);
  useEffect(() => {
    if (on && video.current) video.current.srcObject = stream.current;
  }, [on]);
  async function start() {
    try {
      stream.current = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
      setProblem("");
      setOn(true);
    } catch {
      setProblem("The camera did not open: the browser, or another program, keeps it.");
    }
  }
  function shot() {
    const { videoWidth, videoHeight } = video.current ?? {};
    if (!videoWidth) return Promise.resolve(null);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [videoWidth, videoHeight];
    contextOf(canvas).drawImage(video.current, 0, 0);
    return new Promise((resolve) =>
      canvas.toBlob(
        (blob) => resolve(blob && new File([blob], "camera.jpg", { type: "image/jpeg" })),
        "image/jpeg",
        0.9,
      ),
    );
  }
  return { video, on, problem, start, stop, shot };
}

/** @param {{ camera: Camera }} props */
function Live({ camera }) {
  return html`
    <div class="camera">
      ${
        camera.on &&
        html`
          <video ref=${camera.video} autoplay muted playsinline aria-label="What the camera sees"></video>
        `
      }
      ${
        camera.problem &&
        html`
          <p class="hint" role="status">
            ${camera.problem}
          </p>
        `
      }
      <button type="button" class="button" onClick=${camera.on ? camera.stop : camera.start}>
        ${camera.on ? "Close the camera" : "Open the camera"}
      </button>
    </div>
  `;
}

// The network that was taught: how it did, and what it says about another picture, or about the camera's.
/** @param {{ job: Job, camera: Camera }} props */
function Taught({ job, camera }) {
  const network = networks.value.find((each) => each.name === job.title && each.here);
  const [answers, setAnswers] = useState(/** @type {Answer[] | null} */ (null));
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  const ask = async (blob) => {
    const found = blob && (await attempt(() => classify(blob, job.title)));
    if (found) setAnswers(found.answers);
  };
  useEffect(() => {
    // while the camera is open it is asked again and again
    if (!camera.on || !network) return undefined;
    let gone = false;
    (async () => {
      while (!gone) {
        const blob = await camera.shot();
        if (blob && !gone)
          await classify(blob, job.title).then(
            (found) => gone || setAnswers(found.answers),
            () => {},
          );
        await new Promise((resolve) => setTimeout(resolve, LOOK));
      }
    })();
    return () => {
      gone = true;
    };
  }, [camera.on, network?.name]);
  useEffect(() => {
    if (!network)
      attempt(async () => {
        networks.value = await get("/api/networks");
      });
  }, [job.id]);
  if (!network) return null;
  return html`
    <section class="taught" aria-label=${`What ${job.title} says`}>
      <h2>${job.title}</h2>
      ${
        job.picture &&
        html`
          <a
            href=${file(job.picture)}
            target="_blank"
            rel="noopener"
            aria-label="Which pictures it named wrong, as large as it is"
          >
            <img src=${thumbnail(job.picture)} alt="" />
          </a>
        `
      }
      <button type="button" class="button" onClick=${() => input.current.click()}>
        Try a picture …
      </button>
      <input
        ref=${input}
        type="file"
        accept="image/*"
        class="unseen"
        tabindex="-1"
        aria-label="A picture to be named"
        onChange=${(event) => ask(event.target.files[0])}
      />
      <div role="status" aria-label="What it is">
        <ol class="answers">
          ${(answers ?? []).map(
            (each) => html`
              <li key=${each.class}>
                <span>${each.name}</span>
                <meter
                  min="0"
                  max="1"
                  value=${each.chance}
                  aria-label=${`How sure it is of ${each.name}`}
                ></meter>
                <output>${(100 * each.chance).toFixed(0)} %</output>
              </li>
            `,
          )}
        </ol>
      </div>
      <div class="tools">
        <a class="button small" href=${`#/look?network=${job.title}`}>
          Look inside
        </a>
        <a class="button small" href=${`#/dream?network=${job.title}`}>
          Dream with it
        </a>
      </div>
    </section>
  `;
}
