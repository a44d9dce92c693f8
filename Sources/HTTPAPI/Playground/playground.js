"use strict";

// The page of vlm-serve's playground. What the server says is put in as text, never as markup; nothing is stored.

const $ = (id) => document.getElementById(id);

/** An element with properties and children; children are elements or texts. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The conversation: { text, pictures, answer, view } for each turn. */
let turns = [];
/** Pictures of the message that is being written: { name, url }. */
let pictures = [];
/** The turn that is being answered, and what aborts it. */
let running = null;

const notice = (text) => {
  $("notice").textContent = text;
  $("notice").hidden = !text;
};
const say = (text) => { $("status").textContent = text; };

const headers = () => {
  const key = $("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
};

/** What went wrong, as a person would say it. */
class Fault extends Error {}

/** The fault of an answer that is no success. */
async function fault(response) {
  let message = "";
  try { message = (await response.json()).error?.message ?? ""; } catch { /* The status says enough. */ }
  const wait = Number(response.headers.get("Retry-After"));
  const again = wait ? ` Try again in ${wait} second${wait === 1 ? "" : "s"}.` : " Try again in a moment.";
  const words = {
    401: $("key").value ? "The server does not take this API key. Check it in the settings." : "This server asks for an API key: type it in the settings.",
    413: "The message and its pictures are larger than this server takes. Use fewer or smaller pictures.",
    429: "The server is busy." + again,
    503: "The server is not ready." + again,
  }[response.status];
  if (response.status === 401) showSettings(true, $("key"));
  if (words) return new Fault(response.status === 401 || !message ? words : `${words} It says: ${message}`);
  return new Fault(message ? `The server refused this: ${message}` : `The server answered with status ${response.status}.`);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault(error.name === "TypeError" ? "The server cannot be reached. Is vlm-serve still running?" : `The request cannot be sent: ${error.message}`);
  }
  if (!response.ok) throw await fault(response);
  return response;
}

async function loadModels() {
  const { data } = await (await ask("v1/models", {})).json();
  const chosen = $("model").value;
  $("model").replaceChildren(...data.map(({ id }) => make("option", { value: id, selected: id === chosen }, id)));
  $("served").textContent = $("model").value;
  document.title = `${$("model").value} – vlm playground`;
}

/** The values of the `data:` lines of a stream, as they come, until `[DONE]`. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Fault("The connection broke before the answer ended.");
    });
    if (done) throw new Fault("The connection was closed before the answer ended.");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      if (line === "data: [DONE]") return;
      yield JSON.parse(line.slice(6));
    }
  }
}

function messages(turn) {
  const list = [];
  const system = $("system").value.trim();
  if (system) list.push({ role: "system", content: system });
  // A turn without an answer would leave two questions in a row, which many models' templates refuse.
  for (const { text, pictures, answer } of [...turns.slice(0, turns.indexOf(turn)).filter((other) => other.answer), turn]) {
    const images = pictures.map(({ url }) => ({ type: "image_url", image_url: { url } }));
    list.push({ role: "user", content: images.length ? [...images, ...(text ? [{ type: "text", text }] : [])] : text });
    if (answer) list.push({ role: "assistant", content: answer });
  }
  return list;
}

function requestBody(turn) {
  const body = { model: $("model").value, messages: messages(turn), stream: true, stream_options: { include_usage: true } };
  if ($("temperature").value) body.temperature = Number($("temperature").value);
  if ($("max-tokens").value) body.max_tokens = Number($("max-tokens").value);
  return JSON.stringify(body);
}

/** Streams the answer to a turn. Returns times in milliseconds, the usage, and why the text ended. */
async function stream(turn, signal) {
  if (!$("model").value) await loadModels();
  const sent = performance.now();
  const response = await ask("v1/chat/completions", {
    method: "POST", signal, headers: { "Content-Type": "application/json" }, body: requestBody(turn),
  });
  const seen = { first: null, last: null, usage: null, reason: null };
  for await (const event of events(response.body)) {
    if (event.error) throw new Fault(`The server gave up: ${event.error.message}`);
    seen.usage = event.usage ?? seen.usage;
    const choice = event.choices[0];
    seen.reason = choice?.finish_reason ?? seen.reason;
    if (!choice?.delta.content) continue;
    seen.last = performance.now() - sent;
    seen.first ??= seen.last;
    turn.answer += choice.delta.content;
    follow(() => turn.view.answer.append(choice.delta.content));
  }
  return seen;
}

