// The gallery, newest first: search, stars, comparison, reuse of settings, deleting and restoring.

import { openWithSettings } from "../again.js";
import { plain, setting } from "../schema.js";
import { inWords } from "../targets.js";
import { file, get, patch, post, remove, thumbnail, url } from "../api.js";
import { TextInput } from "../form.js";
import { figure, html, useEffect, useRef, useState, words } from "../html.js";
import { remember } from "../pictures.js";
import { Frame, side } from "../frame.js";
import {
  attempt,
  changed,
  setQuery,
  notify,
  rooms,
  route,
  announcement,
  techniqueOf,
  titleOf,
} from "../store.js";
import { Cells } from "../cells.js";
import { SendTo } from "./make.js";

/** @import { Child, Ref, State } from "preact" */
/** @import { Picture } from "../api.js" */
/** @import { Schema } from "../schema.js" */

/** @typedef {{ tag: string, pictures: number }} TagCount */

const PAGE_SIZE = 60;
const MAX_SIZE = 500; // of a request
const SEARCH_DELAY = 120; // milliseconds in which changes are collected

export default function Gallery() {
  const { query } = route.value;
  const [search, room, starred, tag] = [
    query.get("words") ?? "",
    query.get("room") ?? "",
    query.get("starred") === "1",
    query.get("tag") ?? "",
  ];
  const [pictures, setPictures] = useState(/** @type {Picture[] | null} */ (null));
  const [tags, setTags] = useState(/** @type {TagCount[]} */ ([]));
  const [more, setMore] = useState(false);
  const [selected, setSelected] = useState(/** @type {string[]} */ ([]));
  const size = Math.min(MAX_SIZE, Math.max(PAGE_SIZE, pictures?.length ?? 0)); // so that none disappears
  /** @param {number} limit
      @param {string} before
      @returns {Promise<Picture[]>} */
  const fetchPage = (limit, before = "") =>
    get(
      `/api/gallery?limit=${limit}&words=${encodeURIComponent(search)}${room ? `&room=${room}` : ""}` +
        `${starred ? "&starred=1" : ""}${tag && `&tag=${encodeURIComponent(tag)}`}` +
        `${before && `&before=${before}`}`,
    );
  useEffect(() => {
    let cancelled = false;
    const refresh = () =>
      attempt(() => Promise.all([fetchPage(size), get("/api/gallery/tags")])).then((answer) => {
        if (cancelled || !answer) return;
        const [found, all] = answer;
        setPictures(found);
        const known = all.some((/** @type {TagCount} */ each) => each.tag === tag);
        setTags(known || !tag ? all : [...all, { tag, pictures: 0 }]);
        setMore(found.length === size);
      });
    const timer = setTimeout(refresh, pictures ? SEARCH_DELAY : 0);
    return () => {
      cancelled = true;
      clearTimeout(timer);
    };
  }, [search, room, starred, tag, changed.value]);
  async function loadOlder() {
    const found = pictures?.length
      ? await attempt(() => fetchPage(PAGE_SIZE, pictures[pictures.length - 1].id))
      : null;
    if (!pictures || !found) return;
    setPictures([...pictures, ...found]);
    setMore(found.length === PAGE_SIZE);
  }
  const put = (/** @type {Picture} */ next) =>
    setPictures((current) => current && current.map((each) => (each.id === next.id ? next : each)));
  /** @type {Ref<HTMLElement>} */
  const end = useRef();
  useEffect(() => {
    // load more when the end scrolls into view
    if (!more || !end.current) return undefined;
    const watch = new IntersectionObserver(
      ([entry]) => {
        if (entry.isIntersecting) loadOlder();
      },
      { rootMargin: "600px" },
    );
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [more, pictures?.length]);
  const toggle = (/** @type {string} */ id) =>
    setSelected(selected.includes(id) ? selected.filter((each) => each !== id) : [...selected, id]);
  const shown = pictures?.find((each) => each.id === query.get("picture"));
  const chosen = selected.flatMap((id) => pictures?.find((each) => each.id === id) ?? []);
  const compared = query.get("compare") ? chosen : [];
  return html`
    <div class="room gallery">
      <header class="finder">
        <h1>Gallery</h1>
        <input
          type="search"
          aria-label="Search"
          placeholder="Search: cat, block9, siren …"
          value=${search}
          onInput=${(event) => setQuery({ words: event.target.value })}
        />
        <div class="segments" role="radiogroup" aria-label="Room">
          ${[{ name: "", title: "All" }, ...rooms.value.slice(0, -1)].map(
            ({ name: each, title }) => html`
              <label key=${each}>
                <input
                  type="radio"
                  name="from-room"
                  checked=${room === each}
                  onChange=${() => setQuery({ room: each })}
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
            onChange=${(event) => setQuery({ starred: event.target.checked ? "1" : null })}
          />${" "}
          Starred
        </label>
        ${
          selected.length > 0 &&
          html`
            <span class="chosen" role="toolbar" aria-label="Chosen pictures">
              <span role="status">${selected.length} chosen</span>
              <${TagInput}
                label="Tag the chosen pictures"
                add=${(/** @type {string[]} */ added) => tagAll(chosen, added)}
              />
              <button
                type="button"
                class="button small"
                disabled=${selected.length !== 2}
                onClick=${() => setQuery({ compare: "1" })}
              >
                Compare
              </button>
              <a
                class="button small"
                href=${url(`/api/gallery/export.zip?ids=${selected.join(",")}`)}
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
                    onClick=${() => saveToFolder(chosen)}
                  >
                    Save to folder …
                  </button>
                `
              }
              <a
                class="button small"
                href=${url(`/api/gallery/sheet.pdf?ids=${selected.join(",")}`)}
                download
              >
                Contact sheet
              </a>
              ${
                pictures &&
                selected.length < pictures.length &&
                selected.length < 500 &&
                html`
                  <button
                    type="button"
                    class="button small quiet"
                    onClick=${() => setSelected(pictures.slice(0, 500).map((each) => each.id))}
                  >
                    All
                  </button>
                `
              }
              <button type="button" class="button small quiet" onClick=${() => setSelected([])}>
                None
              </button>
            </span>
          `
        }
        <datalist id="known-tags">
          ${tags.map((each) => html`<option key=${each.tag} value=${each.tag} />`)}
        </datalist>
        ${
          tags.length > 0 &&
          html`
            <div class="tags" role="group" aria-label="Tags">
              ${tags.map(
                (each) => html`
                  <button
                    type="button"
                    key=${each.tag}
                    class="button small"
                    aria-pressed=${each.tag === tag}
                    onClick=${() => setQuery({ tag: each.tag === tag ? null : each.tag })}
                  >
                    ${each.tag}
                    <span class="quiet">${each.pictures}</span>
                  </button>
                `,
              )}
            </div>
          `
        }
      </header>
      ${
        pictures?.length === 0 &&
        html`
          <p class="empty">
            ${
              search || room || starred || tag
                ? "No matches."
                : html`Nothing here yet. <a href="#/dream">Dream</a> is a good place to start.`
            }
          </p>
        `
      }
      <ul class="wall" aria-label="Pictures">
        ${pictures?.map(
          (each) => html`
            <li key=${each.id} style=${{ "--ratio": (each.width / each.height).toFixed(3) }}>
              <button
                type="button"
                class="tile"
                draggable="true"
                onDragStart=${(event) => event.dataTransfer.setData("text/lanterna", each.id)}
                onClick=${() => {
                  remember(each);
                  setQuery({ picture: each.id });
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
                    checked=${selected.includes(each.id)}
                    onChange=${() => toggle(each.id)}
                  />
                </label>
                <span class="name">
                  ${each.title || words(each.kind)}
                  ${each.tags.length > 0 && html`<span class="own-tags"> ${each.tags.join(", ")}</span>`}
                </span>
                <${Star} picture=${each} set=${put} />
              </span>
            </li>
          `,
        )}
      </ul>
      ${
        more &&
        html`
          <button type="button" class="button older" ref=${end} onClick=${loadOlder}>
            Show older
          </button>
        `
      }
      ${shown && html`<${PictureDetails} key=${shown.id} picture=${shown} all=${pictures} put=${put} />`}
      ${compared.length === 2 && html`<${Comparison} one=${compared[0]} other=${compared[1]} />`}
    </div>
  `;
}

/** @param {Picture} picture
    @param {string[]} tags */
const setTagsOf = (picture, tags) => patch(`/api/gallery/${picture.id}`, { tags });

/** Add tags to several pictures, which can be undone.
    @param {Picture[]} pictures
    @param {string[]} added */
const tagAll = (pictures, added) =>
  attempt(async () => {
    for (const each of pictures) await setTagsOf(each, [...each.tags, ...added]);
    const count = `${pictures.length} ${pictures.length === 1 ? "picture" : "pictures"}`;
    notify(`${count} tagged ${added.join(", ")}.`, "Undo", () =>
      attempt(async () => {
        for (const each of pictures) await setTagsOf(each, each.tags);
      }),
    );
  });

/** A field for one or more tags, separated by commas.
    @param {{ label: string, add: (tags: string[]) => void }} props */
function TagInput({ label, add }) {
  return html`
    <input
      type="text"
      class="tag-input"
      list="known-tags"
      maxlength="120"
      autocomplete="off"
      aria-label=${label}
      placeholder="Add a tag"
      onChange=${(event) => {
        const added = event.target.value.split(",").filter((each) => each.trim());
        event.target.value = "";
        if (added.length) add(added);
      }}
    />
  `;
}

/** The tags of a picture: each filters the gallery, or can be removed.
    @param {{ picture: Picture, put: (picture: Picture) => void }} props */
function Tags({ picture, put }) {
  const set = (/** @type {string[]} */ tags) => attempt(async () => put(await setTagsOf(picture, tags)));
  const before = picture.tags;
  return html`
    <ul class="tags" aria-label="Tags">
      ${before.map(
        (tag) => html`
          <li key=${tag} class="own-tag">
            <button type="button" onClick=${() => setQuery({ tag, picture: null })}>${tag}</button>
            <button
              type="button"
              aria-label=${`Remove the tag ${tag}`}
              onClick=${() => {
                set(before.filter((each) => each !== tag));
                notify(`The tag ${tag} was removed.`, "Undo", () => set(before));
              }}
            >
              ×
            </button>
          </li>
        `,
      )}
      <li>
        <${TagInput} label="Add a tag" add=${(/** @type {string[]} */ added) => set([...before, ...added])} />
      </li>
    </ul>
  `;
}

const toggleStar = (picture, set) =>
  attempt(async () => set(await patch(`/api/gallery/${picture.id}`, { starred: !picture.starred })));

/** @param {{ picture: Picture, set: (picture: Picture) => void }} props */
function Star({ picture, set }) {
  return html`
    <button
      type="button"
      class="star"
      aria-pressed=${!!picture.starred}
      aria-label=${`Star ${picture.title || picture.kind}`}
      onClick=${() => toggleStar(picture, set)}
    >
      ${picture.starred ? "★" : "☆"}
    </button>
  `;
}

/** @param {{ label: string, close: () => void, children?: Child, keys?: (event: KeyboardEvent) => void }}
        props */
function PictureDialog({ label, close, children, keys }) {
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
function PictureDetails({ picture, all, put }) {
  const [loupe, setLoupe] = useState(false);
  const recipe = picture.recipe;
  const larger = largerSettings(picture);
  const place = all.indexOf(picture);
  const step = (way) => all[place + way] && setQuery({ picture: all[place + way].id });
  async function deletePicture() {
    if (!(await attempt(() => remove(`/api/gallery/${picture.id}`)))) return;
    setQuery({ picture: null });
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
    announcement.value = "The command line was copied.";
    notify("The command line was copied.");
  }
  function vary() {
    if (!recipe) return;
    const seed = (recipe.settings.seed ?? 0) + 1;
    openWithSettings({ ...recipe, settings: { ...recipe.settings, seed } }, recipe.inputs);
    notify(`The same settings, with seed ${seed}.`);
  }
  const schemas = techniqueOf(recipe?.kind ?? "")?.schema.properties ?? {};
  const nonDefault = Object.entries(recipe?.settings ?? {}).filter(
    ([name, value]) => schemas[name] && JSON.stringify(schemas[name].default) !== JSON.stringify(value),
  );
  return html`
    <${PictureDialog}
      label=${picture.title || words(picture.kind)}
      close=${() => setQuery({ picture: null })}
      keys=${(event) => {
        if (event.target.matches("input, [role=application]")) return;
        ({
          ArrowLeft: () => step(-1),
          ArrowRight: () => step(1),
          s: () => toggleStar(picture, put),
          Delete: deletePicture,
        })[event.key]?.();
      }}
    >
      <div class="well">
        <${Frame} after=${side(picture, picture.title || words(picture.kind))} loupe=${loupe}>
          ${!!recipe?.sheet?.length && !loupe && html`<${Cells} picture=${picture} />`}
        <//>
      </div>
      <aside class="about">
        <div class="titled">
          <${TextInput}
            type="text"
            aria-label="Title"
            value=${picture.title}
            placeholder=${words(picture.kind)}
            maxlength="120"
            commit=${({ target }) =>
              target.value.trim() &&
              attempt(async () => put(await patch(`/api/gallery/${picture.id}`, { title: target.value })))}
          />
          <${Star} picture=${picture} set=${put} />
        </div>
        <${Tags} picture=${picture} put=${put} />
        <p class="quiet">
          ${titleOf(picture.kind)} · ${picture.width} × ${picture.height} ·${" "}
          ${when(picture.created)}
        </p>
        ${
          nonDefault.length > 0 &&
          html`
            <dl>
              ${nonDefault.map(
                ([name, value]) => html`
                  <div key=${name}>
                    <dt>${words(name)}</dt>
                    <dd>
                      ${
                        Array.isArray(value)
                          ? value.map((each) => worded(schemas[name], each)).join("; ")
                          : typeof value === "number"
                            ? figure(value)
                            : String(value ?? "automatic")
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
              Settings changed during the run:${" "}
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
              . The command has the final ones.
            </p>
          `
        }
        ${
          recipe?.command &&
          html`
            <pre class="command" tabindex="0" aria-label="Command line">
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
              <button
                type="button"
                class="button small"
                onClick=${() => openWithSettings(recipe, recipe.inputs)}
              >
                Reuse settings
              </button>
              <button type="button" class="button small" onClick=${vary}>
                Vary the seed
              </button>
              ${
                larger &&
                html`
                  <button
                    type="button"
                    class="button small"
                    onClick=${() => openWithSettings({ ...recipe, settings: larger }, recipe.inputs)}
                  >
                    Make larger
                  </button>
                `
              }
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
          <a class="button small" href=${file(picture.id)} download=${picture.file}>
            Save
          </a>
          <button type="button" class="button small" onClick=${deletePicture}>
            Delete
          </button>
        </div>
      </aside>
    <//>
  `;
}

/** A value of a setting that takes several, in words.
    @param {Schema} schema
    @param {any} value */
const worded = ({ names, picks }, value) =>
  names ? plain(names[value] ?? String(value)) : picks === "target" ? inWords(value) : String(value);

/** The settings that make a picture twice as large, or null if its technique cannot.
    @param {Picture} picture */
function largerSettings({ recipe, width, height }) {
  const technique = techniqueOf(recipe?.kind ?? "");
  if (!recipe || !technique || recipe.sheet?.length || technique.makes !== "picture") return null;
  const { properties } = technique.schema;
  const sides = properties.size ? { size: Math.max(width, height) } : { width, height };
  /** @type {Record<string, number>} */
  const changes = {};
  for (const [name, side] of Object.entries(sides)) {
    const { type, maximum } = setting(name, properties[name] ?? {}, technique.schema.$defs);
    if (type === "integer") changes[name] = Math.min(2 * side, maximum ?? Infinity);
  }
  const isLarger = Object.entries(changes).some(([name, side]) => side > sides[name]);
  return isLarger ? { ...recipe.settings, ...("print" in properties && { print: null }), ...changes } : null;
}

/** @param {{ one: Picture, other: Picture }} props */
function Comparison({ one, other }) {
  return html`
    <${PictureDialog} label="Two pictures compared" close=${() => setQuery({ compare: null })}>
      <div class="well full">
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

/** Write pictures into a folder of the user's choice, if the browser supports it; existing files are skipped.
    @param {Picture[]} pictures */
async function saveToFolder(pictures) {
  let folder;
  try {
    folder = await window.showDirectoryPicker?.({ mode: "readwrite" });
  } catch {
    return; // nothing was chosen
  }
  const target = folder;
  if (!target) return;
  await attempt(async () => {
    for (const picture of pictures) {
      const name = picture.file;
      const existing = await target.getFileHandle(name).catch(() => null);
      if (existing) continue;
      const writable = await (await target.getFileHandle(name, { create: true })).createWritable();
      await (await fetch(file(picture.id))).body?.pipeTo(writable);
    }
    notify(`Saved ${pictures.length} pictures to ${target.name}.`);
  });
}

const when = (seconds) =>
  new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
