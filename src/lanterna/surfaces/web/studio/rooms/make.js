// The room of a group of techniques: Dream, Style and Paint are this room with different techniques.

import { file, patch, post, get, upload } from "../api.js";
import { roomAddress } from "../again.js";
import { useRoomDrop } from "../drop.js";
import { Form } from "../form.js";
import { figure, html, time, useEffect, useMemo, useRef, useState, words } from "../html.js";
import { lazy } from "../lazy.js";
import { useLiveSettings } from "../live.js";
import { Menu } from "../menu.js";
import { remember, addExample, usePicture } from "../pictures.js";
import { Slots } from "../slots.js";
import { settings, parseValue, formatValue, same } from "../schema.js";
import { Frame, side, useLive } from "../frame.js";
import { Fetch, FirstTime } from "../shelf.js";
import { stepPicture, Steps } from "../steps.js";
import { useLayers } from "../targets.js";
import {
  active,
  attempt,
  examples,
  go,
  jobOf,
  notify,
  setQuery,
  places,
  updateJob,
  techniques,
  route,
  waitsFor,
} from "../store.js";
import { Cells } from "../cells.js";

/** @import { Child, Ref } from "preact" */
/** @import { Input, Job, Picture, Technique, Settings } from "../api.js" */
/** @import { Setting } from "../schema.js" */

const Mask = lazy(() => import("../mask.js"));
const Wall = lazy(() => import("../wall.js"));
const NO_JOB = "-"; // in the URL
const CHECK_DELAY = 150; // milliseconds without a change, before the server is asked about the settings

/** @param {{ room: string, extra?: Child }} props - `extra` follows the room's first words */
export function Make({ room, extra = null }) {
  const kinds = techniques.value.filter((technique) => technique.room === room);
  const query = route.value.query;
  const technique = kinds.find((each) => each.kind === query.get("kind")) ?? kinds[0];
  if (!technique)
    return html`
      <div class="room">
        <p class="empty">There is no such page. Choose a room above.</p>
      </div>
    `;
  return html`
    <${TechniqueRoom}
      key=${room}
      room=${room}
      kinds=${kinds}
      technique=${technique}
      query=${query}
      extra=${extra}
    />
  `;
}

/** @param {{ room: string, kinds: Technique[], technique: Technique, query: URLSearchParams, extra: Child }}
        props */
