// Shows /openapi.json. Everything is made as elements with text in them: no text ever becomes markup.
"use strict";

const METHODS = ["get", "post", "put", "delete"];
let spec = null;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// `code` in backticks is all the markup that the document's texts have; lines that begin with "- " are a list.
function prose(text) {
  const pieces = text.split("`").map((piece, index) => (index % 2 ? make("code", {}, piece) : piece));
  return make("span", {}, ...pieces);
}

function paragraphs(text) {
  const lines = text.split("\n");
  if (lines.every((line) => line.startsWith("- "))) {
    return make("ul", {}, ...lines.map((line) => make("li", {}, prose(line.slice(2)))));
  }
  return make("p", {}, prose(lines.join(" ")));
}

function resolve(value) {
  let found = value;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((at, part) => at && at[part], spec);
  }
  return found || {};
}

// One schema for what several say together.
function merged(schema) {
  const own = resolve(schema);
  if (!own.allOf) return own;
  const whole = { ...own, properties: { ...own.properties }, required: [...(own.required || [])] };
  for (const part of own.allOf.map(merged)) {
    Object.assign(whole.properties, part.properties);
    whole.required.push(...(part.required || []));
    whole.type = whole.type || part.type;
  }
  return whole;
}

function kindOf(schema) {
  const own = merged(schema);
  if (own.enum) return own.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (own.const !== undefined) return JSON.stringify(own.const);
  const choices = own.oneOf || (own.type ? null : own.anyOf);
  if (choices) return [...new Set(choices.map(kindOf))].join(" | ");
  const types = [].concat(own.type || "any");
  const named = types.map((type) => (type === "array" ? `list of ${kindOf(own.items || {})}` : type));
  const bounds = [
    own.format,
    own.minLength !== undefined || own.maxLength !== undefined ? range(own.minLength, own.maxLength, "characters") : null,
    own.minItems !== undefined || own.maxItems !== undefined ? range(own.minItems, own.maxItems, "items") : null,
    own.minimum !== undefined || own.maximum !== undefined ? range(own.minimum, own.maximum, "") : null,
    own.default !== undefined ? `default ${JSON.stringify(own.default)}` : null,
  ].filter(Boolean);
  return named.join(" | ") + (bounds.length ? ` (${bounds.join(", ")})` : "");
}

function range(least, most, of) {
  const bounds = most === undefined ? `at least ${least}` : least === undefined ? `at most ${most}` : `${least} to ${most}`;
  return `${bounds} ${of}`.trim();
}

// The object within a schema, if there is one to show the fields of.
function objectIn(schema) {
  const own = merged(schema);
  if (own.properties) return own;
  if (own.items) return objectIn(own.items);
  if (own.additionalProperties) return objectIn(own.additionalProperties);
  const choice = (own.oneOf || []).find((one) => objectIn(one));
  return choice ? objectIn(choice) : null;
}

// Of what may be null, too, the description is that of what it is otherwise.
function aboutOf(field) {
  const choice = (field.oneOf || []).find((one) => one.type !== "null");
  return field.description || (choice && aboutOf(choice)) || merged(field).description;
}

function fields(schema, word = "always", above = []) {
  const own = objectIn(schema);
  if (!own || above.includes(own)) return null;
  const required = new Set(own.required || []);
  const names = Object.keys(own.properties).sort((a, b) => required.has(b) - required.has(a));
  return make("ul", { class: "fields" }, ...names.map((name) => {
    const field = own.properties[name];
    const about = aboutOf(field);
    const inner = fields(field, word, [...above, own]);
    return make("li", {},
      make("span", { class: "field" }, name), " ", make("span", { class: "kind" }, kindOf(field)), " ",
      required.has(name) ? make("span", { class: "must" }, word) : null,
      about ? make("span", { class: "about" }, prose(about)) : null,
      inner ? make("details", {}, make("summary", { class: "kind" }, "fields"), inner) : null);
  }));
}

function parametersOf(operation) {
  return (operation.parameters || []).map(resolve);
}

function showParameters(operation) {
  const all = parametersOf(operation);
  if (!all.length) return [];
  const rows = all.map((parameter) => make("li", {},
    make("span", { class: "field" }, parameter.name), " ",
    make("span", { class: "kind" }, `in the ${parameter.in}: ${kindOf(parameter.schema)}`), " ",
    parameter.required ? make("span", { class: "must" }, "required") : null,
    make("span", { class: "about" }, prose(parameter.description || merged(parameter.schema).description || ""))));
  return [make("h3", {}, "Parameters"), make("ul", { class: "fields" }, ...rows)];
}

function bodyOf(operation) {
  const content = resolve(operation.requestBody).content;
  return content ? Object.values(content)[0] : null;
}

function exampleOf(body) {
  const choice = (merged(body.schema).oneOf || []).map(merged).find((one) => one.example);
  return body.example || merged(body.schema).example || (choice && choice.example) || {};
}

function showBody(operation) {
  const body = bodyOf(operation);
  return body ? [make("h3", {}, "Body"), fields(body.schema, "required")] : [];
}

