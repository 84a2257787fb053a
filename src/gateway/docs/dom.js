"use strict";

// Makes an element. Texts among its children stay texts.
const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const code = (text) => make("code", {}, text);

// What Markdown the document has: `code`, **strong**, paragraphs and lists.
const inline = (text) =>
  text.split(/(`[^`]*`|\*\*[^*]*\*\*)/).map((part) => {
    if (part.startsWith("`")) return code(part.slice(1, -1));
    return part.startsWith("**") ? make("strong", {}, ...inline(part.slice(2, -2))) : part;
  });

const markdown = (text) =>
  text.trim().split(/\n\n+/).map((block) => {
    if (!block.startsWith("- ")) return make("p", {}, ...inline(block));
    const items = block.split(/^- /m).filter((item) => item !== "");
    return make("ul", {}, ...items.map((item) => make("li", {}, ...inline(item.trim()))));
  });

