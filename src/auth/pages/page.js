"use strict";

const parameter = (text) => new URLSearchParams(text).get("token");
const token = parameter(location.hash.slice(1)) ?? parameter(location.search);
const form = document.querySelector("form");
const button = form.querySelector("button");
const byHand = document.getElementById("by-hand");
const code = document.getElementById("code");
const status = document.querySelector("[role=status]");

// The token should not stay in the address bar, nor in the history.
history.replaceState(null, "", location.pathname);

// The code by itself, or the link, perhaps as a mail program has rewritten or broken it.
const pasted = (text) => {
  const compact = text.replace(/\s/g, "");
  return /token(?:=|%3D)([\w-]+)/i.exec(compact)?.[1] ?? compact;
};

const say = (text) => { status.textContent = text; };

const sentence = (answer) => {
  const rules = Object.values(answer.fields ?? {});
  return rules.length > 0 ? `The password ${rules.join(", and ")}.` : `${answer.message}.`;
};

// Who moves an account shows that it is theirs.
const askForPassword = () => {
  const field = document.getElementById("password");
  for (const part of [field, field.labels[0]]) part.hidden = false;
  field.disabled = false;
  field.focus();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  say("One moment …");
  try {
    const body = JSON.stringify({ token: token ?? pasted(code.value), ...Object.fromEntries(new FormData(form)) });
    const response = await fetch(location.pathname, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
    const answer = await response.json();
    say(sentence(answer));
    form.hidden = response.ok;
    if (answer.code === "password_required") askForPassword();
  } catch {
    say("The server cannot be reached. Please try again in a moment.");
  }
  button.disabled = false;
});

if (token === null) {
  byHand.hidden = false;
  code.required = true;
  say("This link is incomplete. Please paste the whole link from the mail, or the code in it.");
}
