/** What the user has set, kept in this browser; each value is checked, and says what is wrong with it. */

const KEPT = "hd_edge.settings";

const NUMBERS = {
  temperature: {called: "The temperature", low: 0, high: 2},
  top_p: {called: "Top-p", low: 0, high: 1},
  max_tokens: {called: "The most tokens", low: 1, high: 2 ** 31 - 1, whole: true},
  seed: {called: "The seed", low: 0, high: 2 ** 32 - 1, whole: true},
};
export const FIELDS = ["system", ...Object.keys(NUMBERS), "theme", "key", "expected"];

/**
 * What is wrong with a value as it was typed; empty if nothing is. An empty value leaves the choice to the server.
 */
export function mistake(name, typed) {
  const text = typed.trim();
  if (name === "key" && !/^[\x21-\x7e\xa1-\xff]*$/.test(text)) return "A key has no blanks and only Latin letters.";
  const bounds = NUMBERS[name];
  if (!bounds || !text) return "";
  const {called, low, high, whole} = bounds, value = number(text);
  if (Number.isNaN(value)) return `${called} is a number, such as ${whole ? Math.max(low, 100) : "0.5"}; “${text}” is none.`;
  if (whole && !Number.isInteger(value)) return `${called} is a whole number; ${text} is none.`;
  if (value < low || value > high) return `${called} is from ${low} to ${high}; ${text} is not.`;
  return "";
}

/** A number as people write it: with a comma, too. */
function number(text) {
  return /^[-+]?(\d+([.,]\d*)?|[.,]\d+)$/.test(text) ? Number(text.replace(",", ".")) : NaN;
}

export class Settings {
  /** @param {Function} changed called when they change, also in another tab */
  constructor(changed) {
    this.changed = changed;
    this.values = {};
    addEventListener("storage", ({key}) => {
      if (key !== KEPT) return;
      this.#read();
      changed();
    });
    this.#read();
  }

  #read() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
    } catch {
      // no storage, or what was kept is damaged: as at first
    }
    const text = name => typeof kept[name] === "string" && !mistake(name, kept[name]) ? kept[name] : "";
    this.values = {show: kept.show === true, ...Object.fromEntries(FIELDS.map(name => [name, text(name)]))};
  }

  /** Takes new values; true values were checked by `mistake`. */
  take(values) {
    Object.assign(this.values, values);
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.values));
    } catch {
      // they hold until the page is left
    }
    this.changed();
  }

  get key() {
    return this.values.key.trim();
  }

  get system() {
    return this.values.system.trim();
  }

  /** Most tokens of an answer; undefined: no limit. */
  get limit() {
    return this.fields().max_tokens;
  }

  /** Fields of a request. */
  fields() {
    const set = Object.keys(NUMBERS).filter(name => this.values[name].trim());
    const fields = Object.fromEntries(set.map(name => [name, number(this.values[name].trim())]));
    if (this.values.expected) fields.prediction = {type: "content", content: this.values.expected};
    return fields;
  }
}
