// Pictures that go in: a place that takes a picture by drop, paste, upload, camera, shelf or gallery.

import { contextOf } from "lanterna/canvas.js";
import { again } from "./again.js";
import { attempt, examples, notify, techniqueOf } from "./store.js";
import { get, post, thumbnail, upload, url } from "./api.js";
import { Fetch } from "./shelf.js";
import { html, signal, useEffect, useRef, useState } from "./html.js";

/** @import { Child, Ref, Signal, State } from "preact" */
/** @import { Input, Picture } from "./api.js" */

/** @type {Signal<Record<string, Picture>>} */
const known = signal({}); // pictures by id, once they have been asked for

/** A picture by id: what the server says of it, or null until it has said.
    @param {string | null | undefined} id */
export function usePicture(id) {
  useEffect(() => {
    if (id && !known.value[id]) get(`/api/pictures/${id}`).then(remember, () => {});
  }, [id]);
  return id ? (known.value[id] ?? null) : null;
}

/** @param {Picture} picture */
export function remember(picture) {
  known.value = { ...known.value, [picture.id]: picture };
  return picture;
}

/** Send a file; the picture it became, or null where it was refused. One that Lanterna made offers its
    settings.
    @param {File | Blob} file */
export async function take(file) {
  const picture = await attempt(() => upload(file));
  if (picture?.recipe?.kind && techniqueOf(picture.recipe.kind)) {
    const { recipe } = picture;
    notify("Lanterna made this picture, and its settings are in it.", "Use its settings", () =>
      again(recipe, recipe.inputs),
    );
  }
  return picture && remember(picture);
}

/** What is dropped or pasted anywhere on the page, as a picture's id; nothing where it is not `wanted`.
    @param {(id: string) => void} set
    @param {boolean} wanted */
export function useArrivals(set, wanted) {
  useEffect(() => {
    if (!wanted) return undefined;
    const arrive = async (received) => {
      const picture = received && (await take(received));
      if (!picture) return;
      set(picture.id);
    };
    const over = (event) => event.preventDefault();
    const drop = (event) => {
      event.preventDefault();
      const dragged = event.dataTransfer.getData("text/lanterna");
      if (dragged) set(dragged);
      else arrive(event.dataTransfer.files[0]);
    };
    const paste = (event) => {
      if (!event.target.closest?.("input, dialog")) arrive([...event.clipboardData.files][0]);
    };
    addEventListener("dragover", over);
    addEventListener("drop", drop);
    addEventListener("paste", paste);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("drop", drop);
      removeEventListener("paste", paste);
    };
  });
}

/** Make a photograph of the shelf a picture.
    @param {string} name */
export async function takeExample(name) {
  const picture = await attempt(() => post(`/api/examples/${encodeURIComponent(name)}`));
  return picture && remember(picture);
}

/** Places for the pictures of one role; `set(ids)` is told.
    @param {{ role: string, words: string, many: boolean, required: boolean, suffix?: string,
    ids: string[], set: (ids:
        string[]) => void, extra?: Child }} props */
export function Slots({ role, words, many, required, suffix = "", ids, set, extra = null }) {
  const places = many ? [...ids, null] : [ids[0] ?? null];
  return html`
    <div class="slots" role="group" aria-label=${words}>
      ${places.map(
        (id, place) => html`
          <${Slot}
            key=${id ?? "new"}
            id=${id}
            role=${role}
            suffix=${suffix}
            words=${words}
            required=${required && place === 0}
            more=${many && place > 0}
            set=${(next) =>
              set(
                next ? Object.assign([...ids], { [place]: next }) : ids.filter((_, each) => each !== place),
              )}
          />
        `,
      )}
      ${extra}
    </div>
  `;
}

/** @param {{ id: string | null, role: string, words: string, required: boolean, suffix: string,
    more: boolean, set: (id:
        string | null) => void }} props */
function Slot({ id, role, words, required, suffix, more, set }) {
  const [picking, setPicking] = useState(false);
  const [over, setOver] = useState(false);
  const picture = usePicture(id);
  const name = role.replace("-", " ");
  async function drop(event) {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    const dragged = event.dataTransfer.getData("text/lanterna");
    if (dragged) set(dragged);
    const file = event.dataTransfer.files[0];
    if (file) set((await take(file))?.id ?? id);
  }
  return html`
    <div
      class="slot"
      data-over=${over}
      data-role=${role}
      onDragOver=${(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave=${() => setOver(false)}
      onDrop=${drop}
    >
      <button
        type="button"
        class="place"
        onClick=${() => setPicking(true)}
        aria-label=${id ? `${name}: ${picture?.title || "a picture"}. Choose another` : `Choose the ${name}`}
        title=${words}
      >
        ${id ? html`<img src=${thumbnail(id)} alt="" />` : html`<span aria-hidden="true">+</span>`}
      </button>
      ${
        id &&
        !required &&
        html`
          <button type="button" class="away" aria-label=${`Remove ${name}`} onClick=${() => set(null)}>
            ×
          </button>
        `
      }
      <span class="role">${more && !id ? "Add another" : name}</span>
      ${
        picking &&
        html`
          <${Picker}
            words=${words}
            only=${suffix ? (each) => each.also === suffix : null}
            close=${() => setPicking(false)}
            chosen=${(next) => {
              set(next);
              setPicking(false);
            }}
          />
        `
      }
    </div>
  `;
}

