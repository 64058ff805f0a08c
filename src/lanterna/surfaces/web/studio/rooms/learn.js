// Learn: the lecture's claims, each a page with an interactive figure, an experiment, and its finding.

import { messageOf } from "lanterna/words.js";
import { file, get, post } from "../api.js";
import { Form } from "../form.js";
import { addStyles, lazy } from "../lazy.js";
import { html, signal, useEffect, useMemo, useState, words } from "../html.js";
import {
  Chart,
  Exercise,
  Figure,
  FIGURES,
  Finding,
  loadAnswers,
  parseFinding,
  savedAnswers,
  unreadable,
  useOutcome,
  useRecorded,
} from "../lesson.js";
import { usePicture } from "../pictures.js";
import { same, settings, parseValue, formatValue } from "../schema.js";
import { FirstTime } from "../shelf.js";
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
/** @import { Settings } from "lanterna/lessons/parts.js" */
/** @import { Child } from "preact" */
/** @import { Technique } from "../api.js" */
/** @import { Lesson } from "../lesson.js" */

await addStyles("/web/studio/learn.css");

const Presentation = lazy(() => import("./present.js"));
const lessons = signal(/** @type {Lesson[]} */ ([])); // empty until they have loaded
const DRAWN_SETTINGS = ["own"]; // settings that are drawn, not typed
const STUDENT_KEY = "lanterna-student";
const CODE_COLUMNS = ["in the original", "in torch"]; // of a table
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

/** @param {{ charts: (Charted | null)[], stale?: boolean }} props */
function Charts({ charts, stale = false }) {
  return html`
    <div class="charts" data-stale=${stale}>
      ${charts.map((chart, place) => html`<${Chart} key=${place} chart=${chart} />`)}
    </div>
  `;
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
