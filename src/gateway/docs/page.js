// The page: every route of the document, by its service.

const entry = (name, type, isRequired, description) => [
  make("dt", {}, code(name), " ", make("span", { className: "type" }, isRequired ? `${type}, required` : type)),
  make("dd", {}, ...inline(description ?? "")),
];

const section = (title, ...content) => (content.length > 0 ? [make("h3", {}, title), ...content] : []);

const fieldList = (api, schema, tellsRequired) => {
  const entries = fieldsOf(api, schema).flatMap(([name, field, isRequired]) =>
    entry(name, typeOf(api, field), tellsRequired && isRequired, flat(api, field).description));
  return entries.length > 0 ? [make("dl", {}, ...entries)] : [];
};

const parameters = (api, { parameters = [] }) => {
  const entries = parameters.flatMap(({ name, in: place, schema, required, description }) =>
    entry(name, `${place}, ${typeOf(api, schema)}`, required, description));
  return section("Parameters", ...(entries.length > 0 ? [make("dl", {}, ...entries)] : []));
};

const answer = (api, status, unresolved) => {
  const { description, headers = {}, content = {} } = resolve(api, unresolved);
  const [[type, { schema, example } = {}] = []] = Object.entries(content);
  const told = Object.entries(headers).flatMap(([name, header]) => {
    const { schema: value, description: meaning } = resolve(api, header);
    return entry(name, typeOf(api, value), false, meaning);
  });
  const isText = type?.startsWith("text/") ?? true;
  const sample = isText ? undefined : JSON.stringify(example ?? sampleOf(api, schema), null, 2);
  return make("details", {},
    make("summary", {}, make("strong", {}, status), ...inline(description.split("\n\n")[0])),
    ...markdown(description).slice(1),
    ...(type ? [make("p", {}, code(type))] : []),
    ...(isText ? [] : [...fieldList(api, schema, false), make("pre", {}, sample)]),
    ...section("Headers", ...(told.length > 0 ? [make("dl", {}, ...told)] : [])));
};

const contentOf = (api, path, method, operation) => [
  ...markdown(operation.description ?? ""),
  ...parameters(api, operation),
  ...section("Body", ...fieldList(api, operation.requestBody?.content["application/json"].schema, true)),
  ...section("Answers", ...Object.entries(operation.responses).map(([status, response]) => answer(api, status, response))),
  ...section("Try it", trialForm(api, path, method, operation)),
];

const route = (api, path, method, operation) => {
  const access = operation.security ? "with a token" : "open";
  const details = make("details", { id: operation.operationId, className: "operation" },
    make("summary", {}, make("strong", { className: "route" }, method.toUpperCase()), code(path), " ", make("small", {}, `${operation.summary}, ${access}`)));
  // Made when somebody looks.
  details.addEventListener("toggle", () => details.append(...contentOf(api, path, method, operation)), { once: true });
  return details;
};

const service = (api, { name, description }) => {
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([, operation]) => operation.tags?.includes(name)).map(([method, operation]) => route(api, path, method, operation)));
  return operations.length > 0 ? [make("h2", {}, name), make("p", {}, ...inline(description)), ...operations] : [];
};

const status = document.querySelector("[role=status]");

const start = async () => {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`the document is answered with ${response.status}`);
  const api = await response.json();
  document.querySelector("#version").textContent = api.info.version;
  document.querySelector("#description").append(...markdown(api.info.description));
  document.querySelector("main").append(...api.tags.flatMap((tag) => service(api, tag)));
  status.hidden = true;
};

start().catch((error) => {
  status.textContent = `The routes cannot be shown: ${error.message}. Please load the page again in a moment.`;
});
