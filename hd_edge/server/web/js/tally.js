/** Counts of an answer: its speed, and where its tokens came from. */

import {make} from "./element.js";

export const TIERS = ["context", "model", "statistics", "drafter"];

const ENOUGH = 16; // tokens before their speed means something

export const freshCounts = () => ({tokens: 0, speed: 0, drafted: null, accepted: null, tiers: TIERS.map(() => 0)});

/** Takes the counts of the server at the end of an answer. */
export function takeTimings(counts, {predicted_n, predicted_per_second, draft_n, draft_n_accepted}) {
  Object.assign(counts, {tokens: predicted_n, speed: predicted_per_second, drafted: draft_n, accepted: draft_n_accepted});
}

/** The line under an answer; empty while there is nothing to tell. */
export function tally(counts) {
  if (!counts?.tokens) return [];
  const said = [`${counts.tokens} tokens`];
  if (counts.drafted !== null || counts.tokens >= ENOUGH) said.unshift(`${counts.speed.toFixed(1)} tokens/s`);
  if (counts.drafted) said.push(`${counts.accepted} of ${counts.drafted} drafted accepted`);
  const forwards = counts.tokens - (counts.accepted ?? 0);
  if (counts.accepted && forwards > 0) said.push(`${(counts.tokens / forwards).toFixed(1)} tokens a step`);
  const shares = counts.tiers.map(count => Math.min(count / counts.tokens, 1));
  const told = TIERS.map((tier, i) => `${tier} ${Math.round(100 * shares[i])} %`).filter((_, i) => counts.tiers[i]);
  const bar = make("span", {class: "bar", role: "img", "aria-label": `Drafted: ${told.join(", ") || "nothing"}`, title: told.join(", ")});
  shares.forEach((share, i) => {
    const part = make("i", {class: TIERS[i]});
    part.style.width = `${100 * share}%`;
    bar.append(part);
  });
  return [...said.map(text => make("span", {}, text)), bar];
}
