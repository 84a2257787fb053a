// Forms: one request at a time, what it says is told below the form, what is wrong stands beside its field. The rules are the server's.

/** The field that a code is about, where the answer names none. */
const FIELD_OF_CODE = { username_taken: "username", email_taken: "email", own_recovery_address: "email", wrong_password: "password", password_required: "password" };

/** Has a form do something with its fields, and say what that gives. */
function onSubmit(form, act) {
  const status = form.querySelector("[role=status]");
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // Not `disabled`, which would take the focus away.
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    clearMistakes(form);
    status.classList.remove("failed");
    status.textContent = "One moment…";
    try {
      status.textContent = (await act(Object.fromEntries(new FormData(form)))) ?? "";
    } catch (error) {
      status.classList.add("failed");
      status.textContent = "";
      if (error instanceof Refusal) status.textContent = showMistakes(form, error);
      else if (error.name !== "AbortError") throw error;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
}

/** Empties a form and what it said. */
function clear(form) {
  form.reset();
  clearMistakes(form);
  form.querySelector("[role=status]").textContent = "";
}

function clearMistakes(form) {
  form.querySelectorAll(".mistake").forEach((mistake) => mistake.remove());
  form.querySelectorAll("[aria-invalid]").forEach((input) => {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  });
}

/** Puts each mistake beside its field and the focus into the first; gives what is left to be told of all. */
function showMistakes(form, refusal) {
  const byCode = [...form.elements].find((input) => input.name.toLowerCase().endsWith(FIELD_OF_CODE[refusal.code] ?? "?"));
  const mistakes = Object.entries(refusal.fields).map(([name, rule]) => [form.elements[name], rule]);
  if (byCode && mistakes.length === 0) mistakes.push([byCode, null]);
  const place = ([input]) => [...form.elements].indexOf(input);
  const inputs = mistakes.filter(([input]) => input).sort((one, other) => place(one) - place(other));
  for (const [input, rule] of inputs) {
    const text = rule === null ? refusal.sentence : `${input.labels[0].textContent} ${rule}.`;
    const mistake = make("p", { className: "mistake", id: `${input.id}-mistake`, textContent: text });
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", mistake.id);
    input.after(mistake);
  }
  inputs[0]?.[0].focus();
  return inputs.length > 0 ? "" : refusal.sentence;
}