function showAnswers(operation) {
  const answers = Object.entries(operation.responses).map(([status, response]) => {
    const content = Object.entries(response.content || {});
    const isProblem = content.some(([type]) => type === "application/problem+json");
    const shape = !isProblem && content.length ? fields(content[0][1].schema) : null;
    const headers = Object.keys(response.headers || {});
    const codes = [...response.description.matchAll(/^- `([a-z_]+)`/gm)].map(([, code]) => code);
    const first = isProblem ? codes.join(", ") : response.description;
    return make("details", { class: "answer" },
      make("summary", {}, make("span", { class: `status s${status[0]}` }, status), " ",
        make("span", { class: isProblem ? "kind" : "" }, first)),
      isProblem ? paragraphs(response.description) : null,
      headers.length ? make("p", { class: "kind" }, `Headers: ${headers.join(", ")}`) : null,
      shape);
  });
  return [make("h3", {}, "Answers"), ...answers];
}

function tryOut(path, method, operation) {
  const all = parametersOf(operation);
  const inputs = all.map((parameter) => {
    const input = make("input", { autocomplete: "off", spellcheck: "false", required: parameter.required });
    return { parameter, input, row: make("label", {}, `${parameter.name} (${parameter.in})`, input) };
  });
  const body = bodyOf(operation);
  const text = body ? make("textarea", { spellcheck: "false", "aria-label": "Body" }) : null;
  if (text) text.value = JSON.stringify(exampleOf(body), null, 2);
  const button = make("button", { type: "submit" }, "Send");
  const outcome = make("div", { "aria-live": "polite" });
  const form = make("form", {}, ...inputs.map((input) => input.row), text, button, outcome);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    outcome.replaceChildren();
    try {
      outcome.replaceChildren(...(await ask(path, method, inputs, text)));
    } catch (error) {
      outcome.replaceChildren(make("p", { class: "must" }, `No answer: ${error.message}`));
    }
    button.disabled = false;
  });
  return [make("h3", {}, "Try it"), form];
}

async function ask(path, method, inputs, text) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.set(parameter.name, input.value);
    if (parameter.in === "header") headers.set(parameter.name, input.value);
  }
  const token = document.getElementById("token").value.trim().replace(/^Bearer\s+/i, "");
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const options = { method: method.toUpperCase(), headers, cache: "no-store", credentials: "omit" };
  if (text && text.value.trim()) {
    headers.set("Content-Type", "application/json");
    options.body = text.value;
  }
  const address = target + (query.size ? `?${query}` : "");
  const began = performance.now();
  const answer = await fetch(address, options);
  const body = await answer.text();
  const told = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return [
    make("p", {}, make("span", { class: `status s${String(answer.status)[0]}` }, String(answer.status)),
      ` ${answer.statusText} in ${Math.round(performance.now() - began)} ms`),
    make("details", {}, make("summary", { class: "kind" }, "headers"), make("pre", {}, told)),
    body ? make("pre", {}, pretty(body)) : null,
  ].filter(Boolean);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.slice(0, 20000);
  }
}

function show(path, method, operation) {
  const details = make("details", {},
    make("summary", {},
      make("span", { class: `verb ${method}` }, method), make("span", { class: "path" }, path),
      make("span", { class: "title" }, operation.summary)));
  // Most are never opened.
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const isOpen = (operation.security || [{ bearer: [] }]).some((one) => !Object.keys(one).length);
    const isSocket = operation.responses["101"] !== undefined;
    details.append(make("div", { class: "open" },
      paragraphs(operation.description),
      isOpen ? make("p", { class: "kind" }, "Without a token, too.") : null,
      ...showParameters(operation), ...showBody(operation), ...showAnswers(operation),
      ...(isSocket ? [] : tryOut(path, method, operation))));
  });
  return make("article", { id: operation.operationId, "data-text": `${method} ${path} ${operation.summary}`.toLowerCase() }, details);
}

function showAll() {
  const contents = document.getElementById("contents");
  const main = document.getElementById("main");
  document.getElementById("version").textContent = spec.info.version;
  main.replaceChildren(make("h1", {}, spec.info.title), paragraphs(spec.info.description),
    make("p", { class: "dim" }, "The document itself: ", make("a", { href: "/openapi.json" }, "/openapi.json")));
  for (const tag of spec.tags) {
    const section = make("section", {}, make("h2", {}, tag.name), make("p", { class: "dim" }, tag.description));
    contents.append(make("h2", {}, tag.name));
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const method of METHODS.filter((method) => item[method] && item[method].tags.includes(tag.name))) {
        const operation = item[method];
        section.append(show(path, method, operation));
        contents.append(make("a", { href: `#${operation.operationId}` },
          make("span", { class: `verb ${method}` }, method), make("span", {}, operation.summary)));
      }
    }
    main.append(section);
  }
}

function filter(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const article of document.querySelectorAll("article")) {
    article.hidden = !wanted.every((word) => article.dataset.text.includes(word));
  }
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.querySelector("article:not([hidden])");
  }
}

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.tagName === "ARTICLE") {
    named.querySelector("details").open = true;
    named.scrollIntoView();
  }
}

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((document) => {
    spec = document;
    showAll();
    openNamed();
  })
  .catch((error) => {
    document.getElementById("state").textContent = `The document cannot be read: ${error.message}`;
  });
document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
window.addEventListener("hashchange", openNamed);
