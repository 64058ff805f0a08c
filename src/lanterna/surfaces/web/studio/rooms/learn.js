// Learn: the lecture's claims, each a page with an interactive figure, an experiment, and its finding.

import { messageOf } from "lanterna/words.js";
import { makeChart } from "lanterna/chart.js";
import { file, get, post, url } from "../api.js";
import { Form } from "../form.js";
import { addStyles, lazy } from "../lazy.js";
import { figure, html, signal, useEffect, useMemo, useRef, useState, words } from "../html.js";
import { usePicture } from "../pictures.js";
import { same, settings, parseValue, formatValue } from "../schema.js";
import { FirstTime } from "../shelf.js";
import { readers, TrainFirst } from "../train_first.js";
import {
  active,
  address,
  attempt,
  jobs,
  setQuery,
  subject,
  updateJob,
  techniqueOf,
  route,
} from "../store.js";
import { progress, SendTo, useJob } from "./make.js";

/** @import { Chart as Charted } from "lanterna/chart.js" */
/** @import { Changed, Settings } from "lanterna/lessons/parts.js" */
/** @import { Child, Ref, Signal, State } from "preact" */
/** @import { Technique } from "../api.js" */

/** @typedef {object} Task
    @property {string} try
    @property {string} predict
    @property {string} answer
    @property {string[]} choices

    @typedef {object} Lesson
    @property {string} name
    @property {string} title
    @property {string} question
    @property {string} claim
    @property {{ line: string, author: string, url: string } | null} quote - the lecture's own line
    @property {string[]} explanation - paragraphs
    @property {string} seen - what the interactive figure shows
    @property {string} program - a short program, in Python
    @property {string} where
    @property {boolean} quick - its experiment runs without a job
    @property {string[]} needs - items of the shelf
    @property {Task[]} exercises
    @property {{ make: string, look_for: string } | null} brief - a picture to make

    @typedef {{ answer?: number | string, right?: boolean, tries?: number, explanation?: string }} SavedAnswer

    @typedef {{ verdict?: string, words?: string, numbers?: [string, string][], seeds?: number[] }} Found

    @typedef {{ charts: Charted[], finding: Found, rows: string[][], took?: string }} Outcome - of an
        experiment; `took` if it was measured in advance

    @typedef {{ set: (settings: Settings) => void, unmount: () => void }} Mounted - an interactive figure */

await addStyles("/web/studio/learn.css");

const Presentation = lazy(() => import("./present.js"));
const lessons = signal(/** @type {Lesson[]} */ ([])); // empty until they have loaded
/** @type {Signal<Record<string, Record<string, SavedAnswer>>>} */
const savedAnswers = signal({}); // the answers and explanations on this machine, by lesson and exercise
const unreadable = signal(""); // why they could not be loaded
export const FIGURES = {
  // a lesson's interactive figure: a module of lanterna/lessons/
  gates: "gates",
  derivative: "slope",
  circuits: "circuit",
  neuron: "neuron",
  layers: "rings",
  descent: "hill",
  curve: "sketch",
  functions: "sketch",
  squash: "chain",
  normalised: "booth",
  edges: "kernel",
  quickstart: "loss",
  painting: "waves",
  parts: "loop",
  cells: "cells",
  digit: "inside",
  paths: "inside",
};
const DRAWN_SETTINGS = ["own"]; // settings that are drawn, not typed
const VERDICTS = { holds: "True", "holds only when": "Partly true", "does not hold": "Not true" };
const STUDENT_KEY = "lanterna-student";
const CODE_COLUMNS = ["in the original", "in torch"]; // of a table
const DELAY = 120; // milliseconds after a control's last change

/** Load the answers, which another tab or the command line may have changed. */
async function loadAnswers() {
  const before = savedAnswers.value;
  try {
    const found = await get("/api/answers");
    if (savedAnswers.value === before) savedAnswers.value = found; // else newer ones were saved meanwhile
    unreadable.value = "";
  } catch (error) {
    unreadable.value = messageOf(error);
  }
}

