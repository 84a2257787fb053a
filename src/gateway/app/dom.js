// Elements of the page, and how its parts hear of each other. What people have written becomes text, never HTML: nothing here reads HTML,
// and the page's policy has the browser refuse it (Trusted Types).

const byId = (id) => document.getElementById(id);

/** A new element with properties, or attributes where there is no such property, and children that are elements or texts. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A button that does something when it is pressed. What it does may fail as a whole; that is told where all can hear it. */
function makeButton(text, act, properties = {}) {
  const button = make("button", { type: "button", textContent: text, ...properties });
  button.addEventListener("click", () => run(act));
  return button;
}

/** What is heard and not seen. */
const unseen = (text) => make("span", { className: "unseen", textContent: text });

const changes = new EventTarget();

/** Tells whoever listens that something has happened. */
const tell = (what, detail) => changes.dispatchEvent(new CustomEvent(what, { detail }));
const on = (what, listener) => changes.addEventListener(what, (event) => listener(event.detail));

/** Has a screen reader say something when it has nothing else to say. */
const announce = (text) => byId("announcer").replaceChildren(make("p", { textContent: text }));

/** Shows and says at once what went wrong, until somebody does something else. */
const alarm = (text) => byId("alarm").replaceChildren(text);
document.addEventListener("click", () => byId("alarm").replaceChildren(), { capture: true });

/** Does something that a person did not ask for in a form. What was given up, because its view was left, is no failure. */
async function run(act) {
  try {
    await act();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refusal)) throw error;
    alarm(error.sentence);
  }
}

/** Replaces the children of a list, and gives the focus back to the child that has the place of the one that had it. */
function redraw(list, children) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...list.children].findIndex((child) => child.contains(focused));
  const name = focused?.dataset.focus;
  list.replaceChildren(...children);
  if (focused === null) return;
  const same = name && list.querySelector(`[data-focus="${CSS.escape(name)}"]`);
  (same || list.children[Math.min(place, children.length - 1)]?.querySelector("a, button") || list).focus();
}

/** Asks before something that cannot be taken back; gives whether the answer is yes. */
function isConfirmed(question, consequence, yes) {
  const dialog = byId("question");
  byId("question-title").textContent = question;
  byId("question-text").textContent = consequence;
  byId("question-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

byId("question-yes").addEventListener("click", () => byId("question").close("yes"));
byId("question-no").addEventListener("click", () => byId("question").close());

// What is open in the page closes as what the browser opens does.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest("button")) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// A mistake in this page itself.
for (const kind of ["error", "unhandledrejection"]) {
  window.addEventListener(kind, () => alarm("Something went wrong in this page. Please reload it."));
}
