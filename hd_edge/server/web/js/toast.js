/** A line that says what was done, and takes it back if the user wishes. */

import {byId, make} from "./element.js";

const SHOWN = 8000; // milliseconds

let timer = 0;

/**
 * @param {string} text
 * @param {Function} undo what the button does; without it there is none
 */
export function toast(text, undo) {
  const box = byId("toast");
  const close = () => { box.hidden = true; };
  box.replaceChildren(make("span", {}, text));
  if (undo) box.append(make("button", {type: "button", click: () => { close(); undo(); }}, "Undo"));
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(close, SHOWN);
}
