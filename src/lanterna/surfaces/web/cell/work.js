// A run in a notebook's cell: the picture so far, the progress, and a button to stop it.

function element(name, attributes, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  created.append(...children);
  return created;
}

/** A short form of a number. */
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
  const status = element("span", { class: "said", role: "status" });
  const stop = element("button", { type: "button" }, "Stop");
  const host = element(
    "figure",
    { class: "lanterna-work" },
    picture,
    bar,
    element("figcaption", {}, count, numbers, status, stop),
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
      : "starting";
    numbers.textContent = Object.entries(model.get("numbers"))
      .slice(0, 3)
      .map(([name, value]) => `${name} ${short(value)}`)
      .join("   ");
    status.textContent = working ? "" : state === "failed" ? model.get("failure") : state;
    stop.style.visibility = working ? "visible" : "hidden";
  }

  stop.addEventListener("click", () => {
    stop.disabled = true;
    model.send("stop");
  });
  const watched = ["jpeg", "step", "numbers", "state"].map((name) => `change:${name}`);
  let frame = 0; // the animation frame that shows all changes together
  const scheduleShow = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      show();
    });
  };
  for (const name of watched) model.on(name, scheduleShow);
  show();
  return () => {
    for (const name of watched) model.off(name, scheduleShow);
    cancelAnimationFrame(frame);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
