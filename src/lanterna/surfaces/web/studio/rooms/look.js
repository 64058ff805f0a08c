// Look: a picture flowing through a network, and what made its answer; and what a unit wants to see.

import { get } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Slots } from "../pictures.js";
import { keep, networks, recipeOf, route } from "../store.js";
import { Make } from "./make.js";

export default function Look() {
  const { query } = route.value;
  if (query.get("kind")) return html`<${Make} room="look" />`;
  const here = networks.value.filter((each) => each.here);
  const picture = query.get("in.picture") ?? "";
  const digits = (name) => here.find((each) => each.name === name)?.input?.[0] === 1;
  const usual = picture ? here.find((each) => each.name === "efficientnet-lite0") ?? here[0] : here.find((each) => each.name === "conv") ?? here.find((each) => digits(each.name)) ?? here[0];
  const name = query.get("network") ?? usual?.name ?? "";
  const wants = !picture && !digits(name);
  const address = `/api/look?network=${encodeURIComponent(name)}${picture && `&picture=${picture}`}`;
  return html`<div class="look">
    <header class="finder">
      <h1>Look</h1>
      <div class="inputs"><${Slots} role="picture" words="the picture to look at" ids=${picture ? [picture] : []} set=${(ids) => keep({ "in.picture": ids[0] })} /></div>
      <label class="check">Network <select value=${name} onChange=${(event) => keep({ network: event.target.value })}>${here.map((each) => html`<option key=${each.name} value=${each.name}>${each.name}</option>`)}</select></label>
      ${recipeOf("feature") && html`<a href="#/look?kind=feature">What one unit wants to see</a>`}
    </header>
    ${here.length === 0 ? html`<p class="empty">No network is here yet. <a href="#/train">Train</a> one first.</p>`
      : wants ? html`<p class="empty">Choose a picture for ${name}.</p>`
      : html`<${View} key=${address} address=${address} />`}
  </div>`;
}

// The look view is a page of its own, shown in a frame that can reach nothing of the studio.
function View({ address }) {
  const [state, setState] = useState("loading");
  useEffect(() => {
    let late = false;
    get(address).then(() => late || setState("here"), (error) => late || setState(error.message));
    return () => { late = true; };
  }, []);
  if (state === "here") return html`<iframe src=${address} sandbox="allow-scripts" title="The picture in the network"></iframe>`;
  return html`<p class="empty" role="status">${state === "loading" ? "The picture goes through the network …" : state}</p>`;
}
