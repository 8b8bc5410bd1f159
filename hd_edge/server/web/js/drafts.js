/** Which parts of a text were drafted, and by which tier: kept as runs, shown on what the text became. */

import {make} from "./element.js";
import {TIERS} from "./tally.js";

const AHEAD = 400; // characters of markup at most between two characters that are shown: an address of a link

/**
 * Adds a piece of text to runs of [tier, length]; the tier is a number, -1 for the model's own step.
 */
export function addRun(runs, tier, length) {
  const number = TIERS.indexOf(tier);
  if (runs.at(-1)?.[0] === number) runs.at(-1)[1] += length;
  else runs.push([number, length]);
}

/**
 * Marks drafted characters in an element made from `source`, which begins at `start` of the whole text.
 * What is shown is what was written less its markup: each shown character is the next such one of the source.
 */
export function paint(element, source, start, runs) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT, {
    acceptNode: node => node.parentElement.closest("button, .language") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
  });
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  const tierAt = reader(runs);
  let place = 0;
  for (const node of nodes) {
    const text = node.data, tiers = [];
    let indent = text.trim() === ""; // space at the beginning of a line shows nothing
    for (const character of text) {
      const space = character.trim() === "";
      place = space ? afterSpace(source, place) : afterCharacter(source, place, character);
      indent = character === "\n" || indent && space;
      const tier = indent ? -1 : tierAt(start + Math.max(place - 1, 0));
      for (let i = 0; i < character.length; i++) tiers.push(tier);
    }
    split(node, text, tiers);
  }
}

function afterCharacter(source, place, character) {
  const found = source.indexOf(character, place);
  return found >= 0 && found - place < AHEAD ? found + character.length : place;
}

/** Spaces are everywhere, and some that are shown were never written: only markup may stand before the one meant. */
function afterSpace(source, place) {
  const between = /^[^\p{L}\p{N}\s]{0,4}\s/u.exec(source.slice(place, place + 8));
  return between ? place + between[0].length : place;
}

/** Tier at a place; places never go back. */
function reader(runs) {
  let run = 0, end = runs[0]?.[1] ?? 0;
  return place => {
    while (run < runs.length && place >= end) end += runs[++run]?.[1] ?? 0;
    return runs[run]?.[0] ?? -1;
  };
}

function split(node, text, tiers) {
  if (tiers.every(tier => tier < 0)) return;
  const parts = [];
  for (let from = 0, to = 1; from < text.length; from = to++) {
    while (to < text.length && tiers[to] === tiers[from]) to += 1;
    const part = text.slice(from, to);
    parts.push(tiers[from] < 0 ? part : make("span", {class: TIERS[tiers[from]]}, part));
  }
  node.replaceWith(...parts);
}