function TechniqueRoom({ room, kinds, technique, query, extra }) {
  const all = useMemo(() => settings(technique), [technique]);
  const requested = query.get("preset") ?? "";
  const preset = technique.presets[requested] ? requested : null;
  const network = query.get("network");
  const example = useExampleOf(technique, all, preset ? null : network);
  const base = preset ? technique.presets[preset] : network ? example : technique.example;
  const chosen = Object.fromEntries(
    all
      .map((each) => [each.name, parseValue(query.get(each.name), each)])
      .filter(([, value]) => value !== undefined),
  );
  const inputs = Object.fromEntries(
    technique.inputs.map(({ role }) => [role, (query.get(`in.${role}`) ?? "").split(",").filter(Boolean)]),
  );
  const job = useJob(query.get("job"), technique.kind);
  const running = job && ["running", "paused"].includes(job.state);
  const first = technique.inputs.find(({ suffix }) => !suffix)?.role ?? ""; // the role of the main picture
  const grey = technique.inputs.find((each) => each.grey); // the role of masks
  const main = usePicture(inputs[first]?.[0]);
  const jobInput = usePicture(job?.inputs?.find((each) => each.role === first)?.picture ?? null);
  const result = usePicture(job?.picture);
  const live = useLive(job && !job.picture ? job : null);
  const [compare, setCompare] = useState(false);
  const [loupe, setLoupe] = useState(false);
  // The number of the mask that is being drawn.
  const [masking, setMasking] = useState(/** @type {number | null} */ (null));
  const [at, look] = useState(/** @type {number | null} */ (null)); // the earlier step that is shown
  const [starting, setStarting] = useState(false);
  const inputList = Object.entries(inputs).flatMap(([role, ids]) =>
    ids.map((picture) => ({ role, picture })),
  );
  const order = { kind: technique.kind, preset, settings: { ...(preset ? {} : base), ...chosen } };
  const missing = technique.inputs.filter(({ role, required }) => required && inputs[role].length === 0);
  const { problem, seconds, smaller } = useCheck(missing.length ? null : { ...order, inputs: inputList });
  useExample(technique, inputs, problem);

  /** @type {(role: string) => (ids: string[]) => void} */
  const setRole = (role) => (ids) => setQuery({ [`in.${role}`]: ids.join(",") });
  const takesMany = technique.inputs.some(({ role, many }) => many && role === first);
  useRoomDrop(
    (ids) => {
      setQuery({ [`in.${first}`]: (takesMany ? ids : ids.slice(0, 1)).join(","), job: null });
      if (!takesMany && ids.length > 1)
        notify(`${ids.length} pictures: one job for each?`, `Start ${ids.length} jobs`, () => startEach(ids));
    },
    { many: true, enabled: first !== "", each: takesMany ? undefined : startEach },
  );

  const sendLive = useLiveSettings(job);
  /** @param {string} name
      @param {any} value */
  function change(name, value) {
    const setting = all.find((each) => each.name === name);
    /** @type {Record<string, string | null>} */
    const changes = { [name]: value === undefined ? null : formatValue(value) };
    // What the setting excludes is left out; what is picked from a network goes with the network.
    for (const other of technique.exclusive.filter((pair) => pair.includes(name)).flat())
      if (other !== name) changes[other] = value != null && base[other] != null ? formatValue(null) : null;
    if (name === "network") for (const each of all) if (each.picks) changes[each.name] = null;
    setQuery(changes);
    if (technique.live.includes(name) && (starting || (running && job.kind === technique.kind)))
      sendLive(name, value === undefined ? (base[name] ?? setting?.defaultValue) : value);
  }

  async function start() {
    if (problem || starting) return;
    setStarting(true);
    const created = await attempt(() => post("/api/jobs", { ...order, inputs: inputList }));
    setStarting(false);
    if (!created) return;
    updateJob(created);
    setCompare(false);
    setQuery({ job: created.id });
  }
  /** @param {string[]} ids - of the main pictures */
  async function startEach(ids) {
    setQuery({ [`in.${first}`]: ids[0], job: null });
    const others = inputList.filter(({ role }) => role !== first);
    for (const picture of ids) {
      const each = [{ role: first, picture }, ...others];
      const created = await attempt(() => post("/api/jobs", { ...order, inputs: each }));
      if (!created) return;
      updateJob(created);
    }
  }

  // The technique of the room whose styles are shown as a wall, before there is a job.
  const quick = kinds.find(({ wall }) => wall);
  const walled = quick && [kinds[0], quick].includes(technique) ? quick : null;
  const styleRole = kinds[0].inputs[1]?.role;
  /** Paint in a style of the wall.
      @param {Technique} by
      @param {Settings} values
      @param {string[]} styles */
  async function paint(by, values, styles) {
    const own = by === technique;
    const given = [
      { role: first, picture: inputs[first][0] },
      ...styles.map((picture) => ({ role: styleRole, picture })),
    ];
    const body = { ...(own ? order : { kind: by.kind, preset: null, settings: by.example }), inputs: given };
    body.settings = { ...body.settings, ...values };
    const created = await attempt(() => post("/api/jobs", body));
    if (!created) return;
    updateJob(created);
    location.hash = roomAddress(by.kind, created.settings, created.inputs, { job: created.id }) ?? "";
  }

  useEffect(() => look(null), [job?.id]);
  useKeys({
    " ":
      running &&
      (() =>
        attempt(async () =>
          updateJob(
            await patch(`/api/jobs/${job.id}`, {
              state: job.state === "paused" ? "running" : "paused",
            }),
          ),
        )),
    c: () => {
      setCompare(!compare);
      setLoupe(false);
    },
    l: () => {
      setLoupe(!loupe);
      setCompare(false);
    },
  });

  // The settings of a branch: those that can change during a run and differ from the job's.
  /** @type {Settings} */
  const changes = {};
  if (job && job.kind === technique.kind) {
    for (const name of technique.live)
      if (chosen[name] !== undefined && JSON.stringify(chosen[name]) !== JSON.stringify(job.settings[name]))
        changes[name] = chosen[name];
  }

  // If each picture of a role has its own mask, drawing one gives the others a mask that covers everything.
  const owners = grey?.of ? inputs[grey.of] : null;
  const where = grey?.words.split("light ").pop() ?? "";
  const maskLabel = grey && ((n) => (owners && n ? `${where}: ${grey.of} ${n + 1}` : where));
  /** @param {Blob | null} blob */
  async function saveMask(blob) {
    const place = masking ?? 0;
    setMasking(null);
    const mask = blob && (await attempt(() => upload(blob, "mask")));
    if (!mask || !grey) return;
    remember(mask);
    const masks = [...inputs[grey.role]];
    const { blank } = await import("../mask.js");
    if (owners) {
      for (let other = 0; other < Math.max(owners.length, place + 1); other += 1) {
        if (other !== place)
          masks[other] ??= remember(await upload(await blank(64, 64, "#fff"), "all of it")).id;
      }
    }
    masks[place] = mask.id;
    setRole(grey.role)(masks);
  }

  const shownBefore = job ? jobInput : main;
  const earlier = at != null &&
    job && {
      src: stepPicture(job, at),
      words: `${technique.title}: step ${at}`,
      ...shapeOf(live ?? result ?? shownBefore ?? { width: 1, height: 1 }, shownBefore),
    };
  const drawing = masking != null && main;
  const after = earlier
    ? earlier
    : result
      ? side(
          result,
          `${technique.title}: the result${result.recipe?.words ? `. ${result.recipe.words}` : ""}`,
        )
      : live && {
          src: live.address,
          words: `${technique.title}: the picture so far`,
          ...shapeOf(live, shownBefore),
        };
  const before = side(shownBefore, shownBefore?.title || "The picture");
  const shape = after || before;
  const wall =
    walled &&
    !job &&
    main &&
    html`
      <${Wall}
        key=${main.id}
        photograph=${main.id}
        quick=${walled}
        full=${kinds[0]}
        used=${inputs[styleRole] ?? []}
        choose=${(/** @type {string} */ id) => setRole(first)([id])}
        use=${setRole(styleRole)}
        paint=${paint}
      />
    `;
  const workspace = drawing
    ? html`
      <${Mask}
        key=${masking}
        picture=${side(main, "The picture")}
        words=${maskLabel && maskLabel(masking)}
        initial=${inputs.mask[masking] && file(inputs.mask[masking])}
        done=${saveMask}
      />
    `
    : html`
        <div class="well">
          ${wall}
          <${Frame}
            key=${shape && shape.width / shape.height}
            before=${wall ? null : before}
            after=${after}
            compare=${compare}
            loupe=${loupe}
          >
            ${
              !!result?.recipe?.sheet?.length &&
              !compare &&
              !loupe &&
              html`
                <${Cells} picture=${result} />
              `
            }
          <//>
          ${
            !before &&
            !after &&
            html`
              <div class="empty">
                <p>
                  ${
                    missing[0]?.suffix
                      ? `Choose ${missing[0].words}.`
                      : missing.length
                        ? "Drop, paste or choose a picture."
                        : "The picture will appear here."
                  }
                </p>
                ${
                  missing.some(({ suffix }) => !suffix) &&
                  html`
                    <${Fetch} names=${["photographs"]} words="Or start with free photographs:" />
                  `
                }
              </div>
            `
          }
        </div>
        <${Steps} job=${job} at=${at} look=${look} settings=${changes} />
        <${Caption}
          ...${{
            job,
            result,
            before: shownBefore,
            compare,
            setCompare,
            loupe,
            setLoupe,
            main,
            walled: !!walled,
          }}
          canCompare=${!!(before && after)}
        />
    `;
  return html`
    <div class="room make">
      <section class="workspace" aria-label="The picture">${workspace}</section>
      <aside class="panel" aria-label="Settings">
        <div class="scroll">
          <h1>${words(room)}</h1>
          <p class="lead">${technique.words}</p>
          ${extra}
          ${kinds.length > 1 && html`<${Kinds} kinds=${kinds} technique=${technique} />`}
          ${
            technique.inputs.length > 0 &&
            html`
              <div class="inputs">
                ${technique.inputs.map(
                  ({ role, words: description, many, required, suffix }) => html`
                    <${Slots}
                      key=${role}
                      role=${role}
                      suffix=${suffix}
                      words=${description}
                      many=${many}
                      required=${required}
                      extra=${
                        role === grey?.role &&
                        html`
                          <${Brushes}
                            count=${owners ? Math.max(1, owners.length) : inputs[role].length + 1}
                            masks=${inputs[role]}
                            several=${!!owners}
                            masking=${masking}
                            disabled=${!main}
                            draw=${setMasking}
                          />
                        `
                      }
                      ids=${inputs[role]}
                      set=${(ids) => {
                        setRole(role)(ids);
                        if (role === first) setQuery({ job: null });
                      }}
                    />
                  `,
                )}
              </div>
            `
          }
          <${Presets} technique=${technique} preset=${preset} />
          <${FirstTime}
            names=${[
              chosen.network ?? base.network ?? all.find(({ name }) => name === "network")?.defaultValue,
              ...(technique.kind === "instant" ? ["instant-style"] : []),
            ]}
          />
          <${Form}
            key=${technique.kind}
            technique=${technique}
            base=${base}
            chosen=${chosen}
            change=${change}
            live=${running ? technique.live : []}
            picture=${inputs[first]?.[0] ?? null}
          />
        </div>
        <${Go} job=${running ? job : null} problem=${problem}>
          <button
            type="button"
            class="button primary"
            disabled=${missing.length > 0 || !!problem}
            aria-busy=${starting}
            onClick=${start}
          >
            ${
              missing.length
                ? `Choose the ${missing[0].role} first`
                : job && active.value.includes(job)
                  ? "Start another"
                  : "Start"
            }
            ${
              seconds &&
              !missing.length &&
              html`
                <small>about ${time(seconds)}</small>
              `
            }
          </button>
          ${
            smaller &&
            !running &&
            html`
              <button
                type="button"
                class="button"
                title="Takes about two minutes"
                onClick=${() => change("size", smaller)}
              >
                Take ${smaller} pixels
              </button>
            `
          }
        <//>
      </aside>
    </div>
  `;
}

