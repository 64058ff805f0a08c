// Components whose module loads when they are first shown.

import { html, signal, useEffect } from "./html.js";

/** @import { Signal } from "preact" */

/** A component, the default export of a module.
    @param {() => Promise<{ default: unknown }>} load */
export function lazy(load) {
  /** @type {Signal<any>} */
  const component = signal(null);
  return (/** @type {object} */ props) => {
    useEffect(() => {
      if (!component.value)
        load().then(
          (module) => {
            component.value = module.default;
          },
          () => {
            component.value = LoadFailed;
          },
        );
    }, []);
    return component.value && html`<${component.value} ...${props} />`;
  };
}

/** Add a style sheet of a part that is loaded when it is needed, and wait for it.
    @param {string} href */
export const addStyles = (href) =>
  new Promise((done) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    link.addEventListener("load", done);
    link.addEventListener("error", done);
    document.head.append(link);
  });

const LoadFailed = () => html`
  <p class="empty">
    This part of the page could not be loaded.${" "}
    <button type="button" class="button small" onClick=${() => location.reload()}>
      Try again
    </button>
  </p>
`;
