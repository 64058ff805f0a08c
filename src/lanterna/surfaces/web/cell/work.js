// Work in a notebook's cell: the picture so far, how far it has come, and a button to stop it.

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A number as it is read at a glance. */
function short(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return size >= 100 ? value.toFixed(0) : size >= 1 || size === 0 ? value.toFixed(2) : value.toPrecision(2);
}

function render({ model, el }) {
  const picture = element("img", { alt: "" });
  const bar = element("progress", { "aria-label": "Steps", value: 0, max: 1 });
  const count = element("span", { class: "count" });
  const numbers = element("span", { class: "numbers" });
  const said = element("span", { class: "said", role: "status" });
  const stop = element("button", { type: "button" }, "Stop");
  const host = element(
    "figure",
    { class: "lanterna-work" },
    picture,
    bar,
    element("figcaption", {}, count, numbers, said, stop),
  );
  el.append(host);
  let address = null;

  function show() {
    const [step, steps, state] = [model.get("step"), model.get("steps"), model.get("state")];
    const working = state === "working";
    const bytes = model.get("jpeg");
    const [width, height] = model.get("size");
    host.classList.toggle("empty", !bytes.byteLength);
    picture.style.aspectRatio = `${width} / ${height}`;
    picture.alt = `${model.get("title")}: the picture at step ${step} of ${steps}`;
    if (bytes.byteLength) {
      const before = address;
      address = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
      picture.src = address;
      if (before) URL.revokeObjectURL(before);
    }
    bar.max = steps || 1;
    bar.value = step;
    count.textContent = steps
      ? `step ${step.toLocaleString("en")} of ${steps.toLocaleString("en")}`
      : "beginning";
    numbers.textContent = Object.entries(model.get("numbers"))
      .slice(0, 3)
      .map(([name, value]) => `${name} ${short(value)}`)
      .join("   ");
    said.textContent = working ? "" : state === "failed" ? model.get("failure") : state;
    stop.style.visibility = working ? "visible" : "hidden";
  }

  stop.addEventListener("click", () => {
    stop.disabled = true;
    model.send("stop");
  });
  const watched = ["jpeg", "step", "numbers", "state"].map((name) => `change:${name}`);
  let next = 0; // the frame in which everything that has changed is shown at once
  const later = () => {
    next ||= requestAnimationFrame(() => {
      next = 0;
      show();
    });
  };
  for (const name of watched) model.on(name, later);
  show();
  return () => {
    for (const name of watched) model.off(name, later);
    cancelAnimationFrame(next);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