/** The room's techniques, in groups if they start from different things: a picture, a painting, nothing.
    @param {{ kinds: Technique[], technique: Technique }} props */
function Kinds({ kinds, technique }) {
  /** @param {Technique} each */
  const groupOf = ({ inputs: [input] }) => {
    if (input?.suffix) return `From a ${input.role}`;
    return kinds.find(({ inputs: [first] }) => !first === !input)?.title ?? "";
  };
  /** @type {Map<string, Technique[]>} */
  const groups = new Map();
  for (const each of kinds) groups.set(groupOf(each), [...(groups.get(groupOf(each)) ?? []), each]);
  const [own] = [...groups].find(([, members]) => members.includes(technique)) ?? [""];
  const open = (/** @type {Technique} */ each) =>
    setQuery({ kind: each === kinds[0] ? null : each.kind, preset: null, job: null });
  const row = (label, name, options) => html`
    <div class="segments wrap kinds" role="radiogroup" aria-label=${label} data-of=${name}>
      ${options.map(
        ([title, checked, target]) => html`
          <label key=${title}>
            <input type="radio" name=${name} checked=${checked} onChange=${() => open(target)} />
            <span>${title}</span>
          </label>
        `,
      )}
    </div>
  `;
  return html`
    ${
      groups.size > 1 &&
      row(
        "Group",
        "group",
        [...groups].map(([name, [first]]) => [name, name === own, first]),
      )
    }
    ${row(
      "Technique",
      "kind",
      (groups.get(own) ?? kinds).map((each) => [each.title, each === technique, each]),
    )}
  `;
}