/** Changes the page, and stays at its end where one was there. */
function follow(change) {
  const page = document.documentElement;
  const isAtEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 60;
  change();
  if (isAtEnd) page.scrollTop = page.scrollHeight;
}

const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", "\u202f");
const time = (milliseconds) => milliseconds < 1000 ? `${number(milliseconds)} ms` : `${number(milliseconds / 1000, 2)} s`;

/** Token counts and rates of an answer, each with its name. */
function figures({ usage, first, last }) {
  const shown = [];
  if (usage) {
    const { cached_tokens: cached, image_tokens: images } = usage.prompt_tokens_details ?? {};
    shown.push(["Prompt", `${number(usage.prompt_tokens)} tokens`]);
    if (images) shown.push(["of pictures", number(images)]);
    if (cached != null) shown.push(["cached", number(cached)]);
    shown.push(["Answer", `${number(usage.completion_tokens)} tokens`]);
  }
  if (first != null) shown.push(["First token after", time(first)]);
  // The first token is made with the prompt.
  if (usage?.completion_tokens > 1 && last > first) {
    const rate = (usage.completion_tokens - 1) / (last - first) * 1000;
    shown.push(["Rate", `${number(rate, rate < 10 ? 1 : 0)} tokens/s`]);
  }
  return make("dl", { className: "figures" }, ...shown.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function picture({ name, url }) {
  const image = make("img", { src: url, alt: name, title: name });
  // Browsers cannot show every kind that the server reads, TIFF for one.
  image.addEventListener("error", () => image.replaceWith(make("span", { className: "file" }, name)));
  return image;
}

function show(turn) {
  const answer = make("div", { className: "answer" });
  const after = make("div", { className: "after" });
  const question = make("div", { className: "question" });
  question.append(make("span", { className: "unseen" }, "You: "));
  if (turn.pictures.length) question.append(make("div", { className: "shown" }, ...turn.pictures.map(picture)));
  if (turn.text) question.append(make("p", {}, turn.text));
  const root = make("article", { className: "turn" }, question, make("span", { className: "unseen" }, "Answer: "), answer, after);
  turn.view = { root, answer, after };
  $("turns").append(root);
}

/** The error of a turn, with a button that asks again. */
function faultView(turn, message) {
  const again = make("button", { type: "button" }, "Try again");
  again.addEventListener("click", () => {
    if (running) return;
    answer(turn);
    $("prompt").focus();
  });
  return make("div", { className: "fault" }, make("p", {}, message), again);
}

function setRunning(turn, controller) {
  running = turn && { turn, controller };
  // The one that goes hands the focus on.
  const [shown, gone, next] = turn ? ["stop", "send", "stop"] : ["send", "stop", "prompt"];
  const hadFocus = document.activeElement === $(gone);
  $(shown).hidden = false;
  $(gone).hidden = true;
  if (hadFocus) $(next).focus();
}

const remark = (text) => make("p", { className: "remark" }, text);

async function answer(turn) {
  const controller = new AbortController();
  const { root, answer, after } = turn.view;
  setRunning(turn, controller);
  turn.answer = "";
  answer.replaceChildren();
  after.replaceChildren();
  root.classList.remove("left-out");
  root.classList.add("writing");
  root.setAttribute("aria-busy", "true");
  say("The answer is being written.");
  try {
    const seen = await stream(turn, controller.signal);
    follow(() => {
      if (!turn.answer) after.append(remark("The model answered with no text."));
      if (seen.reason === "length") after.append(remark("Cut: the answer reached the most tokens it may have."));
      after.append(figures(seen));
    });
    say("The answer is complete.");
  } catch (error) {
    const isStop = error.name === "AbortError";
    const words = isStop ? "Stopped." : error instanceof Fault ? error.message : `The page failed: ${error.message}`;
    follow(() => after.append(isStop ? remark(words) : faultView(turn, words)));
    if (running?.turn === turn) say(words);
  }
  root.classList.toggle("left-out", !turn.answer);
  root.classList.remove("writing");
  root.removeAttribute("aria-busy");
  if (running?.turn === turn) setRunning(null);
}

function send() {
  const text = $("prompt").value.trim();
  if (running || !text && !pictures.length) return;
  const bad = [$("temperature"), $("max-tokens")].find((field) => !field.checkValidity());
  if (bad) {
    showSettings(true, bad);
    return notice(`${bad.labels[0].firstChild.textContent.trim()}: ${bad.validationMessage}`);
  }
  notice("");
  const turn = { text, pictures, answer: "" };
  turns.push(turn);
  $("empty").hidden = true;
  show(turn);
  $("prompt").value = "";
  pictures = [];
  showPictures();
  grow();
  document.documentElement.scrollTop = document.documentElement.scrollHeight;
  answer(turn);
}

function stop() {
  running?.controller.abort();
  $("prompt").focus();
}

function begin() {
  running?.controller.abort();
  setRunning(null);
  turns = [];
  $("turns").replaceChildren();
  $("empty").hidden = false;
  notice("");
  say("A new conversation has begun.");
  $("prompt").focus();
}

const dataURL = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

async function add(files) {
  const refused = [];
  for (const file of files) {
    if (!file.type.startsWith("image/")) { refused.push(`${file.name} is not a picture.`); continue; }
    try { pictures.push({ name: file.name, url: await dataURL(file) }); } catch { refused.push(`${file.name} cannot be read.`); }
  }
  follow(() => {
    notice(refused.join(" "));
    showPictures();
  });
  if (files.length > refused.length) say(`${pictures.length} picture${pictures.length === 1 ? "" : "s"} in this message.`);
  $("prompt").focus();
}

function showPictures() {
  $("pictures").hidden = !pictures.length;
  $("pictures").replaceChildren(...pictures.map((shown, index) => {
    const remove = make("button", { type: "button", title: `Remove ${shown.name}`, ariaLabel: `Remove ${shown.name}` }, "×");
    remove.addEventListener("click", () => {
      pictures = pictures.filter((other) => other !== shown);
      showPictures();
      const buttons = $("pictures").querySelectorAll("button");
      (buttons[Math.min(index, buttons.length - 1)] ?? $("prompt")).focus();
    });
    return make("li", {}, picture(shown), remove);
  }));
}

function grow() {
  follow(() => {
    $("prompt").style.height = "auto";
    $("prompt").style.height = `${$("prompt").scrollHeight}px`;
  });
}

function showSettings(isShown, focused = null) {
  $("settings").hidden = !isShown;
  $("show-settings").setAttribute("aria-expanded", String(isShown));
  focused?.focus();
}

$("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
$("prompt").addEventListener("input", grow);
$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  add([...$("files").files]);
  $("files").value = "";
});
$("stop").addEventListener("click", stop);
$("new").addEventListener("click", begin);
$("show-settings").addEventListener("click", () => showSettings($("settings").hidden));
$("model").addEventListener("change", () => { $("served").textContent = $("model").value; });
$("key").addEventListener("change", () => { loadModels().then(() => notice(""), (error) => notice(error.message)); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (running) return stop();
  if ($("settings").hidden) return;
  showSettings(false, $("show-settings"));
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (!files.length) return;
  event.preventDefault();
  add(files);
});

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  $("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", (event) => {
  $("drop").hidden = true;
  if (!holdsFiles(event)) return;
  event.preventDefault();
  add([...event.dataTransfer.files]);
});

loadModels().catch((error) => notice(error.message));

// Not by the attribute autofocus, which browsers carry out late, and complain of where something has the focus by then.
$("prompt").focus();
