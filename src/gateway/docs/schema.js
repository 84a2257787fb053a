// What schemas say. `api` is the whole document, in which they refer to each other.

const resolve = (api, value) => {
  if (value?.$ref === undefined) return value;
  const target = value.$ref.slice(2).split("/").reduce((place, name) => place[name], api);
  return { ...resolve(api, target), ...(value.description && { description: value.description }) };
};

// The parts of a schema as one, where it is put together of several.
const flat = (api, schema) => {
  const { allOf = [], ...own } = resolve(api, schema) ?? {};
  return allOf.map((part) => flat(api, part)).reduce(
    (whole, part) => ({
      ...whole,
      ...part,
      properties: { ...whole.properties, ...merged(whole.properties, part.properties) },
      required: [...(whole.required ?? []), ...(part.required ?? [])],
    }),
    own,
  );
};

// A later part may say more of a field than an earlier one.
const merged = (former = {}, latter = {}) =>
  Object.fromEntries(Object.entries(latter).map(([name, schema]) => [name, { ...former[name], ...schema }]));

const choices = (api, schema) =>
  (schema.oneOf ?? schema.anyOf ?? []).map((choice) => flat(api, choice)).filter((choice) => choice.type !== "null");

const isNullable = (schema) => [schema.type].flat().includes("null") || (schema.oneOf ?? []).some((choice) => choice.type === "null");

// A type with its limits, such as "string, 3 to 32 characters".
const typeOf = (api, unresolved) => {
  const schema = flat(api, unresolved);
  const types = [schema.type ?? []].flat().filter((type) => type !== "null");
  const name = types.length > 0 ? types.join(" or ") : choices(api, schema).map((choice) => typeOf(api, choice)).join(" or ") || "anything";
  const range = (least, most, unit) => {
    if (least === undefined && most === undefined) return [];
    if (least === undefined) return [`at most ${most}${unit}`];
    return [most === undefined ? `at least ${least}${unit}` : `${least} to ${most}${unit}`];
  };
  return [
    name === "array" ? `list of ${typeOf(api, schema.items)}` : name,
    ...(schema.enum ? [`one of ${schema.enum.join(", ")}`] : []),
    ...(schema.format ? [schema.format] : []),
    ...range(schema.minLength, schema.maxLength, " characters"),
    ...range(schema.minimum, schema.maximum, ""),
    ...range(schema.minItems, schema.maxItems, " entries"),
    ...(schema.pattern ? [`matches ${schema.pattern}`] : []),
    ...(schema.default === undefined ? [] : [`else ${schema.default}`]),
    ...(isNullable(schema) ? ["or null"] : []),
  ].join(", ");
};

// Every field that a value has, with those of its parts: [name, schema, whether it is always there].
const fieldsOf = (api, unresolved, prefix = "") => {
  const schema = flat(api, unresolved);
  if (schema.items) return fieldsOf(api, schema.items, `${prefix}[]`);
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    return [[path, field, (schema.required ?? []).includes(name)], ...fieldsOf(api, field, path)];
  });
  return own.length > 0 ? own : choices(api, schema).flatMap((choice) => fieldsOf(api, choice, prefix));
};

// A value as it may look.
const sampleOf = (api, unresolved) => {
  const schema = flat(api, unresolved);
  const given = schema.example ?? schema.examples?.[0] ?? schema.enum?.[0] ?? schema.default;
  if (given !== undefined) return given;
  if (schema.items) return [sampleOf(api, schema.items)];
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, sampleOf(api, field)]));
  }
  const [choice] = choices(api, schema);
  if (choice) return sampleOf(api, choice);
  const type = [schema.type].flat().find((name) => name !== "null");
  return { boolean: true, integer: 1, object: {} }[type] ?? "";
};