const Brush = () => html`
  <svg viewBox="0 0 24 24" aria-hidden="true">
    <path
      d="M19 3c1.5 1.5 1 3-1 5.5l-5 6-3.5-3.5 6-5c2.5-2 2-4.5 3.5-3z
         M8 13.5l2.5 2.5c0 3-2.5 4.5-6 4.5 1-1.5.5-2.5 1-4 .5-1.5 1.5-2.5 2.5-3z"
      fill="none"
      stroke="currentColor"
      stroke-width="1.300"
      stroke-linejoin="round"
    />
  </svg>
`;

/** Give a preview the shape of its input, so that the frame does not jump when it arrives.
    @param {{ width: number, height: number }} live
    @param {Picture | null} before */
function shapeOf(live, before) {
  const alike =
    before && Math.abs(Math.log(live.width / live.height / (before.width / before.height))) < 0.03;
  return alike ? { width: before.width, height: before.height } : { width: live.width, height: live.height };
}

/** The button that starts a job, and those for the running one; above them what is wrong with the settings.
    @param {{ job: Job | null, problem?: string, children?: Child }} props */
export function Go({ job, problem = "", children }) {
  const change = (/** @type {string} */ state) =>
    attempt(async () => updateJob(await patch(`/api/jobs/${job?.id}`, { state })));
  return html`
    <div class="go">
      ${
        problem &&
        html`
          <p class="hint" role="status">
            ${problem}
          </p>
        `
      }
      ${children}
      ${
        job &&
        html`
          <button
            type="button"
            class="button"
            disabled=${job.state === "queued"}
            onClick=${() => change(job.state === "paused" ? "running" : "paused")}
          >
            ${job.state === "paused" ? "Resume" : "Pause"}
          </button>
          <button type="button" class="button" onClick=${() => change("stopped")}>
            Stop
          </button>
        `
      }
    </div>
  `;
}