export default function Learn() {
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    Promise.all([get("/api/lessons"), loadAnswers()]).then(
      ([found]) => {
        lessons.value = found;
      },
      (error) => setWrong(messageOf(error)),
    );
    globalThis.addEventListener("focus", loadAnswers);
    return () => globalThis.removeEventListener("focus", loadAnswers);
  }, []);
  const kind = route.value.query.get("kind") ?? "";
  if (!lessons.value.length)
    return html`
      <p class="empty late" role="status">
        ${wrong || "Loading the lessons …"}
      </p>
    `;
  const place = lessons.value.findIndex(({ name }) => `learn-${name}` === kind);
  return place < 0
    ? html`<${Contents} />`
    : html`<${Page} key=${kind} place=${place} technique=${techniqueOf(kind)} />`;
}

const lessonAddress = (/** @type {number} */ place) =>
  address("learn", { kind: `learn-${lessons.value[place].name}` });

function Contents() {
  return html`
    <div class="contents">
      <h1>Learn</h1>
      <p class="lead">
        The lecture’s claims, each with an experiment: change something, and see whether the claim is still
        true.
      </p>
      <ol>
        ${lessons.value.map(
          ({ name, title, question }, place) => html`
            <li key=${name}>
              <a href=${lessonAddress(place)}>
                <span class="ordinal" aria-hidden="true">
                  ${place + 1}
                </span>
                <span class="title">${title}</span>
                <span class="asks">${question}</span>
              </a>
            </li>
          `,
        )}
      </ol>
      <${HandIn} />
    </div>
  `;
}

/** Everything that was answered and starred, as one file for the teacher. */
function HandIn() {
  const [student, setStudent] = useState(localStorage.getItem(STUDENT_KEY) ?? "");
  const entries = Object.values(savedAnswers.value).flatMap((each) => Object.values(each));
  const [answered, explained] = [
    entries.filter((each) => each.answer != null).length,
    entries.filter((each) => each.explanation).length,
  ];
  const [starred, setStarred] = useState(0);
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    get("/api/gallery?starred=1&limit=40").then(
      (found) => setStarred(found.length),
      () => {},
    );
  }, []);
  async function save(event) {
    event.preventDefault();
    if (!student.trim()) {
      setWrong("Write your name first: it is in the file and in the file’s name.");
      document.getElementById("student")?.focus();
      return;
    }
    localStorage.setItem(STUDENT_KEY, student);
    const page = await get(`/api/hand-in?student=${encodeURIComponent(student)}`).catch((error) => {
      setWrong(messageOf(error));
    });
    if (page == null) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
    link.download = `hand-in-${student.trim().replace(/[^\p{L}\p{N}]+/gu, "-")}.html`;
    link.click();
    URL.revokeObjectURL(link.href);
    setWrong("");
  }
  return html`
    <section class="hand-in" aria-label="Hand in">
      <h2>Hand in</h2>
      <p>
        So far: ${answered} ${answered === 1 ? "answer" : "answers"},${" "}
        ${explained} ${explained === 1 ? "explanation" : "explanations"},${" "}
        ${starred} starred ${starred === 1 ? "picture" : "pictures"}. They become one HTML file, the pictures
        with their recipes, which opens in any browser.
      </p>
      <form onSubmit=${save}>
        <label for="student">Your name</label>
        <input
          id="student"
          type="text"
          autocomplete="name"
          maxlength="100"
          value=${student}
          onInput=${(event) => setStudent(event.target.value)}
        />
        <button type="submit" class="button" disabled=${!(entries.length + starred)}>
          Save the file
        </button>
      </form>
      <p class="wrong" role="alert">
        ${wrong || unreadable.value}
      </p>
    </section>
  `;
}

