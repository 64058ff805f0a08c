// A page in a notebook's cell, inside an iframe that exchanges messages with Python.

const LIGHT = "(prefers-color-scheme: light)";

/** Whether the notebook is light, by the first opaque background behind the cell, or the system's theme. */
function isLight(element) {
  for (let at = element; at; at = at.parentElement) {
    const [red, green, blue, alpha = 1] =
      getComputedStyle(at)
        .backgroundColor.match(/[\d.]+/g)
        ?.map(Number) ?? [];
    if (red !== undefined && alpha > 0.5) return 0.3 * red + 0.6 * green + 0.1 * blue > 128;
  }
  return matchMedia(LIGHT).matches;
}

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = model.get("title");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.style.cssText = "display: block; width: 100%; border: 0; border-radius: 8px";
  frame.style.height = `${model.get("height")}px`;
  el.append(frame);

  const sendShown = () => frame.contentWindow?.postMessage({ shown: model.get("to_page") }, "*");
  function onMessage({ source, data }) {
    if (source !== frame.contentWindow) return;
    if (data.ready) sendShown();
    if (data.height) frame.style.height = `${data.height}px`;
    if (data.value) {
      model.set("from_page", data.value);
      model.save_changes();
    }
  }
  addEventListener("message", onMessage);
  model.on("change:to_page", sendShown);
  // A page follows the system's theme; in a notebook the notebook's theme is written into it. The cell has
  // a background behind it only in the next frame.
  const pendingFrame = requestAnimationFrame(() => {
    const condition = isLight(el) ? "(min-width: 0)" : "(max-width: 0)";
    frame.srcdoc = model.get("page").replaceAll(LIGHT, condition);
  });
  return () => {
    cancelAnimationFrame(pendingFrame);
    removeEventListener("message", onMessage);
    model.off("change:to_page", sendShown);
  };
}

export default { render };
