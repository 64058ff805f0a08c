// Learn: the lecture's claims, each a page with a hands-on piece, an experiment, and its finding.

import { messageOf } from "lanterna/words.js";
import { makeChart } from "lanterna/chart.js";
import { file, get, post, url } from "../api.js";
import { Form } from "../form.js";
import { figure, html, signal, useEffect, useMemo, useRef, useState, words } from "../html.js";
import { usePicture } from "../pictures.js";
import { same, settings, understood, written } from "../schema.js";
import { FirstTime } from "../shelf.js";
import { active, address, attempt, jobs, keep, put, techniqueOf, route } from "../store.js";
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
    @property {string} where
    @property {boolean} quick - its experiment takes no time
    @property {string[]} needs - of the shelf
    @property {Task[]} exercises

    @typedef {{ verdict?: string, words?: string, numbers?: [string, string][], seeds?: number[] }} Found

    @typedef {{ charts: Charted[], finding: Found, rows: string[][] }} Outcome - of an experiment

    @typedef {{ set: (settings: Settings) => void, unmount: () => void }} Mounted - a hands-on piece */

const lessons = signal(/** @type {Lesson[]} */ ([])); // none until they have come
const PIECES = {
  // the hands-on piece of each lesson, a module of lanterna/lessons/
  gates: "gates",
  derivative: "slope",
  circuits: "circuit",
  neuron: "switch",
  layers: "rings",
  descent: "hill",
  curve: "sketch",
  functions: "sketch",
  digit: "inside",
  paths: "inside",
};
const DRAWN = ["own"]; // settings that are drawn, not typed
const VERDICTS = { holds: "True", "holds only when": "Partly true", "does not hold": "Not true" };
const WAIT = 120; // milliseconds after a control's last movement

export default function Learn() {
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    if (!lessons.value.length)
      get("/api/lessons").then(
        (found) => {
          lessons.value = found;
        },
        (error) => setWrong(messageOf(error)),
      );
  }, []);
  const kind = route.value.query.get("kind") ?? "";
  if (!lessons.value.length)
    return html`
      <p class="empty late" role="status">
        ${wrong || "The lessons are opening …"}
      </p>
    `;
  const place = lessons.value.findIndex(({ name }) => `learn-${name}` === kind);
  return place < 0
    ? html`<${Contents} />`
    : html`<${Page} key=${kind} place=${place} technique=${techniqueOf(kind)} />`;
}

const at = (/** @type {number} */ place) => address("learn", { kind: `learn-${lessons.value[place].name}` });