/** A dialog to choose a picture from wherever there are pictures; with `only`, from those of the gallery that
    it lets in.
    @param {{ words: string, only?: ((picture: Picture) => boolean) | null, close: () => void, chosen: (id:
        string) => void }} props */
export function Picker({ words, only = null, close, chosen }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  const [from, setFrom] = useState(only ? "gallery" : "shelf");
  const [made, setMade] = useState(/** @type {Picture[] | null} */ (null));
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  useEffect(() => {
    dialog.current.showModal();
    get(`/api/gallery?limit=${only ? 500 : 60}`).then(
      (found) => setMade(only ? found.filter(only) : found),
      () => setMade([]),
    );
  }, []);
  const accept = async (file) => {
    const picture = file && (await take(file));
    if (picture) chosen(picture.id);
  };
  const tabs = only
    ? []
    : [
        ["shelf", "Photographs"],
        ["gallery", "Gallery"],
        ["camera", "Camera"],
      ];
  return html`
    <dialog
      ref=${dialog}
      class="picker"
      aria-label=${`Choose ${words}`}
      onClose=${close}
      onClick=${(event) => event.target === dialog.current && dialog.current.close()}
      onPaste=${(event) => accept([...event.clipboardData.files][0])}
    >
      <header>
        <h2>${words[0].toUpperCase() + words.slice(1)}</h2>
        <button type="button" class="button quiet" onClick=${() => dialog.current.close()}>
          Close
        </button>
      </header>
      ${
        !only &&
        html`
          <div class="sources">
            <div class="segments" role="radiogroup" aria-label="Where from">
              ${tabs.map(
                ([key, label]) => html`
                  <label key=${key}>
                    <input type="radio" name="from" checked=${from === key} onChange=${() => setFrom(key)} />
                    <span>${label}</span>
                  </label>
                `,
              )}
            </div>
            <button type="button" class="button" onClick=${() => input.current.click()}>
              A file of yours …
            </button>
            <input
              ref=${input}
              type="file"
              accept="image/*"
              class="unseen"
              tabindex="-1"
              aria-label="A picture from this computer"
              onChange=${(event) => accept(event.target.files[0])}
            />
          </div>
        `
      }
      ${
        from === "shelf" &&
        html`
          <div class="choices">
            <${Fetch} names=${["photographs"]} words="Free photographs to begin with are not here yet." />
            ${examples.value
              .filter(({ here }) => here)
              .map(
                (each) => html`
                  <button
                    type="button"
                    key=${each.name}
                    class="choice"
                    onClick=${async () => {
                      const picture = await takeExample(each.name);
                      if (picture) chosen(picture.id);
                    }}
                  >
                    <img
                      loading="lazy"
                      src=${url(`/api/examples/${encodeURIComponent(each.name)}/thumbnail`)}
                      alt=""
                    />
                    <span>${(each.title ?? each.name).replace(/\.[a-z]+$/, "")}</span>
                  </button>
                `,
              )}
          </div>
        `
      }
      ${
        from === "gallery" &&
        html`
          <div class="choices">
            ${
              made?.length === 0 &&
              html`
                <p class="empty">
                  ${only ? "No matches." : "Nothing here yet."}
                </p>
              `
            }
            ${made?.map(
              (each) => html`
                <button
                  type="button"
                  key=${each.id}
                  class="choice"
                  onClick=${() => {
                    remember(each);
                    chosen(each.id);
                  }}
                >
                  <img loading="lazy" src=${thumbnail(each.id)} alt="" />
                  <span>${each.title || each.kind}</span>
                </button>
              `,
            )}
          </div>
        `
      }
      ${from === "camera" && html`<${Camera} accept=${accept} />`}
      ${!only && html`<p class="hint">Or drop a picture on the page, or paste one.</p>`}
    </dialog>
  `;
}

/** @param {{ accept: (file: File) => void }} props */
function Camera({ accept }) {
  /** @type {Ref<HTMLVideoElement>} */
  const video = useRef();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let stream = null;
    let gone = false;
    navigator.mediaDevices?.getUserMedia({ video: { width: { ideal: 1280 } } }).then(
      (opened) => {
        stream = opened;
        if (gone) stop();
        else video.current.srcObject = opened;
      },
      () => setProblem("The camera did not open: the browser, or another program, keeps it."),
    ) ?? setProblem("This browser has no camera to offer here.");
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    return () => {
      gone = true;
      stop();
    };
  }, []);
  function shoot() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.current.videoWidth, video.current.videoHeight];
    if (!canvas.width) return notify("The camera shows nothing yet.");
    contextOf(canvas).drawImage(video.current, 0, 0);
    canvas.toBlob(
      (blob) => blob && accept(new File([blob], "camera.jpg", { type: "image/jpeg" })),
      "image/jpeg",
      0.95,
    );
  }
  return html`
    <div class="camera">
      ${
        problem
          ? html`<p class="empty">${problem}</p>`
          : html`<video ref=${video} autoplay muted playsinline></video>`
      }
      <button type="button" class="button primary" disabled=${!!problem} onClick=${shoot}>
        Take the picture
      </button>
    </div>
  `;
}
