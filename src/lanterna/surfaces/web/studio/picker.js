// A dialog to choose a picture from the shelf, the gallery, a file or the camera.

import { contextOf } from "lanterna/canvas.js";
import { get, thumbnail, url } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { addExample, remember, uploadPicture } from "./pictures.js";
import { Fetch } from "./shelf.js";
import { examples, notify } from "./store.js";

/** @import { Ref } from "preact" */
/** @import { Picture } from "./api.js" */

/** With `only`, from the gallery's pictures that pass this filter.
    @param {{ words: string, only?: ((picture: Picture) => boolean) | null, close: () => void, chosen: (id:
        string) => void }} props */
export default function Picker({ words, only = null, close, chosen }) {
  /** @type {Ref<HTMLDialogElement>} */
  const dialog = useRef();
  const [from, setFrom] = useState(only ? "gallery" : "shelf");
  const [results, setResults] = useState(/** @type {Picture[] | null} */ (null));
  /** @type {Ref<HTMLInputElement>} */
  const input = useRef();
  useEffect(() => {
    dialog.current.showModal();
    get(`/api/gallery?limit=${only ? 500 : 60}`).then(
      (found) => setResults(only ? found.filter(only) : found),
      () => setResults([]),
    );
  }, []);
  const accept = async (file) => {
    const picture = file && (await uploadPicture(file));
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
            <div class="segments" role="radiogroup" aria-label="Source">
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
              Upload a file …
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
            <${Fetch}
              names=${["photographs"]}
              words="The free example photographs have not been downloaded yet."
            />
            ${examples.value
              .filter(({ here }) => here)
              .map(
                (each) => html`
                  <button
                    type="button"
                    key=${each.name}
                    class="choice"
                    onClick=${async () => {
                      const picture = await addExample(each.name);
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
              results?.length === 0 &&
              html`
                <p class="empty">
                  ${only ? "No matches." : "Nothing here yet."}
                </p>
              `
            }
            ${results?.map(
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
    let unmounted = false;
    navigator.mediaDevices?.getUserMedia({ video: { width: { ideal: 1280 } } }).then(
      (opened) => {
        stream = opened;
        if (unmounted) stop();
        else video.current.srcObject = opened;
      },
      () =>
        setProblem("The camera could not be opened: the browser blocks it, or another program is using it."),
    ) ?? setProblem("No camera is available in this browser.");
    const stop = () => stream?.getTracks().forEach((track) => track.stop());
    return () => {
      unmounted = true;
      stop();
    };
  }, []);
  function takePicture() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.current.videoWidth, video.current.videoHeight];
    if (!canvas.width) return notify("The camera is not ready yet.");
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
      <button type="button" class="button primary" disabled=${!!problem} onClick=${takePicture}>
        Take a picture
      </button>
    </div>
  `;
}
