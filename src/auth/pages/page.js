"use strict";

const parameter = (text) => new URLSearchParams(text).get("token");
const token = parameter(location.hash.slice(1)) ?? parameter(location.search);
const form = document.querySelector("form");
const button = form.querySelector("button");
const status = document.querySelector("[role=status]");

// The token should not stay in the address bar, nor in the history.
history.replaceState(null, "", location.pathname);

const say = (text) => { status.textContent = text; };

const sentence = (answer) => {
  const rules = Object.values(answer.fields ?? {});
  return rules.length > 0 ? `The password ${rules.join(", and ")}.` : `${answer.message}.`;
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  say("One moment …");
  try {
    const body = JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) });
    const response = await fetch(location.pathname, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
    say(sentence(await response.json()));
    form.hidden = response.ok;
  } catch {
    say("The server cannot be reached. Please try again in a moment.");
  }
  button.disabled = false;
});

if (token === null) {
  form.hidden = true;
  say("This link is incomplete. Please open the whole link from the mail.");
}
