/** Elements: made in one line, without a text that could become markup. */

/**
 * @param {string} tag
 * @param {Object} attributes functions listen to events, true is an empty attribute, false and null are left out
 * @param {...(Node|string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The element of the page with this id. */
export const byId = id => document.getElementById(id);

/** Tells those who listen to the page. */
export function say(text) {
  byId("status").textContent = text;
}

/** Copies a text and says so on the button for a moment. */
export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = copiedByHand(text) ? "Copied" : "Not allowed";
  }
  say(button.textContent);
  setTimeout(() => { button.textContent = label; }, 1500);
}

/** Where the page comes by plain HTTP from another machine, browsers give no clipboard but this. */
function copiedByHand(text) {
  const area = make("textarea", {class: "unseen"});
  area.value = text;
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

/** Gives the user a file. */
export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  make("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