/** The job of the page: the one in the URL, or else the one of this kind that is running. Its id is then
    added to the URL, so that it stays when it ends. `NO_JOB` is none, although one is running.
    @param {string | null} id
    @param {string} kind */
export function useJob(id, kind) {
  const found =
    id === NO_JOB
      ? null
      : id
        ? jobOf(id)
        : active.value.find((each) => each.state !== "queued" && each.kind === kind);
  useEffect(() => {
    if (!id && found) setQuery({ job: found.id });
    if (id && id !== NO_JOB && !found) get(`/api/jobs/${id}`).then(updateJob, () => setQuery({ job: null }));
  }, [id, found?.id]);
  return found ?? null;
}

/** Why a job would be refused, or ""; and the seconds it will take, with a smaller size if they are many.
    The server knows each technique's rules, and how long other jobs took.
    @param {object | null} order
    @returns {{ problem: string, seconds: number | null, smaller: number | null }} */
export function useCheck(order) {
  const body = JSON.stringify(order);
  const [found, setFound] = useState({ body: "", problem: "", seconds: null, smaller: null });
  useEffect(() => {
    if (!order) return undefined;
    let cancelled = false;
    const timer = setTimeout(
      () =>
        post("/api/jobs/check", order).then(
          (forecast) => cancelled || setFound({ body, problem: "", ...forecast }),
          ({ status, message }) =>
            cancelled ||
            setFound({ body, problem: status === 422 ? message : "", seconds: null, smaller: null }),
        ),
      CHECK_DELAY,
    );
    return () => {
      cancelled = true;
      clearTimeout(timer);
    };
  }, [body]);
  return { ...found, problem: found.body === body ? found.problem : "" };
}

/** What the form starts with for another network than the technique's own example is for: one of its layers.
    @param {Technique} technique
    @param {Setting[]} all
    @param {string | null} network
    @returns {Settings} */
function useExampleOf(technique, all, network) {
  const picked = all.filter(({ name, picks }) => picks && technique.example[name] != null);
  const layers = useLayers(picked.length ? network : null);
  return useMemo(
    () =>
      layers
        ? Object.fromEntries(picked.map(({ name, picks }) => [name, picks === "layer" ? layers.default : 0]))
        : {},
    [layers],
  );
}

