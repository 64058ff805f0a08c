// The toolbar above the picture.

import { count, element } from "lanterna/words.js";

/** @import { Page, View } from "lanterna/flow.js" */

const MIN_SHARE = 0.001; // share of the lines at the slider's left end; the right end is all lines

/** Connect the controls to the state; `update` shows the state in them.
    @param {Page} page
    @param {(id: string) => any} find - an element of the page: an input, a select, a button */
export function makeControls(page, find) {
  const names = page.data.classes;
  const answers = (page.data.answers ?? names.map((_, index) => index)).map((index) => [index, names[index]]);
  fill(find("answer"), [["", "its answer"], ...answers]);
  fill(find("against"), [["", "nothing"], ...answers]);
  for (const key of ["answer", "against"]) {
    find(key).addEventListener("change", ({ target }) =>
      page.change({ [key]: target.value === "" ? null : Number(target.value) }),
    );
  }
  const depths = [
    "none",
    ...(page.data.columns ?? []).filter(({ kind }) => kind !== "units").map(({ name }) => name),
  ];
  find("depth").max = depths.length - 1;
  find("depth").addEventListener("input", ({ target }) => page.change({ depth: depths[target.value] }));
  for (const key of ["show", "scale", "columns"]) {
    find(key).addEventListener("change", ({ target }) => page.change({ [key]: target.value }));
  }
  find("share").addEventListener("input", ({ target }) =>
    page.change({ share: shareAt(Number(target.value)) }),
  );
  find("forward").addEventListener("click", () => page.play(1));
  find("backward").addEventListener("click", () => page.play(-1));
  find("undo").addEventListener("click", page.undo);
  find("restore").addEventListener("click", page.restore);
  return {
    /** @param {number} share
        @param {View} view */
    update(share, { flow, model }) {
      const { state } = page;
      find("answer").value = state.answer ?? "";
      find("against").value = state.against ?? "";
      for (const key of ["show", "scale", "columns"]) find(key).value = state[key];
      if (document.activeElement !== find("share")) find("share").value = Math.round(placeOf(share));
      const drawn = flow.curves.drawn;
      find("drawn").textContent =
        drawn >= flow.curves.links ? `all ${count(drawn)}` : `${count(drawn)} of ${count(flow.curves.links)}`;
      find("undo").disabled = find("restore").disabled = !state.cuts.length;
      find("restore").textContent = state.cuts.length ? `Restore ${state.cuts.length}` : "Restore";
      for (const id of ["undo", "restore", "columns-choice", "show-choice"])
        find(id).hidden = !model.computes;
      const explains = model.answers().length > 0;
      for (const id of ["answer-choice", "against-choice", "lines-choice", "backward"])
        find(id).hidden = !explains;
      find("depth-choice").hidden = model.computes || !explains;
      const depth = Math.max(0, depths.indexOf(state.depth ?? page.data.depth));
      find("depth").value = depth;
      find("depth-name").textContent = depth ? depths[depth].replace("input", "pixels") : "none";
    },
  };
}

/** @param {HTMLSelectElement} select
    @param {[string | number, string][]} options */
function fill(select, options) {
  select.replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
}

/** @param {number} place */
const shareAt = (place) => MIN_SHARE ** (1 - place / 100);
/** @param {number} share */
const placeOf = (share) => 100 * (1 - Math.log(Math.max(MIN_SHARE, share)) / Math.log(MIN_SHARE));