/** @param {{ place: number, technique: Technique }} props */
function Page({ place, technique }) {
  const lesson = lessons.value[place];
  const all = useMemo(() => settings(technique), [technique]);
  const { query } = route.value;
  const chosen = Object.fromEntries(
    all
      .map((each) => [each.name, parseValue(query.get(each.name), each)])
      .filter(([, value]) => value !== undefined),
  );
  const values = {
    ...Object.fromEntries(all.map(({ name, defaultValue }) => [name, defaultValue])),
    ...chosen,
  };
  const change = (name, value) => setQuery({ [name]: value === undefined ? null : formatValue(value) });
  const onChange = (changes) =>
    setQuery(
      Object.fromEntries(
        Object.entries(changes).map(([name, value]) => [
          name,
          same(value, all.find((each) => each.name === name)?.defaultValue) ? null : formatValue(value),
        ]),
      ),
    );
  const presented = query.has("slide");
  const Experiment = lesson.quick ? Quick : Slow;
  useEffect(() => {
    document.getElementById("main")?.scrollTo(0, 0);
    subject.value = lesson.title;
    return () => {
      subject.value = "";
    };
  }, []);
  if (presented) return html`<${Presentation} ...${{ place, lesson, chosen, values, onChange }} />`;
  return html`
    <article class="lesson">
      <${LessonLinks} place=${place} />
      <header>
        <p class="over">
          <span class="ordinal">${place + 1}</span> ${lesson.title}
          <button
            type="button"
            class="button small"
            title="For a projector: one thing at a time, in large type"
            onClick=${() => setQuery({ slide: 1 })}
          >
            Present
          </button>
        </p>
        <h1>${lesson.question}</h1>
      </header>
      <section class="explained" aria-label="The idea">
        ${
          lesson.quote &&
          html`
            <figure class="quote">
              <blockquote cite=${lesson.quote.url}>
                “${lesson.quote.line}”
              </blockquote>
              <figcaption>
                <a href=${lesson.quote.url} target="_blank" rel="noopener">
                  ${lesson.quote.author}
                </a>
              </figcaption>
            </figure>
          `
        }
        ${lesson.explanation.map((paragraph) => html`<p key=${paragraph}>${paragraph}</p>`)}
      </section>
      ${
        FIGURES[lesson.name] &&
        html`<${Figure} name=${FIGURES[lesson.name]} values=${values} onChange=${onChange} />`
      }
      ${
        lesson.seen &&
        html`
          <section class="explained" aria-label="What there is to see">
            <h2>What there is to see</h2>
            <p>${lesson.seen}</p>
          </section>
        `
      }
      <${Experiment}
        lesson=${lesson}
        technique=${technique}
        chosen=${chosen}
        values=${values}
        form=${html`
          <${Form}
            technique=${technique}
            base=${{}}
            chosen=${chosen}
            change=${change}
            without=${DRAWN_SETTINGS}
          />
        `}
      />
      ${
        lesson.program &&
        html`
          <section class="program" aria-label="The program">
            <h2>All of it, in plain torch</h2>
            <pre tabindex="0"><code>${lesson.program}</code></pre>
            <p class="hint">Edit and run it in the notebook on digits.</p>
          </section>
        `
      }
      ${
        lesson.exercises.length > 0 &&
        html`
          <section class="exercises" aria-label="Exercises">
            <h2>Try it</h2>
            ${unreadable.value && html`<p class="wrong" role="alert">${unreadable.value}</p>`}
            <ol>
              ${lesson.exercises.map(
                (each, number) => html`
                  <${Exercise} key=${number} lesson=${lesson.name} number=${number + 1} ...${each} />
                `,
              )}
            </ol>
            ${
              lesson.brief &&
              html`
                <div class="brief">
                  <h2>Make a picture</h2>
                  <p>${inCode(lesson.brief.make)}</p>
                  <p><b>Look for:</b> ${inCode(lesson.brief.look_for)}</p>
                </div>
              `
            }
          </section>
        `
      }
      <footer>
        <p>
          The code: <code>${lesson.where}</code>
        </p>
        <${LessonLinks} place=${place} large=${true} />
      </footer>
    </article>
  `;
}

/** Text whose commands are in backquotes.
    @param {string} text */
const inCode = (text) =>
  text.split("`").map((part, place) => (place % 2 ? html`<code key=${place}>${part}</code>` : part));

/** An exercise: try, predict, and check the answer; the feedback asks for an explanation.
    @param {Task & { lesson: string, number: number }} props */
