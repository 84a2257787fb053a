// Trying a route.

const tokenField = document.querySelector("#token");

const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

const field = (id, label, input) => make("p", {}, make("label", { htmlFor: id }, label), Object.assign(input, { id }));

// The request that a form describes. Empty fields are left out.
const requestOf = (path, method, inputs, body) => {
  const given = inputs.filter(({ input }) => input.value !== "");
  const query = new URLSearchParams(given.filter(({ place }) => place === "query").map(({ name, input }) => [name, input.value]));
  const headers = Object.fromEntries(given.filter(({ place }) => place === "header").map(({ name, input }) => [name, input.value]));
  if (tokenField.value !== "") headers.Authorization = `Bearer ${tokenField.value.trim()}`;
  if (body) headers["Content-Type"] = "application/json";
  const root = location.pathname.replace(/\/api\/docs$/, "");
  return [`${root}${path}${query.size > 0 ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body: body?.value, cache: "no-store" }];
};

const show = async (response, output) => {
  const text = await response.text();
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  output.textContent = `${response.status}\n${headers}\n\n${pretty(text)}`;
  if (response.ok && response.headers.get("Content-Type") === "application/json") tokenField.value = JSON.parse(text).token ?? tokenField.value;
};

const trialForm = (api, path, method, operation) => {
  const prefix = operation.operationId;
  const inputs = (operation.parameters ?? []).map(({ name, in: place }) => ({ name, place, input: make("input", { autocomplete: "off" }) }));
  const content = operation.requestBody?.content["application/json"];
  const body = content && make("textarea", { value: JSON.stringify(content.example ?? sampleOf(api, content.schema), null, 2), spellcheck: false });
  const button = make("button", {}, "Send");
  // What scrolls has to be reached by keys.
  const output = make("pre", { hidden: true, tabIndex: 0 });
  output.setAttribute("aria-live", "polite");
  const fields = inputs.map(({ name, place, input }) => field(`${prefix}-${name}`, `${name} (${place})`, input));
  const form = make("form", {}, ...fields, ...(body ? [field(`${prefix}-body`, "Body", body)] : []), button, output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    output.hidden = false;
    output.textContent = "One moment …";
    try {
      await show(await fetch(...requestOf(path, method, inputs, body)), output);
    } catch (error) {
      output.textContent = `No answer: ${error.message}`;
    }
    button.disabled = false;
  });
  return form;
};

