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

const LoadFailed = () => html`
  <p class="empty">
    This part of the page could not be loaded.${" "}
    <button type="button" class="button small" onClick=${() => location.reload()}>
      Try again
    </button>
  </p>
`;