/** Fill a required input with an example photograph; and once an optional one, if the job lacks something.
    @param {Technique} technique
    @param {Record<string, string[]>} inputs
    @param {string} problem */
function useExample(technique, inputs, problem) {
  const offered = useRef("");
  useEffect(() => {
    const empty = technique.inputs.filter(({ role, suffix }) => !suffix && inputs[role].length === 0);
    const lacks = problem && offered.current !== technique.kind;
    const requested =
      empty.find(({ required, example }) => required && example !== "-") ??
      (lacks ? empty.find(({ example }) => example) : null);
    if (requested && !requested.required) offered.current = technique.kind;
    const available = examples.value.filter((each) => each.here);
    if (!requested || !available.length) return;
    const example = available.find(({ name }) => name.startsWith(requested.example || name)) ?? available[0];
    let left = false; // the room, before the example has come
    addExample(example.name).then((picture) => {
      if (picture && !left && !route.value.query.get(`in.${requested.role}`))
        setQuery({ [`in.${requested.role}`]: picture.id });
    });
    return () => {
      left = true;
    };
  }, [
    technique.kind,
    examples.value,
    technique.inputs.map(({ role }) => inputs[role].length).join(),
    problem,
  ]);
}

/** The presets, with their seconds as far as `times` has them: then each is a row with what it is for.
    @param {{ technique: Technique, preset: string | null, times?: Record<string, number | null> }} props */
export function Presets({ technique, preset, times }) {
  const names = Object.keys(technique.presets);
  if (!names.length) return null;
  // The preset that names the defaults.
  const { properties } = technique.schema;
  const defaults = names.find((name) =>
    Object.entries(technique.presets[name]).every(([key, value]) => same(value, properties[key]?.default)),
  );
  const shown = [null, ...names.filter((name) => name !== defaults)];
  const help = technique.preset_help[preset ?? defaults ?? ""] ?? "";
  const described = Object.keys(technique.preset_help).length > 0; // then there is room for it, even if empty
  const thumbnails = technique.thumbnails ?? {};
  const choose = (name) =>
    setQuery({ preset: name, ...Object.fromEntries(settings(technique).map((each) => [each.name, null])) });
  return html`
    <fieldset class="presets" data-thumbnails=${Object.keys(thumbnails).length > 0} data-rows=${!!times}>
      <legend>Presets</legend>
      ${shown.map(
        (name) => html`
          <label key=${name} class="chip">
            <input type="radio" name="preset" checked=${preset === name} onChange=${() => choose(name)} />
            <span>
              ${
                thumbnails[name ?? ""] &&
                html`
                  <img src=${thumbnails[name ?? ""]} width="160" height="120" alt="" loading="lazy" />
                `
              }
              ${name ?? defaults ?? "Default"}
              ${
                times &&
                html`
                  <small>${technique.preset_help[name ?? defaults ?? ""]}</small>
                  <small>${took(times[name ?? defaults ?? ""])}</small>
                `
              }
            </span>
          </label>
        `,
      )}
      ${described && !times && html`<p class="hint">${help[0]?.toUpperCase()}${help.slice(1)}</p>`}
    </fieldset>
  `;
}

/** @param {number | null | undefined} seconds */
const took = (seconds) => (seconds ? `about ${time(seconds)}` : "");

/** A brush for each mask: one for each picture of a style, or one more than there are masks.
    @param {{ count: number, masks: string[], several: boolean, masking: number | null, draw: (place: number |
        null) => void, disabled: boolean }} props */
function Brushes({ count, masks, several, masking, draw, disabled }) {
  return [...Array(count).keys()].map(
    (place) => html`
      <button
        type="button"
        key=${place}
        class="brush"
        disabled=${disabled}
        aria-pressed=${masking === place}
        onClick=${() => draw(masking === place ? null : place)}
      >
        <${Brush} />
        <span class="role">
          ${
            masks[place]
              ? `Change ${count > 1 ? `mask ${place + 1}` : "the mask"}`
              : several && count > 1
                ? `Draw a mask for ${place + 1}`
                : "Draw a mask"
          }
        </span>
      </button>
    `,
  );
}