export function Exercise({ lesson, number, predict, answer, choices, ...exercise }) {
  const saved = savedAnswers.value[lesson]?.[number] ?? {};
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const input = typed ?? String(saved.answer ?? "");
  const [draft, setDraft] = useState(/** @type {string | null} */ (null)); // an unsaved explanation
  const unsent = useRef(/** @type {string | null} */ (null));
  const [noted, setNoted] = useState("");
  const timer = useRef(0);
  const [reply, setReply] = useState(/** @type {{ words: string, right?: boolean } | null} */ (null));
  const id = `exercise-${number}`;
  async function submit(event) {
    event.preventDefault();
    const number_ = Number(input.trim().replace(",", "."));
    const value = choices.length > 0 || input.trim() === "" || Number.isNaN(number_) ? input : number_;
    setReply({ words: "Checking …" });
    const found = await post(`/api/lessons/${lesson}/check`, { exercise: number, answer: value }).catch(
      (error) => ({ words: error.message }),
    );
    const { right, tries = 0 } = savedAnswers.value[lesson]?.[number] ?? {};
    if (right && found.right === false)
      found.words += " Your first right answer is the one that is handed in.";
    setReply(found);
    if (!right && found.right !== undefined)
      remember({ answer: value, right: found.right, tries: tries + 1 });
  }
  /** @param {SavedAnswer} changes */
  function remember(changes) {
    const others = savedAnswers.value[lesson] ?? {};
    savedAnswers.value = {
      ...savedAnswers.value,
      [lesson]: { ...others, [number]: { ...others[number], ...changes } },
    };
  }
  /** Save what was typed; what was not edited here is never sent, as another tab may have newer words. */
  async function explain() {
    clearTimeout(timer.current);
    const text = unsent.current;
    if (text === null) return;
    unsent.current = null;
    try {
      await post(`/api/lessons/${lesson}/explain`, { exercise: number, words: text }, true);
      remember({ explanation: text });
      setDraft((now) => (now === text ? null : now));
      setNoted("Saved on this machine.");
    } catch (error) {
      unsent.current ??= text;
      setNoted(messageOf(error));
    }
  }
  /** @param {string} text */
  function edit(text) {
    setDraft(text);
    unsent.current = text;
    clearTimeout(timer.current);
    timer.current = setTimeout(explain, 5 * DELAY);
  }
  useEffect(() => {
    globalThis.addEventListener("pagehide", explain);
    document.addEventListener("visibilitychange", explain);
    return () => {
      globalThis.removeEventListener("pagehide", explain);
      document.removeEventListener("visibilitychange", explain);
      explain();
    };
  }, []);
  return html`
    <li>
      <p>${exercise.try}</p>
      <form onSubmit=${submit}>
        <label for=${id}>${predict}</label>
        <div class="answer">
          ${
            choices.length > 0
              ? html`
                <select id=${id} value=${input} onChange=${(event) => setTyped(event.target.value)}>
                  <option value="">Choose</option>
                  ${choices.map(
                    (each) => html`
                      <option key=${each} value=${each}>
                        ${each}
                      </option>
                    `,
                  )}
                </select>
              `
              : html`
                <input
                  id=${id}
                  type="text"
                  inputmode="decimal"
                  autocomplete="off"
                  value=${input}
                  placeholder=${answer}
                  onInput=${(event) => setTyped(event.target.value)}
                />
              `
          }
          <button type="submit" class="button" disabled=${!input.trim()}>
            Check
          </button>
        </div>
      </form>
      <p class="reply" role="status" data-right=${reply ? reply.right : saved.right}>
        ${reply?.words ?? (saved.right ? "Right." : "")}
      </p>
      <div class="why">
        <label for=${`${id}-why`}>Why? In your own words</label>
        <textarea
          id=${`${id}-why`}
          rows="3"
          maxlength="5000"
          value=${draft ?? saved.explanation ?? ""}
          onInput=${(event) => edit(event.target.value)}
          onChange=${explain}
        />
        <p class="hint" role="status">
          ${noted}
        </p>
      </div>
    </li>
  `;
}

/** Links to the previous and next lesson, and to the list.
    @param {{ place: number, large?: boolean }} props */
