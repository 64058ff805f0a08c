// Everything that was made, newest first: found again, starred, compared, made again, taken away and brought
// back.

import { again } from "../again.js";
import { file, get, patch, post, remove, thumbnail, url } from "../api.js";
import { Typed } from "../form.js";
import { figure, html, useEffect, useRef, useState, words } from "../html.js";
import { remember } from "../pictures.js";
import { Frame, side } from "../frame.js";
import { attempt, changed, keep, notify, rooms, route, said, techniqueOf, titleOf } from "../store.js";
import { Tiles } from "../tiles.js";
import { SendTo } from "./make.js";

/** @import { Child, Ref, State } from "preact" */
/** @import { Picture } from "../api.js" */

const SOME = 60;

export function Gallery() {
  const { query } = route.value;
  const [sought, room, starred] = [
    query.get("words") ?? "",
    query.get("room") ?? "",
    query.get("starred") === "1",
  ];
  const [made, setMade] = useState(/** @type {Picture[] | null} */ (null));
  const [more, setMore] = useState(false);
  const [picked, setPicked] = useState(/** @type {string[]} */ ([]));
  /** @param {string} before
      @returns {Promise<Picture[]>} */
  const ask = (before = "") =>
    get(
      `/api/gallery?limit=${SOME}&words=${encodeURIComponent(sought)}${room ? `&room=${room}` : ""}` +
        `${starred ? "&starred=1" : ""}${before && `&before=${before}`}`,
    );
  useEffect(() => {
    let late = false;
    attempt(() => ask()).then((found) => {
      if (late || !found) return;
      setMade(found);
      setMore(found.length === SOME);
    });
    return () => {
      late = true;
    };
  }, [sought, room, starred, changed.value]);
  async function older() {
    const found = made?.length ? await attempt(() => ask(made[made.length - 1].id)) : null;
    if (!made || !found) return;
    setMade([...made, ...found]);
    setMore(found.length === SOME);
  }
  const put = (/** @type {Picture} */ next) =>
    setMade((had) => had && had.map((one) => (one.id === next.id ? next : one)));
  /** @type {Ref<HTMLElement>} */
  const end = useRef();
  useEffect(() => {
    // more comes as one scrolls to the end
    if (!more || !end.current) return undefined;
    const watch = new IntersectionObserver(
      ([seen]) => {
        if (seen.isIntersecting) older();
      },
      { rootMargin: "600px" },
    );
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [more, made?.length]);
  const pick = (/** @type {string} */ id) =>
    setPicked(picked.includes(id) ? picked.filter((each) => each !== id) : [...picked, id]);
  const shown = made?.find((each) => each.id === query.get("picture"));
  const chosen = picked.flatMap((id) => made?.find((each) => each.id === id) ?? []);
  const two = query.get("compare") ? chosen : [];
  return html`
    <div class="room gallery">
      <header class="finder">
        <h1>Gallery</h1>
        <input
          type="search"
          aria-label="Search"
          placeholder="Search: cat, block9, siren …"
          value=${sought}
          onInput=${(event) => keep({ words: event.target.value })}
        />
        <div class="segments" role="radiogroup" aria-label="Room">
          ${[{ name: "", title: "All" }, ...rooms.value.slice(0, -1)].map(
            ({ name: each, title }) => html`
              <label key=${each}>
                <input
                  type="radio"
                  name="from-room"
                  checked=${room === each}
                  onChange=${() => keep({ room: each })}
                />
                <span>${title}</span>
              </label>
            `,
          )}
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked=${starred}
            onChange=${(event) => keep({ starred: event.target.checked ? "1" : null })}
          />${" "}
          Starred
        </label>
        ${
          picked.length > 0 &&
          html`
            <span class="chosen" role="toolbar" aria-label="Chosen pictures">
              <span role="status">${picked.length} chosen</span>
              <button
                type="button"
                class="button small"
                disabled=${picked.length !== 2}
                onClick=${() => keep({ compare: "1" })}
              >
                Compare
              </button>
              <a
                class="button small"
                href=${url(`/api/gallery/export.zip?ids=${picked.join(",")}`)}
                download
              >
                Export
              </a>
              ${
                window.showDirectoryPicker &&
                html`
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => intoFolder(chosen)}
                  >
                    To a folder …
                  </button>
                `
              }
              <a
                class="button small"
                href=${url(`/api/gallery/sheet.pdf?ids=${picked.join(",")}`)}
                download
              >
                Contact sheet
              </a>
              ${
                made &&
                picked.length < made.length &&
                picked.length < 500 &&
                html`
                  <button
                    type="button"
                    class="button small quiet"
                    onClick=${() => setPicked(made.slice(0, 500).map((each) => each.id))}
                  >
                    All
                  </button>
                `
              }
              <button type="button" class="button small quiet" onClick=${() => setPicked([])}>
                None
              </button>
            </span>
          `
        }
      </header>
      ${
        made?.length === 0 &&
        html`
          <p class="empty">
            ${
              sought || room || starred
                ? "No matches."
                : html`Nothing here yet. <a href="#/dream">Dream</a> is a good place to begin.`
            }
          </p>
        `
      }
      <ul class="wall" aria-label="Pictures">
        ${made?.map(
          (each) => html`
            <li key=${each.id} style=${{ "--ratio": (each.width / each.height).toFixed(3) }}>
              <button
                type="button"
                class="tile"
                draggable="true"
                onDragStart=${(event) => event.dataTransfer.setData("text/lanterna", each.id)}
                onClick=${() => {
                  remember(each);
                  keep({ picture: each.id });
                }}
                aria-label=${`${each.title || words(each.kind)}, ${titleOf(each.kind)}`}
              >
                <img
                  loading="lazy"
                  src=${thumbnail(each.id)}
                  width=${each.width}
                  height=${each.height}
                  alt=""
                />
              </button>
              <span class="under">
                <label class="pick">
                  <input
                    type="checkbox"
                    aria-label=${`Choose ${each.title || each.kind}`}
                    checked=${picked.includes(each.id)}
                    onChange=${() => pick(each.id)}
                  />
                </label>
                <span class="name">${each.title || words(each.kind)}</span>
                <${Star} picture=${each} set=${put} />
              </span>
            </li>
          `,
        )}
      </ul>
      ${
        more &&
        html`
          <button type="button" class="button older" ref=${end} onClick=${older}>
            Older
          </button>
        `
      }
      ${shown && html`<${Shown} key=${shown.id} picture=${shown} all=${made} put=${put} />`}
      ${two.length === 2 && html`<${Two} one=${two[0]} other=${two[1]} />`}
    </div>
  `;
}

const flip = (picture, set) =>
  attempt(async () => set(await patch(`/api/gallery/${picture.id}`, { starred: !picture.starred })));

/** @param {{ picture: Picture, set: (picture: Picture) => void }} props */
function Star({ picture, set }) {
  return html`
    <button
      type="button"
      class="star"
      aria-pressed=${!!picture.starred}
      aria-label=${`Star ${picture.title || picture.kind}`}
      onClick=${() => flip(picture, set)}
    >
      ${picture.starred ? "★" : "☆"}
    </button>
  `;
}

/** @param {{ label: string, close: () => void, children?: Child, keys?: (event: KeyboardEvent) => void }}
        props */
function Sheet({ label, close, children, keys }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`
    <dialog ref=${dialog} class="shown" aria-label=${label} onClose=${close} onKeyDown=${keys}>
      <button type="button" class="button quiet close" onClick=${() => dialog.current.close()}>
        Close
      </button>
      ${children}
    </dialog>
  `;
}

/** @param {{ picture: Picture, all: Picture[], put: (picture: Picture) => void }} props */
function Shown({ picture, all, put }) {
  const [loupe, setLoupe] = useState(false);
  const recipe = picture.recipe;
  const place = all.indexOf(picture);
  const step = (way) => all[place + way] && keep({ picture: all[place + way].id });
  async function away() {
    if (!(await attempt(() => remove(`/api/gallery/${picture.id}`)))) return;
    keep({ picture: null });
    changed.value += 1;
    notify(`${picture.title || "The picture"} was deleted.`, "Undo", () =>
      attempt(async () => {
        await post(`/api/gallery/${picture.id}/restore`);
        changed.value += 1;
      }),
    );
  }
  async function copy() {
    if (!recipe) return;
    await attempt(() => navigator.clipboard.writeText(recipe.command));
    said.value = "The command line was copied.";
    notify("The command line was copied.");
  }
  function vary() {
    if (!recipe) return;
    const seed = (recipe.settings.seed ?? 0) + 1;
    again({ ...recipe, settings: { ...recipe.settings, seed } }, recipe.inputs);
    notify(`The same but for the seed, which is ${seed} now.`);
  }
  const usual = techniqueOf(recipe?.kind ?? "")?.schema.properties ?? {};
  const telling = Object.entries(recipe?.settings ?? {}).filter(
    ([name, value]) => usual[name] && JSON.stringify(usual[name].default) !== JSON.stringify(value),
  );
  return html`
    <${Sheet}
      label=${picture.title || words(picture.kind)}
      close=${() => keep({ picture: null })}
      keys=${(event) => {
        if (event.target.matches("input, [role=application]")) return;
        ({
          ArrowLeft: () => step(-1),
          ArrowRight: () => step(1),
          s: () => flip(picture, put),
          Delete: away,
        })[event.key]?.();
      }}
    >
      <div class="well">
        <${Frame} after=${side(picture, picture.title || words(picture.kind))} loupe=${loupe}>
          ${!!recipe?.sheet?.length && !loupe && html`<${Tiles} picture=${picture} />`}
        <//>
      </div>
      <aside class="about">
        <div class="titled">
          <${Typed}
            type="text"
            aria-label="Title"
            value=${picture.title}
            placeholder=${words(picture.kind)}
            maxlength="120"
            commit=${(event) =>
              attempt(async () =>
                put(await patch(`/api/gallery/${picture.id}`, { title: event.target.value })),
              )}
          />
          <${Star} picture=${picture} set=${put} />
        </div>
        <p class="quiet">
          ${titleOf(picture.kind)} · ${picture.width} × ${picture.height} ·${" "}
          ${when(picture.made)}
        </p>
        ${
          telling.length > 0 &&
          html`
            <dl>
              ${telling.map(
                ([name, value]) => html`
                  <div key=${name}>
                    <dt>${words(name)}</dt>
                    <dd>
                      ${
                        Array.isArray(value)
                          ? value.join(", ")
                          : typeof value === "number"
                            ? figure(value)
                            : String(value ?? "its own")
                      }
                    </dd>
                  </div>
                `,
              )}
            </dl>
          `
        }
        ${
          !!recipe?.changes?.length &&
          html`
            <p class="hint">
              Settings were changed on the way:${" "}
              ${recipe.changes
                .map(
                  ({ step, settings }) =>
                    `after step ${step} ${Object.entries(settings)
                      .map(
                        ([name, value]) =>
                          `${words(name).toLowerCase()} ${Array.isArray(value) ? value.join(", ") : value}`,
                      )
                      .join(", ")}`,
                )
                .join("; ")}
              . The command has those it ended with.
            </p>
          `
        }
        ${
          recipe?.command &&
          html`
            <pre class="command" tabindex="0" aria-label="The command line that makes it">
              ${recipe.command}
            </pre>
          `
        }
        <div class="acts">
          ${
            recipe?.command &&
            html`
              <button type="button" class="button small" onClick=${copy}>
                Copy the command
              </button>
            `
          }
          ${
            recipe?.kind &&
            techniqueOf(recipe.kind) &&
            html`
              <button type="button" class="button small" onClick=${() => again(recipe, recipe.inputs)}>
                Again
              </button>
              <button type="button" class="button small" onClick=${vary}>
                Vary
              </button>
            `
          }
          <button
            type="button"
            class="button small"
            aria-pressed=${loupe}
            onClick=${() => setLoupe(!loupe)}
          >
            Loupe
          </button>
          <${SendTo} picture=${picture} />
          <a class="button small" href=${file(picture.id)} download>
            Save
          </a>
          <button type="button" class="button small" onClick=${away}>
            Delete
          </button>
        </div>
      </aside>
    <//>
  `;
}

/** @param {{ one: Picture, other: Picture }} props */
function Two({ one, other }) {
  return html`
    <${Sheet} label="Two pictures compared" close=${() => keep({ compare: null })}>
      <div class="well whole">
        <${Frame}
          before=${side(one, one.title || one.kind)}
          after=${side(other, other.title || other.kind)}
          compare=${true}
          tags=${[one, other].map((each) => each.title || each.kind)}
        />
      </div>
    <//>
  `;
}

/** Write pictures into a folder that is chosen, where the browser can; a file that is there already is left
    alone.
    @param {Picture[]} pictures */
async function intoFolder(pictures) {
  let folder;
  try {
    folder = await window.showDirectoryPicker?.({ mode: "readwrite" });
  } catch {
    return; // nothing was chosen
  }
  const into = folder;
  if (!into) return;
  await attempt(async () => {
    for (const picture of pictures) {
      const suffix = picture.media.split("/")[1].replace("jpeg", "jpg");
      const title = (picture.title || picture.kind).replace(/[^\p{L}\p{N}.-]+/gu, "-");
      const name = `${title}-${picture.id.slice(0, 6)}.${suffix}`;
      const there = await into.getFileHandle(name).catch(() => null);
      if (there) continue;
      const writing = await (await into.getFileHandle(name, { create: true })).createWritable();
      await (await fetch(file(picture.id))).body?.pipeTo(writing);
    }
    notify(`${pictures.length} pictures are in ${into.name}.`);
  });
}

const when = (made) =>
  new Date(made * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