/** Keyboard shortcuts of the room, except in inputs and controls.
    @param {Record<string, false | null | (() => void)>} keys */
function useKeys(keys) {
  useEffect(() => {
    const pressed = (event) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.target.closest("input, select, textarea, button, summary, a, dialog, [role=application]")
      )
        return;
      const action = keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });
}

/** Facts in one line, with all of them in a menu.
    @param {{ facts: string[] }} props */
export function Facts({ facts }) {
  return html`
    <p class="facts" role="status">
      ${facts.map((each) => html`<span key=${each}>${each}</span>`)}
    </p>
    ${
      facts.length > 2 &&
      html`
        <${Menu} label="Details">
          ${() => facts.map((each) => html`<li key=${each}>${each}</li>`)}
        <//>
      `
    }
  `;
}

/** @param {{ job: Job | null, result: Picture | null, before: Picture | null, main:
        Picture | null, compare: boolean, setCompare: (on: boolean) => void, canCompare: boolean,
        loupe: boolean, setLoupe: (on: boolean) => void, walled: boolean }} props */
function Caption({ job, result, before, main, compare, setCompare, canCompare, loupe, setLoupe, walled }) {
  const facts = job
    ? progress(job)
    : before
      ? [`${before.title || "a picture"}`, `${before.width} × ${before.height}`]
      : [];
  const ended = job && !active.value.includes(job);
  return html`
    <div class="caption">
      <${Facts} facts=${facts} />
      <div class="tools" role="toolbar" aria-label="The picture">
        <button
          type="button"
          class="button small"
          disabled=${!job || !main || (!ended && !walled)}
          onClick=${() => setQuery({ job: ended ? null : NO_JOB })}
        >
          ${walled ? "Show the wall" : "Show the original"}
        </button>
        <button
          type="button"
          class="button small"
          aria-pressed=${compare}
          disabled=${!canCompare}
          onClick=${() => {
            setCompare(!compare);
            setLoupe(false);
          }}
        >
          Before and after
        </button>
        <button
          type="button"
          class="button small"
          aria-pressed=${loupe}
          disabled=${(!before && !result) || (walled && !job)}
          onClick=${() => {
            setLoupe(!loupe);
            setCompare(false);
          }}
        >
          Loupe
        </button>
        ${
          result
            ? html`
              <${SendTo} picture=${result} />
              <a class="button small" href=${file(result.id)} download=${result.file}>
                Save
              </a>
            `
            : ["Send to …", "Save"].map(
                (label) => html`
                  <button type="button" class="button small" disabled>
                    ${label}
                  </button>
                `,
              )
        }
      </div>
    </div>
  `;
}

/** @param {Job} job */
export function progress(job) {
  const facts = [];
  if (job.state === "queued") facts.push(waitsFor(job));
  else if (job.state === "failed") facts.push(`failed: ${job.error}`);
  else if (job.state === "done") facts.push(job.steps > 1 ? `done in ${job.steps} steps` : "done");
  else facts.push(job.note || `step ${job.step} of ${job.steps || "…"}`);
  if (job.state === "paused" || job.state === "stopped") facts.push(job.state);
  if (job.state === "running" && job.seconds_left != null) facts.push(`${time(job.seconds_left)} left`);
  for (const [name, value] of Object.entries(job.numbers ?? {})
    .filter(([name]) => name !== "seconds_left")
    .slice(0, 4))
    facts.push(`${name.replace(/_/g, " ")} ${figure(value)}`);
  return facts;
}

/** A menu that opens a picture in another room.
    @param {{ picture: Picture }} props */
export function SendTo({ picture }) {
  const open = places.value.filter(({ suffix }) => !suffix || suffix === picture.also);
  return html`
    <${Menu} label="Send to …">
      ${(close) =>
        open.map(
          ({ room, role, label, kind }) => html`
            <li key=${label}>
              <button
                type="button"
                onClick=${() => {
                  close();
                  go(room, { kind, [`in.${role}`]: picture.id });
                }}
              >
                ${label}
              </button>
            </li>
          `,
        )}
    <//>
  `;
}