function LessonLinks({ place, large }) {
  /** @param {number} index
      @param {Child} label
      @param {"prev" | "next"} rel */
  const link = (index, label, rel) =>
    lessons.value[index]
      ? html`
        <a class=${rel} rel=${rel} href=${lessonAddress(index)}>
          ${rel === "prev" ? "←\u00a0" : ""}
          ${label}
          ${lessons.value[index].title}
          ${rel === "next" ? "\u00a0→" : ""}
        </a>
      `
      : html`<span></span>`;
  return html`
    <nav class="way-of" data-large=${large} aria-label=${large ? "Lessons, below the page" : "Lessons"}>
      ${link(place - 1, html`<span class="unseen">Previous: </span>`, "prev")}
      <a href="#/learn">All lessons</a>
      ${link(place + 1, html`<span class="unseen">Next: </span>`, "next")}
    </nav>
  `;
}

/** A lesson's interactive figure; or an offer to train the network that it needs.
    @param {{ name: string, values: Settings, onChange: Changed }} props */
export function Figure({ name, values, onChange }) {
  if (name !== "inside") return html`<${Hands} ...${{ name, values, onChange }} />`;
  const here = readers().map((each) => each.name);
  return here.length
    ? html`<${Hands} ...${{ name, onChange }} values=${{ ...values, networks: here }} />`
    : html`<${TrainFirst} words="To look inside, train a network that reads digits first." />`;
}

/** The figure manages its own state, and reports the settings that it shares with the experiment.
    @param {{ name: string, values: Settings, onChange: Changed }} props */
function Hands({ name, values, onChange }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  const figureHandle = useRef(/** @type {Mounted | null} */ (null));
  /** @type {Ref<{ values: Settings, pending: Settings | null, expected: Settings | null, timer: number }>} */
  const { current: state } = useRef({ values, pending: null, expected: null, timer: 0 });
  const [wrong, setWrong] = useState("");
  state.values = values;
  useEffect(() => {
    let unmounted = false;
    import(`lanterna/lessons/${name}.js`).then(
      ({ mount }) => {
        if (unmounted || !host.current) return;
        figureHandle.current = mount(host.current, { ...state.values, api: url("/api") }, (change) => {
          state.pending = { ...state.pending, ...change };
          clearTimeout(state.timer);
          state.timer = setTimeout(() => {
            const changes = state.pending ?? {};
            state.pending = null;
            state.expected = { ...state.values, ...changes };
            onChange(changes);
          }, DELAY);
        });
      },
      () => setWrong("This part of the page could not be loaded: reload the page."),
    );
    return () => {
      unmounted = true;
      clearTimeout(state.timer);
      figureHandle.current?.unmount();
    };
  }, []);
  useEffect(() => {
    if (!same(values, state.expected)) figureHandle.current?.set(values);
    state.expected = null;
  }, [JSON.stringify(values)]);
  return html`
    <section class="hands" data-piece=${name} aria-label="Hands on">
      <h2 class="unseen">Hands on</h2>
      <div ref=${host}></div>
      ${wrong && html`<p role="status">${wrong}</p>`}
    </section>
  `;
}

/** The experiment of a quick lesson: its finding and charts follow the settings.
    @param {{ lesson: Lesson, chosen: Settings, form: Child }} props */
function Quick({ lesson, chosen, form }) {
  const { outcome, error, busy } = useOutcome(lesson.name, chosen);
  return html`
    <section class="experiment live" aria-label="The experiment" aria-busy=${busy}>
      <${Finding}
        claim=${lesson.claim}
        ...${outcome?.finding ?? {}}
        error=${error}
        stale=${busy && !!outcome}
        none=${error ? "" : html`<span class="late quiet">Measuring …</span>`}
      />
      <${Charts} charts=${outcome?.charts ?? [null, null]} stale=${busy || !!error} />
      ${!!outcome?.rows.length && html`<${Rows} rows=${outcome.rows} />`}
      <aside class="controls" aria-label="Settings">
        <h2>Change it yourself</h2>
        ${form}
      </aside>
    </section>
  `;
}

/** The outcome for the latest settings. One request runs at a time; the latest one made meanwhile is next.
    @param {string} name
    @param {Settings} chosen */
