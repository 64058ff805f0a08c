// Look: a picture flowing through a network, and what made its answer; and what a unit wants to see.

import { classify, file, get, url } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { Slots, takeExample } from "../pictures.js";
import { Fetch } from "../shelf.js";
import { examples, keep, networks, techniqueOf, route } from "../store.js";
import { Make } from "./make.js";

/** @import { State } from "preact" */
/** @import { Answer, Picture } from "../api.js" */

export default function Look() {
  const { query } = route.value;
  if (query.get("kind")) return html`<${Make} room="look" />`;
  const here = networks.value.filter((each) => each.here);
  const picture = query.get("in.picture") ?? "";
  const digits = (name) => here.find((each) => each.name === name)?.input?.[0] === 1;
  const usual = picture
    ? (here.find((each) => each.name === "efficientnet-lite0") ?? here[0])
    : (here.find((each) => each.name === "conv") ?? here.find((each) => digits(each.name)) ?? here[0]);
  const name = query.get("network") ?? usual?.name ?? "";
  const wants = !picture && !digits(name);
  useEffect(() => {
    // a photograph is there already where the network wants one
    const example = examples.value.find((each) => each.here && each.name.startsWith("chelsea"));
    if (wants && name && example)
      takeExample(example.name).then((found) => {
        if (found && !route.value.query.get("in.picture")) keep({ network: name, "in.picture": found.id });
      });
  }, [wants, name]);
  const address = `/api/look?network=${encodeURIComponent(name)}${picture && `&picture=${picture}`}`;
  return html`
    <div class="look">
      <header class="finder">
        <h1>Look</h1>
        <div class="inputs">
          <${Slots}
            role="picture"
            words="the picture to look at"
            ids=${picture ? [picture] : []}
            set=${(ids) => keep({ "in.picture": ids[0] })}
          />
        </div>
        <label class="check">
          Network${" "}
          <select value=${name} onChange=${(event) => keep({ network: event.target.value })}>
            ${here.map(
              (each) => html`
                <option key=${each.name} value=${each.name}>
                  ${each.name}
                </option>
              `,
            )}
          </select>
        </label>
        ${picture && name && !digits(name) && html`<${Classes} picture=${picture} network=${name} />`}
        ${techniqueOf("feature") && html`<a href="#/look?kind=feature">What one unit wants to see</a>`}
      </header>
      ${
        here.length === 0
          ? html`
            <div class="empty">
              <p>
                No network is here yet. <a href="#/train">Train</a> one that reads digits, or fetch one that
                knows a thousand things:
              </p>
              <${Fetch} names=${["efficientnet-lite0", "imagenet-classes"]} words="" />
            </div>
          `
          : wants
            ? html`<p class="empty">Choose a picture for ${name}.</p>`
            : html`<${View} key=${address} address=${address} />`
      }
    </div>
  `;
}

/** What the network says is in the picture.
    @param {{ picture: string, network: string }} props */
function Classes({ picture, network }) {
  const [found, setFound] = useState(/** @type {Answer[] | null} */ (null));
  useEffect(() => {
    let late = false;
    setFound(null);
    fetch(file(picture))
      .then((response) => response.blob())
      .then((blob) => classify(blob, network))
      .then(
        (answer) => late || setFound(answer.answers),
        () => {},
      );
    return () => {
      late = true;
    };
  }, [picture, network]);
  return html`
    <p class="classes" role="status" aria-label="What is in it">
      ${(found ?? []).slice(0, 3).map(
        (each) => html`
          <span key=${each.class}>
            ${each.name} <span class="quiet">${(100 * each.chance).toFixed(0)} %</span>
          </span>
        `,
      )}
    </p>
  `;
}

/** The look view is a page of its own, shown in a frame that can reach nothing of the studio.
    @param {{ address: string }} props */
function View({ address }) {
  const [state, setState] = useState("loading");
  useEffect(() => {
    let late = false;
    get(address).then(
      () => late || setState("here"),
      (error) => late || setState(error.message),
    );
    return () => {
      late = true;
    };
  }, []);
  if (state === "here")
    return html`
      <iframe src=${url(address)} sandbox="allow-scripts" title="The picture in the network"></iframe>
    `;
  return html`
    <p class="empty" role="status">
      ${state === "loading" ? "The picture goes through the network …" : state}
    </p>
  `;
}
