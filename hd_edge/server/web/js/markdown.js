/** Markdown as elements. What a model writes is never trusted: three walls, each alone enough. */

import hljs from "../vendor/highlight.min.js";
import {Marked} from "../vendor/marked.esm.js";
import DOMPurify from "../vendor/purify.es.mjs";
import {paint} from "./drafts.js";
import {copy, make} from "./element.js";

const MOST_COLOURED = 50_000; // characters of a code block: more would take too long, piece by piece
const escape = text => text.replace(/[&<>"']/g, found => `&#${found.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // first wall: HTML is shown as it was written, an image is a link to it
    html: ({text, block}) => block ? `<p class="raw">${escape(text.trimEnd())}</p>` : escape(text),
    image: ({href, text}) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    code: ({text, lang}) => {
      if (!text.trim()) return ""; // nothing yet, or a small model's habit
      const language = (lang ?? "").split(/\s/, 1)[0];
      const known = text.length <= MOST_COLOURED && hljs.getLanguage(language);
      const inner = known ? hljs.highlight(text, {language, ignoreIllegals: true}).value : escape(text);
      return `<pre title="${escape(language)}"><code>${inner}\n</code></pre>`;
    },
  },
});

// second wall; the third is the page's Content-Security-Policy
const ALLOWED = {
  ALLOWED_TAGS: ["a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input", "li", "ol",
    "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"],
  ALLOWED_ATTR: ["align", "checked", "class", "disabled", "href", "start", "title", "type"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** An element that shows a growing text: only blocks that changed are made again. */
export class Markdown {
  constructor() {
    this.element = make("div", {class: "text"});
    this.blocks = []; // {raw, marked: with drafted parts, box}
  }

  /**
   * @param {string} text
   * @param {Array} runs its drafted parts, to be marked; null: not marked
   */
  show(text, runs = null) {
    const tokens = split(text);
    let start = 0;
    tokens.forEach((token, i) => {
      const end = start + token.raw.length;
      if (this.blocks[i]?.raw !== token.raw || this.blocks[i].marked !== Boolean(runs)) {
        const box = make("div", {class: "block"}, elements(token));
        if (runs) paint(box, token.raw, start, runs);
        if (this.blocks[i]) this.blocks[i].box.replaceWith(box);
        else this.element.append(box);
        this.blocks[i] = {raw: token.raw, marked: Boolean(runs), box};
      }
      start = end;
    });
    for (const {box} of this.blocks.splice(tokens.length)) box.remove();
  }
}

/** Blocks of a text. A parser may give up on what a model writes, such as thousands of nested quotations. */
function split(text) {
  try {
    return marked.lexer(text);
  } catch {
    return [{raw: text}];
  }
}

function elements(token) {
  try {
    return made(token);
  } catch {
    return make("p", {class: "raw"}, token.raw);
  }
}

function made(token) {
  const fragment = DOMPurify.sanitize(marked.parser([token]), ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const box of fragment.querySelectorAll("input")) box.setAttribute("aria-label", box.checked ? "done" : "to do");
  for (const table of fragment.querySelectorAll("table")) {
    const frame = make("div", {class: "wide", tabindex: 0, role: "group", "aria-label": "Table"});
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) frameCode(pre);
  return fragment;
}

function frameCode(pre) {
  const language = pre.title;
  pre.removeAttribute("title");
  pre.tabIndex = 0; // it scrolls
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", language ? `Code: ${language}` : "Code");
  const button = make("button", {type: "button", class: "quiet", title: "Copy the code",
    click: () => copy(pre.textContent.replace(/\n$/, ""), button)}, "Copy");
  const frame = make("div", {class: "code"}, make("div", {class: "language"}, make("span", {}, language), button));
  pre.before(frame);
  frame.append(pre);
}