export function useOutcome(name, chosen) {
  const [shown, setShown] = useState({
    outcome: /** @type {Outcome | null} */ (null),
    error: "",
    busy: true,
  });
  /** @type {Ref<{ requested: string | null, busy: boolean, timer: number, unmounted: boolean }>} */
  const { current: state } = useRef({ requested: null, busy: false, timer: 0, unmounted: false });
  const key = JSON.stringify(chosen);
  async function ask() {
    if (state.busy) return;
    state.busy = true;
    while (state.requested !== null && !state.unmounted) {
      const requested = state.requested;
      state.requested = null;
      const found = await post(`/api/lessons/${name}`, JSON.parse(requested)).then(
        (outcome) => ({ outcome, error: "" }),
        (error) => ({ error: messageOf(error) }),
      );
      if (!state.unmounted)
        setShown((last) => ({ outcome: last.outcome, ...found, busy: state.requested !== null }));
    }
    state.busy = false;
  }
  useEffect(() => {
    clearTimeout(state.timer);
    setShown((last) => ({ ...last, busy: true }));
    state.timer = setTimeout(
      () => {
        state.requested = key;
        ask();
      },
      shown.outcome ? DELAY : 0,
    );
  }, [key]);
  useEffect(
    () => () => {
      state.unmounted = true;
      clearTimeout(state.timer);
    },
    [],
  );
  return shown;
}

/** What was measured in advance.
    @param {string} name */
