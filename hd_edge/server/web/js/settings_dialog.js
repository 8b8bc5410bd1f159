/** The dialog of the settings: what is wrong stands beside its field. */

import {byId, make} from "./element.js";
import {FIELDS, mistake} from "./settings.js";

export class SettingsDialog {
  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.dialog = byId("settings-dialog");
    this.form = byId("settings-form");
    this.form.addEventListener("submit", event => {
      event.preventDefault();
      this.#save();
    });
    for (const name of FIELDS) {
      const field = this.form.elements[name];
      // at once, not when it is left: the line would move the button away under the pointer
      field.addEventListener("input", () => this.#tell(name, mistake(name, field.value)));
    }
    byId("settings-cancel").addEventListener("click", () => this.dialog.close());
  }

  /** @param {Object} mistakes what the server says of a field, by its name */
  open(mistakes = {}) {
    for (const name of FIELDS) {
      this.form.elements[name].value = this.settings.values[name];
      this.#tell(name, mistakes[name] ?? "");
    }
    if (!this.dialog.open) this.dialog.showModal();
    this.#focusMistake();
  }

  #save() {
    const values = Object.fromEntries(FIELDS.map(name => [name, this.form.elements[name].value]));
    for (const name of FIELDS) this.#tell(name, mistake(name, values[name]));
    if (this.#focusMistake()) return;
    this.dialog.close();
    this.settings.take(values);
  }

  #focusMistake() {
    const wrong = this.form.querySelector("[aria-invalid]");
    wrong?.focus();
    return wrong;
  }

  /** Writes what is wrong below a field; empty: nothing is. */
  #tell(name, text) {
    const field = this.form.elements[name], id = `${name}-wrong`;
    byId(id)?.remove();
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
    if (!text) return;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", id);
    field.after(make("p", {id, class: "wrong", role: "alert"}, text));
  }
}
