// A page in a notebook's cell: in a frame of its own, which hears what Python tells and says what is done in
// it.

const LIGHT = "(prefers-color-scheme: light)";

/** Whether the notebook is light: the first colour that lies behind the cell says so, where there is one. */
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

  const tell = () => frame.contentWindow?.postMessage({ shown: model.get("to_page") }, "*");
  function hear({ source, data }) {
    if (source !== frame.contentWindow) return;
    if (data.ready) tell();
    if (data.height) frame.style.height = `${data.height}px`;
    if (data.told) {
      model.set("from_page", data.told);
      model.save_changes();
    }
  }
  addEventListener("message", hear);
  model.on("change:to_page", tell);
  // A page follows the system's theme, and in a notebook the notebook's: here the answer is written into it.
  // The cell is in its place, and has a colour behind it, only in the next frame.
  const drawing = requestAnimationFrame(() => {
    const answer = isLight(el) ? "(min-width: 0)" : "(max-width: 0)";
    frame.srcdoc = model.get("page").replaceAll(LIGHT, answer);
  });
  return () => {
    cancelAnimationFrame(drawing);
    removeEventListener("message", hear);
    model.off("change:to_page", tell);
  };
}

export default { render };