export function useRecorded(name) {
  const [outcome, setOutcome] = useState(/** @type {Outcome | null} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    get(`/api/lessons/${name}`).then(setOutcome, (problem) => setError(messageOf(problem)));
  }, []);
  return { outcome, error };
}

/** What was measured in advance, and the experiment, which trains networks or processes photographs. It is a
    job, whose picture is in the gallery.
    @param {{ lesson: Lesson, technique: Technique, chosen: Settings, values: Settings, form: Child }}
        props */
function Slow({ lesson, technique, chosen, values, form }) {
  const requested = useJob(route.value.query.get("job"), technique.kind);
  const job =
    requested ?? jobs.value.find((each) => each.kind === technique.kind && each.state === "done") ?? null;
  const result = usePicture(job?.picture);
  const running = job && ["queued", "running", "paused"].includes(job.state);
  const [starting, setStarting] = useState(false);
  const { outcome: advance, error: missing } = useRecorded(lesson.name);
  const other = result
    ? Object.keys(values).filter(
        (name) => !same(result.recipe?.settings?.[name] ?? values[name], values[name]),
      )
    : []; // settings changed since then
  async function start() {
    setStarting(true);
    const created = await attempt(() => post("/api/jobs", { kind: technique.kind, settings: chosen }));
    setStarting(false);
    if (!created) return;
    updateJob(created);
    setQuery({ job: created.id });
  }
  return html`
    <section class="experiment" aria-label="The experiment">
      <${Finding}
        claim=${lesson.claim}
        ...${advance?.finding ?? {}}
        error=${missing}
        none=${missing ? "" : html`<span class="late quiet">Loading …</span>`}
        note=${
          advance &&
          `Measured in advance, with the default settings; it took ${advance.took}. Measure it again below.`
        }
      />
      <${Charts} charts=${advance?.charts ?? []} />
      ${!!advance?.rows.length && html`<${Rows} rows=${advance.rows} />`}
    </section>
    <section class="experiment again" aria-label="Change it yourself">
      <aside class="controls" aria-label="Settings">
        <h2>Change it yourself</h2>
        ${form}
        <${FirstTime} names=${lesson.needs} />
        <div class="start">
          <button type="button" class="button primary" disabled=${starting || running} onClick=${start}>
            ${running ? "Running" : active.value.length ? "Add to the queue" : "Measure"}
          </button>
          <p class="facts" role="status">
            ${job ? progress(job).map((each) => html`<span key=${each}>${each}</span>`) : ""}
          </p>
        </div>
      </aside>
      <div class="charts one" data-stale=${running}>
        ${
          result
            ? html`
              <figure class="result">
                <a
                  href=${file(result.id)}
                  target="_blank"
                  rel="noopener"
                  aria-label="The picture, full size"
                >
                  <img
                    src=${file(result.id)}
                    width=${result.width}
                    height=${result.height}
                    alt=${`${lesson.title}: the result. ${result.recipe?.words ?? ""}`}
                  />
                </a>
                <div class="tools">
                  <${SendTo} picture=${result} />
                  ${
                    other.length > 0 &&
                    html`
                      <p class="hint">
                        run with${" "}
                        ${other
                          .map(
                            (name) =>
                              `${words(name).toLowerCase()} ${formatValue(result?.recipe?.settings[name])}`,
                          )
                          .join(", ")}
                      </p>
                    `
                  }
                </div>
              </figure>
            `
            : html`
              <div class="result none">
                <p class="quiet">Your own measurement will appear here.</p>
              </div>
            `
        }
      </div>
      <${Finding}
        ...${parseFinding(result?.recipe?.words)}
        numbers=${result?.recipe?.numbers}
        seeds=${result ? [result.recipe?.settings.seed ?? 0] : []}
        stale=${running}
        error=${job?.state === "failed" ? job.error : ""}
      />
    </section>
  `;
}

/** Split a saved finding into its verdict and its words. In 0.1.0 it began with the stored one: "Holds. …"
    @param {string} saved
    @returns {Found} */
export function parseFinding(saved = "") {
  for (const [verdict, label] of Object.entries(VERDICTS)) {
    const start = [`${label}: `, `${words(verdict)}. `].find((each) => saved.startsWith(each));
    if (start) return { verdict, words: saved.slice(start.length) };
  }
  return {};
}

/** The verdict on the claim, and the numbers behind it; `note` says how it was measured.
    @param {Found & { claim?: string, error: string | null, stale?: boolean, none?: Child, note?: Child }}
        props */
export function Finding({
  claim = "",
  verdict,
  words: description,
  numbers,
  seeds = [],
  error,
  stale = false,
  none = "",
  note = "",
}) {
  const listed = Object.entries(numbers ?? {});
  const range = seeds.length > 2 ? `${seeds[0]} to ${seeds.at(-1)}` : seeds.join(", ");
  const withSeeds = range && `, with seed${seeds.length > 1 ? "s" : ""} ${range}`;
  return html`
    <div class="finding" data-stale=${stale}>
      ${
        claim &&
        html`
          <h2>Is it true?</h2>
          <p class="claim">${claim}</p>
        `
      }
      <p class="verdict-of" role="status" aria-live="polite">
        ${verdict && html`<b data-verdict=${verdict}>${VERDICTS[verdict]}:</b>`}${" "}
        ${description ?? (verdict ? "" : none)}
      </p>
      <p class="wrong" role="alert">
        ${error}
      </p>
      ${note && html`<p class="hint">${note}</p>`}
      ${
        listed.length > 0 &&
        html`
          <details class="behind">
            <summary>
              The numbers${withSeeds}
            </summary>
            <dl>
              ${listed.map(
                ([name, value]) => html`
                  <div key=${name}>
                    <dt>${name}</dt>
                    <dd>${figure(value)}</dd>
                  </div>
                `,
              )}
            </dl>
          </details>
        `
      }
    </div>
  `;
}

/** @param {{ charts: (Charted | null)[], stale?: boolean }} props */
function Charts({ charts, stale = false }) {
  return html`
    <div class="charts" data-stale=${stale}>
      ${charts.map((chart, place) => html`<${Chart} key=${place} chart=${chart} />`)}
    </div>
  `;
}

/** @param {{ chart: Charted | null }} props */
export function Chart({ chart }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  /** @type {Ref<ReturnType<typeof makeChart>>} */
  const created = useRef();
  useEffect(() => {
    created.current = makeChart(host.current);
    return () => created.current.remove();
  }, []);
  useEffect(() => {
    if (chart) created.current.show(chart);
  }, [chart]);
  return html`<div class="chart-of" ref=${host}></div>`;
}

/** @param {{ rows: string[][] }} props */
function Rows({ rows }) {
  const [head, ...body] = rows;
  return html`
    <div class="rows" tabindex="0" role="region" aria-label="Measurements">
      <table>
        <thead>
          <tr>
            ${head.map(
              (each) => html`
                <th scope="col" key=${each}>
                  ${each}
                </th>
              `,
            )}
          </tr>
        </thead>
        <tbody>
          ${body.map(
            (row, place) => html`
              <tr key=${place}>
                ${row.map(
                  (each, column) => html`
                    <td key=${column}>
                      ${CODE_COLUMNS.includes(head[column]) ? html`<code>${each}</code>` : each}
                    </td>
                  `,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