function Contents() {
  return html`
    <div class="contents">
      <h1>Learn</h1>
      <p class="lead">
        The lecture's claims, each as an experiment: change something, and see whether the claim is still
        true.
      </p>
      <ol>
        ${lessons.value.map(
          ({ name, title, question }, place) => html`
            <li key=${name}>
              <a href=${at(place)}>
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
    </div>
  `;
}

/** @param {{ place: number, technique: Technique }} props */
function Page({ place, technique }) {
  const lesson = lessons.value[place];
  const all = useMemo(() => settings(technique), [technique]);
  const { query } = route.value;
  const chosen = Object.fromEntries(
    all
      .map((each) => [each.name, understood(query.get(each.name), each)])
      .filter(([, value]) => value !== undefined),
  );
  const whole = { ...Object.fromEntries(all.map(({ name, usual }) => [name, usual])), ...chosen };
  const change = (name, value) => keep({ [name]: value === undefined ? null : written(value) });
  const tell = (changes) =>
    keep(
      Object.fromEntries(
        Object.entries(changes).map(([name, value]) => [
          name,
          same(value, all.find((each) => each.name === name)?.usual) ? null : written(value),
        ]),
      ),
    );
  const Experiment = lesson.quick ? Quick : Slow;
  useEffect(() => {
    document.getElementById("main")?.scrollTo(0, 0);
    document.title = `${lesson.title} – Lanterna`;
  }, []);
  return html`
    <article class="lesson">
      <${Way} place=${place} />
      <header>
        <p class="over">
          <span class="ordinal">${place + 1}</span> ${lesson.title}
        </p>
        <h1>${lesson.question}</h1>
        <p class="claim">
          <span class="quiet">The lecture says: </span>
          ${lesson.claim}
        </p>
      </header>
      ${PIECES[lesson.name] && html`<${Piece} name=${PIECES[lesson.name]} whole=${whole} tell=${tell} />`}
      <${Experiment}
        lesson=${lesson}
        technique=${technique}
        chosen=${chosen}
        whole=${whole}
        form=${html`
          <${Form} technique=${technique} base=${{}} chosen=${chosen} change=${change} without=${DRAWN} />
        `}
      />
      ${
        lesson.exercises.length > 0 &&
        html`
          <section class="exercises" aria-label="Exercises">
            <h2>Try it</h2>
            <ol>
              ${lesson.exercises.map(
                (each, number) => html`
                  <${Exercise} key=${number} lesson=${lesson.name} number=${number + 1} ...${each} />
                `,
              )}
            </ol>
          </section>
        `
      }
      <footer>
        <p>
          The code: <code>${lesson.where}</code>
        </p>
        <${Way} place=${place} large=${true} />
      </footer>
    </article>
  `;
}

/** Try, predict, and be told whether that was right; what to explain comes with it.
    @param {Task & { lesson: string, number: number }} props */
function Exercise({ lesson, number, predict, answer, choices, ...told }) {
  const [given, setGiven] = useState("");
  const [reply, setReply] = useState(/** @type {{ words: string, right?: boolean } | null} */ (null));
  const id = `exercise-${number}`;
  async function checked(event) {
    event.preventDefault();
    const number_ = Number(given.trim().replace(",", "."));
    const value = choices.length > 0 || given.trim() === "" || Number.isNaN(number_) ? given : number_;
    setReply({ words: "It is being worked out …" });
    setReply(
      await post(`/api/lessons/${lesson}/check`, { exercise: number, answer: value }).catch((error) => ({
        words: error.message,
      })),
    );
  }
  return html`
    <li>
      <p>${told.try}</p>
      <form onSubmit=${checked}>
        <label for=${id}>${predict}</label>
        <div class="answer">
          ${
            choices.length > 0
              ? html`
                <select id=${id} value=${given} onChange=${(event) => setGiven(event.target.value)}>
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
                  value=${given}
                  placeholder=${answer}
                  onInput=${(event) => setGiven(event.target.value)}
                />
              `
          }
          <button type="submit" class="button" disabled=${!given.trim()}>
            Check
          </button>
        </div>
      </form>
      <p class="reply" role="status" data-right=${reply?.right === true}>
        ${reply?.words ?? ""}
      </p>
    </li>
  `;
}

/** To the lesson before, to the next, and back to the list.
    @param {{ place: number, large?: boolean }} props */
function Way({ place, large }) {
  /** @param {number} there
      @param {Child} label
      @param {"prev" | "next"} rel */
  const to = (there, label, rel) =>
    lessons.value[there]
      ? html`
        <a class=${rel} rel=${rel} href=${at(there)}>
          ${rel === "prev" ? "←\u00a0" : ""}
          ${label}
          ${lessons.value[there].title}
          ${rel === "next" ? "\u00a0→" : ""}
        </a>
      `
      : html`<span></span>`;
  return html`
    <nav class="way-of" data-large=${large} aria-label=${large ? "Lessons, after the page" : "Lessons"}>
      ${to(place - 1, html`<span class="unseen">Before: </span>`, "prev")}
      <a href="#/learn">All lessons</a>
      ${to(place + 1, html`<span class="unseen">Next: </span>`, "next")}
    </nav>
  `;
}

/** What one does by hand. It keeps what it shows by itself, and tells the settings that an experiment shares
    with it.
    @param {{ name: string, whole: Settings, tell: Changed }} props */
function Piece({ name, whole, tell }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  const piece = useRef(/** @type {Mounted | null} */ (null));
  /** @type {Ref<{ whole: Settings, told: Settings | null, expected: Settings | null, timer: number }>} */
  const { current: state } = useRef({ whole, told: null, expected: null, timer: 0 });
  const [wrong, setWrong] = useState("");
  state.whole = whole;
  useEffect(() => {
    let gone = false;
    import(`lanterna/lessons/${name}.js`).then(
      ({ mount }) => {
        if (gone || !host.current) return;
        piece.current = mount(host.current, { ...state.whole, api: url("/api") }, (changes) => {
          state.told = { ...state.told, ...changes };
          clearTimeout(state.timer);
          state.timer = setTimeout(() => {
            const told = state.told ?? {};
            state.told = null;
            state.expected = { ...state.whole, ...told };
            tell(told);
          }, WAIT);
        });
      },
      () => setWrong("This part of the page did not open: reload it."),
    );
    return () => {
      gone = true;
      clearTimeout(state.timer);
      piece.current?.unmount();
    };
  }, []);
  useEffect(() => {
    if (!same(whole, state.expected)) piece.current?.set(whole);
    state.expected = null;
  }, [JSON.stringify(whole)]);
  return html`
    <section class="hands" data-piece=${name} aria-label="Hands on">
      <h2 class="unseen">Hands on</h2>
      <div ref=${host}></div>
      ${wrong && html`<p role="status">${wrong}</p>`}
    </section>
  `;
}

/** @param {{ lesson: Lesson, chosen: Settings, form: Child }} props */
function Quick({ lesson, chosen, form }) {
  const { outcome, error, busy } = useOutcome(lesson.name, chosen);
  const charts = outcome?.charts ?? [null, null];
  return html`
    <section class="experiment" aria-label="The experiment" aria-busy=${busy}>
      <aside class="controls" aria-label="Settings">
        <h2>The experiment</h2>
        ${form}
      </aside>
      <div class="charts" data-stale=${busy || !!error}>
        ${charts.map((chart, place) => html`<${Chart} key=${place} chart=${chart} />`)}
      </div>
      <${Finding}
        ...${outcome?.finding ?? {}}
        error=${error}
        stale=${busy && !!outcome}
        none=${error ? "" : html`<span class="late quiet">It is being measured …</span>`}
      />
      ${!!outcome?.rows.length && html`<${Rows} rows=${outcome.rows} />`}
    </section>
  `;
}

/** The newest settings' outcome. One question is under way at a time; the last one asked meanwhile comes
    next.
    @param {string} name
    @param {Settings} chosen */
function useOutcome(name, chosen) {
  const [shown, setShown] = useState({
    outcome: /** @type {Outcome | null} */ (null),
    error: "",
    busy: true,
  });
  /** @type {Ref<{ wanted: string | null, asking: boolean, timer: number, gone: boolean }>} */
  const { current: state } = useRef({ wanted: null, asking: false, timer: 0, gone: false });
  const key = JSON.stringify(chosen);
  async function ask() {
    if (state.asking) return;
    state.asking = true;
    while (state.wanted !== null && !state.gone) {
      const wanted = state.wanted;
      state.wanted = null;
      const found = await post(`/api/lessons/${name}`, JSON.parse(wanted)).then(
        (outcome) => ({ outcome, error: "" }),
        (error) => ({ error: messageOf(error) }),
      );
      if (!state.gone) setShown((last) => ({ outcome: last.outcome, ...found, busy: state.wanted !== null }));
    }
    state.asking = false;
  }
  useEffect(() => {
    clearTimeout(state.timer);
    setShown((last) => ({ ...last, busy: true }));
    state.timer = setTimeout(
      () => {
        state.wanted = key;
        ask();
      },
      shown.outcome ? WAIT : 0,
    );
  }, [key]);
  useEffect(
    () => () => {
      state.gone = true;
      clearTimeout(state.timer);
    },
    [],
  );
  return shown;
}

/** One that trains or looks at photographs is a job, and its picture is kept in the gallery.
    @param {{ lesson: Lesson, technique: Technique, chosen: Settings, whole: Settings, form: Child }} props */
function Slow({ lesson, technique, chosen, whole, form }) {
  const wanted = useJob(route.value.query.get("job"), [technique]);
  const job =
    wanted ?? jobs.value.find((each) => each.kind === technique.kind && each.state === "done") ?? null;
  const result = usePicture(job?.picture);
  const running = job && ["queued", "running", "paused"].includes(job.state);
  const [starting, setStarting] = useState(false);
  const other = result
    ? Object.keys(whole).filter((name) => !same(result.recipe?.settings?.[name] ?? whole[name], whole[name]))
    : []; // set otherwise since
  async function start() {
    setStarting(true);
    const made = await attempt(() =>
      post("/api/jobs", { kind: technique.kind, settings: chosen, title: technique.title }),
    );
    setStarting(false);
    if (!made) return;
    put(made);
    keep({ job: made.id });
  }
  return html`
    <section class="experiment" aria-label="The experiment">
      <aside class="controls" aria-label="Settings">
        <h2>The experiment</h2>
        ${form}
        <${FirstTime} names=${lesson.needs} />
        <div class="start">
          <button type="button" class="button primary" disabled=${starting || running} onClick=${start}>
            ${running ? "It is being done" : active.value.length ? "Start after the others" : "Start"}
          </button>
          <p class="facts" role="status">
            ${
              job
                ? progress(job).map((each) => html`<span key=${each}>${each}</span>`)
                : "It has not been started."
            }
          </p>
        </div>
      </aside>
      <div class="charts one" data-stale=${running}>
        ${
          result
            ? html`
              <figure class="made">
                <a
                  href=${file(result.id)}
                  target="_blank"
                  rel="noopener"
                  aria-label="The picture, as large as it is"
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
                        made with${" "}
                        ${other
                          .map(
                            (name) =>
                              `${words(name).toLowerCase()} ${written(result?.recipe?.settings[name])}`,
                          )
                          .join(", ")}
                      </p>
                    `
                  }
                </div>
              </figure>
            `
            : html`
              <div class="made none">
                <p class="quiet">The picture appears here.</p>
              </div>
            `
        }
      </div>
      <${Finding}
        ...${parseFinding(result?.recipe?.words)}
        numbers=${result?.recipe?.numbers}
        seeds=${result && [result.recipe?.settings.seed ?? 0]}
        stale=${running}
        error=${job?.state === "failed" ? job.error : ""}
        none="Not measured yet: this one trains, or looks at photographs, and takes a while."
      />
    </section>
  `;
}

/** Split a saved finding into its verdict and its words. In 0.1.0 it began with the stored verdict: "Holds. …"
    @param {string} saved
    @returns {Found} */
export function parseFinding(saved = "") {
  for (const [verdict, label] of Object.entries(VERDICTS)) {
    const start = [`${label}: `, `${words(verdict)}. `].find((each) => saved.startsWith(each));
    if (start) return { verdict, words: saved.slice(start.length) };
  }
  return {};
}

/** @param {Found & { error: string | null, stale: boolean, none?: Child }} props */
function Finding({ verdict, words: told, numbers, seeds = [], error, stale, none = "" }) {
  const listed = Object.entries(numbers ?? {});
  return html`
    <div class="finding" data-stale=${stale}>
      <p class="verdict-of" role="status" aria-live="polite">
        ${verdict && html`<b data-verdict=${verdict}>${VERDICTS[verdict]}:</b>`}${" "}
        ${told ?? (verdict ? "" : none)}
      </p>
      <p class="wrong" role="alert">
        ${error}
      </p>
      ${
        listed.length > 0 &&
        html`
          <dl>
            ${listed.map(
              ([name, value]) => html`
                <div key=${name}>
                  <dt>${name}</dt>
                  <dd>${figure(value)}</dd>
                </div>
              `,
            )}
            ${
              seeds.length > 0 &&
              html`
                <div>
                  <dt>${seeds.length > 1 ? "seeds" : "seed"}</dt>
                  <dd>${seeds.length > 2 ? `${seeds[0]} to ${seeds.at(-1)}` : seeds.join(", ")}</dd>
                </div>
              `
            }
          </dl>
        `
      }
    </div>
  `;
}

/** @param {{ chart: Charted | null }} props */
function Chart({ chart }) {
  /** @type {Ref<HTMLElement>} */
  const host = useRef();
  /** @type {Ref<ReturnType<typeof makeChart>>} */
  const made = useRef();
  useEffect(() => {
    made.current = makeChart(host.current);
    return () => made.current.remove();
  }, []);
  useEffect(() => {
    if (chart) made.current.show(chart);
  }, [chart]);
  return html`<div class="chart-of" ref=${host}></div>`;
}

/** @param {{ rows: string[][] }} props */
function Rows({ rows }) {
  const [head, ...body] = rows;
  return html`
    <div class="rows" tabindex="0" role="region" aria-label="What was measured">
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
                ${row.map((each, column) => html`<td key=${column}>${each}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
