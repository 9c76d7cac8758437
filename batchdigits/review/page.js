"use strict";
// The review's page: groups of cells read as the same digit, every decision an event of a journal.
// The journal's rules are those of journal.py; tests replay the same journals in both.

const element = (id) => document.getElementById(id);
const source = element("review");
const review = JSON.parse(source.textContent);
const digest = source.dataset.digest;
const token = new URLSearchParams(location.search).get("token");
const served = location.protocol === "http:" && token !== null;

const CANT_TELL = -1, NOT_A_DIGIT = -2;
const MARKS = { [CANT_TELL]: "cant-tell", [NOT_A_DIGIT]: "not-a-digit" };
const MARK_NAMES = { [CANT_TELL]: "can't tell", [NOT_A_DIGIT]: "not a digit" };
const MARK_SIGNS = { [CANT_TELL]: "?", [NOT_A_DIGIT]: "×" };
const CELLS_ON_A_SCREEN = 100;
const LETTERS = "abcdefghij"; // two of them name a cell of the screen
const HOLD = 250; // milliseconds after which a press opens the ring
const MOVED = 14; // pixels after which a press has a direction

// ---- the journal: events, and the state that follows from them

class Journal {
  constructor() {
    this.events = [];
    this.values = new Map(); // the reading of each cell that was changed
    this.settled = new Map();
    this.over = new Map(); // decisions on disagreements
    this.confirmed = new Set();
    this.slipped = new Set();
    this.undos = [];
  }

  apply(event) {
    this.events.push(event);
    if (event.do === "undo") {
      for (const [map, cell, before] of (this.undos.pop() || { changes: [] }).changes.reverse()) {
        if (before === undefined) map.delete(cell);
        else map.set(cell, before);
      }
      return;
    }
    const changes = [];
    const put = (map, cell, value) => {
      changes.push([map, cell, map.get(cell)]);
      map.set(cell, value);
    };
    if (event.do === "confirm") {
      for (const cell of event.cells) {
        const value = this.value(cell);
        if (!this.confirmed.has(cell)) {
          this.confirmed.add(cell);
          const { kind, shown } = review.cells[cell];
          if (kind === "planted" && value === shown) this.slipped.add(cell);
        }
        put(this.settled, cell, value);
      }
    } else if (event.do === "settle") {
      put(this.over, event.cell, valueOf(event));
    } else {
      put(this.values, event.cell, valueOf(event));
      if (this.settled.has(event.cell)) put(this.settled, event.cell, valueOf(event));
    }
    this.undos.push({ event, changes });
  }

  value(cell) {
    return this.values.has(cell) ? this.values.get(cell) : review.cells[cell].shown;
  }
}

function valueOf(event) {
  if (event.label !== undefined) return review.labels.indexOf(event.label);
  return event.mark === "cant-tell" ? CANT_TELL : NOT_A_DIGIT;
}

function decision(value) {
  return value < 0 ? { mark: MARKS[value] } : { label: review.labels[value] };
}

function parseJournal(text) {
  const lines = text.split("\n");
  lines.pop(); // what follows the last line's end was never saved
  const header = JSON.parse(lines.shift());
  if (header.review !== digest) throw new Error("it is the journal of another review");
  const journal = new Journal();
  lines.forEach((line) => journal.apply(JSON.parse(line)));
  return { reviewer: header.reviewer, journal, lines };
}

// ---- where decisions are kept: the server's journal, or this browser

class BrowserStore {
  constructor(reviewer) {
    this.reviewer = reviewer;
    this.prefix = `batchdigits ${digest} ${reviewer} `;
    this.began = this.get("began") || now();
    this.lines = [];
  }
  get(name) {
    try { return localStorage.getItem(this.prefix + name); } catch { return null; }
  }
  async load() {
    for (let line; (line = this.get(this.lines.length + 1)) !== null;) this.lines.push(line);
    return this.lines;
  }
  add(line) {
    this.lines.push(line);
    try {
      localStorage.setItem(this.prefix + "began", this.began);
      localStorage.setItem(this.prefix + this.lines.length, line);
      show("state", `${counted(this.lines.length, "decision")} saved in this browser`);
    } catch {
      show("state", "This browser can't save any more: download the journal now", true);
    }
  }
  text() {
    const head = { journal: 1, review: digest, reviewer: this.reviewer, began: this.began };
    return [JSON.stringify(head), ...this.lines].join("\n") + "\n";
  }
}

class ServerStore {
  constructor() {
    this.waiting = [];
    this.sending = false;
    this.prefix = `batchdigits ${digest} waiting `;
  }
  async load() {
    const answer = await ask("journal");
    const { reviewer, text } = await answer.json();
    this.reviewer = reviewer;
    this.prefix += reviewer + " ";
    const lines = text.split("\n");
    lines.pop();
    this.head = lines.shift();
    this.lines = lines;
    for (let line; (line = this.kept(this.lines.length + 1)) !== null;) this.queue(line);
    this.send();
    return this.lines;
  }
  kept(number) {
    try { return localStorage.getItem(this.prefix + number); } catch { return null; }
  }
  queue(line) {
    this.lines.push(line);
    this.waiting.push([this.lines.length, line]);
  }
  add(line) {
    this.queue(line);
    // Kept here too until the server has it: it may be gone.
    try { localStorage.setItem(this.prefix + this.lines.length, line); } catch { /* the server has it soon */ }
    this.send();
  }
  async send() {
    if (this.sending || !this.waiting.length) return;
    this.sending = true;
    const batch = this.waiting.slice(0, 1000);
    try {
      const answer = await ask("journal", batch.map(([, line]) => line + "\n").join(""));
      if (answer.ok) {
        this.waiting.splice(0, batch.length);
        for (const [number] of batch) {
          try { localStorage.removeItem(this.prefix + number); } catch { /* nothing was kept */ }
        }
        show("state", `${counted(this.lines.length - this.waiting.length, "decision")} saved`);
      } else {
        show("state", `Not saved: ${await answer.text()}`, true);
        // What is no decision to the server stays none; a full disk may be freed.
        if (answer.status !== 409) this.again();
        return;
      }
    } catch {
      show("state", `Not saved yet: no answer from the server; ${counted(this.waiting.length, "decision")} waiting. Start it again`, true);
      this.again();
      return;
    }
    this.sending = false;
    this.send();
  }
  again() {
    setTimeout(() => { this.sending = false; this.send(); }, 500);
  }
  text() {
    return [this.head, ...this.lines].join("\n") + "\n";
  }
}

function ask(path, body) {
  const method = body === undefined ? "GET" : "POST";
  return fetch(path, { method, body, headers: { "X-Token": token }, cache: "no-store" });
}

// ---- screens

const groups = new Map(); // the cells by reading
review.cells.forEach(({ shown }, number) => {
  if (!groups.has(shown)) groups.set(shown, []);
  groups.get(shown).push(number);
});
const screens = [];
groups.forEach((cells, shown) => {
  // Of equal size: nobody wants a last screen of two cells.
  const size = Math.ceil(cells.length / Math.ceil(cells.length / CELLS_ON_A_SCREEN));
  for (let i = 0; i < cells.length; i += size) screens.push({ shown, cells: cells.slice(i, i + size) });
});

let store, journal, others = [];
let at = 0; // the screen
let mark = 0; // the place of the marked cell on it
let pending = ""; // the first letter of an address
let armed = false; // a cell was named: the next letter may be a label
let single = false; // one cell at a time
let disputed = null; // the cells that reviewers disagree on, once both are done
let looking = false; // a screen is looked at again, settled or not
let buttons = [];
let painted = new Map(); // the pictures of the next screen

const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const name = (value) => (value < 0 ? MARK_NAMES[value] : review.labels[value]);
const sign = (value) => (value < 0 ? MARK_SIGNS[value] : review.labels[value]);
const address = (place) => LETTERS[Math.floor(place / 10)] + LETTERS[place % 10];

function show(id, text, isUrgent) {
  element(id).textContent = text;
  element(id).classList.toggle("urgent", Boolean(isUrgent));
}

function record(event) {
  const whole = { n: journal.events.length + 1, at: now(), ...event };
  journal.apply(whole);
  store.add(JSON.stringify(whole));
}

const isOpen = (screen) => screen.cells.some((cell) => !journal.settled.has(cell));

function nextOpen(from) {
  for (let step = 0; step < screens.length; step += 1) {
    const number = (from + step) % screens.length;
    if (isOpen(screens[number])) return number;
  }
  return -1;
}

function openInScreen() {
  return screens[at].cells.findIndex((cell) => !journal.settled.has(cell));
}

// ---- decisions

function setValue(place, value) {
  const cell = screens[at].cells[place];
  if (journal.value(cell) !== value) {
    record({ do: "set", cell, ...decision(value) });
    say(`${address(place)} is ${name(value)}`);
  }
  notice(null);
  updateCell(place);
  progress();
}

function confirmCells(cells) {
  const before = journal.slipped.size;
  record({ do: "confirm", cells });
  const slips = cells.filter((cell) => journal.slipped.has(cell));
  notice(journal.slipped.size > before ? slips : null);
}

function confirmScreen() {
  if (disputed) return settle(journal.settled.get(disputed[0]));
  confirmCells(single ? [screens[at].cells[mark]] : screens[at].cells);
  advance();
}

function advance() {
  looking = false;
  const next = nextOpen(at);
  if (next < 0) return finish();
  if (next !== at || !single) at = next;
  mark = single ? openInScreen() : 0;
  draw();
}

function undo() {
  const last = journal.undos[journal.undos.length - 1];
  if (!last) return say("nothing to undo");
  record({ do: "undo" });
  const before = journal.undos[journal.undos.length - 1];
  const { event } = last;
  const cell = event.do === "confirm" ? event.cells[0] : event.cell;
  if (single && event.do === "confirm" && before && before.event.cell === cell && before.event.do === "set") {
    record({ do: "undo" });
  }
  notice(null);
  disputed = null;
  if (event.do === "settle") return finish();
  looking = true;
  at = screens.findIndex((screen) => screen.cells.includes(cell));
  mark = event.do === "confirm" && !single ? 0 : screens[at].cells.indexOf(cell);
  draw();
  say(event.do === "confirm" ? "back to the screen before" : `${address(mark)} is ${name(journal.value(cell))} again`);
}

function decide(value) {
  if (disputed) return settle(value);
  if (single) {
    const cell = screens[at].cells[mark];
    if (journal.value(cell) !== value) record({ do: "set", cell, ...decision(value) });
    confirmCells([cell]);
    return advance();
  }
  setValue(mark, value);
  armed = false;
  moveMark(Math.min(mark + 1, screens[at].cells.length - 1));
}

// ---- disagreements of reviewers

function disagreements() {
  const sides = [{ reviewer: store.reviewer, journal }, ...others];
  const cells = [];
  review.cells.forEach((cell, number) => {
    if (cell.kind === "planted" || !journal.settled.has(number)) return;
    const over = sides.filter((side) => side.journal.over.has(number));
    const said = over.length ? over.map((side) => side.journal.over.get(number))
      : sides.filter((side) => side.journal.settled.has(number)).map((side) => side.journal.settled.get(number));
    if (new Set(said).size > 1) cells.push(number);
  });
  return cells;
}

function settle(value) {
  record({ do: "settle", cell: disputed[0], ...decision(value) });
  finish();
}

async function readOthers() {
  if (!served) return;
  try {
    const texts = await (await ask("others")).json();
    others = texts.map(parseJournal);
  } catch { /* the server is gone: the disagreements wait */ }
}

async function finish() {
  looking = single = false;
  const known = disagreements();
  disputed = known.length ? known : null;
  draw();
  await readOthers();
  const found = disagreements();
  if (!disputed && found.length && !element("end").hidden) {
    disputed = found;
    draw();
  }
}

// ---- drawing

const context = (canvas) => canvas.getContext("2d");
const small = document.createElement("canvas");
small.width = small.height = 8;

function decoded(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return bytes.length === 64 ? bytes : new Float32Array(bytes.buffer);
}

function paint(pixels, size) {
  const image = new ImageData(8, 8);
  decoded(pixels).forEach((ink, i) => { image.data[4 * i + 3] = Math.round((ink * 255) / 16); });
  context(small).putImageData(image, 0, 0);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  context(canvas).imageSmoothingQuality = "high";
  context(canvas).drawImage(small, 0, 0, size, size);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

function picture(cell, size) {
  if (!cell.image) return paint(cell.pixels, size);
  const image = document.createElement("img");
  image.alt = "";
  image.height = size;
  image.draggable = false;
  image.src = `data:image/${cell.image.startsWith("/9j/") ? "jpeg" : "png"};base64,${cell.image}`;
  return image;
}

function span(className, text) {
  const result = document.createElement("span");
  result.className = className;
  result.textContent = text;
  return result;
}

function makeButton(place) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cell";
  button.dataset.place = place;
  const number = screens[at].cells[place];
  button.append(painted.get(number) || picture(review.cells[number], 48), span("address", address(place)), span("value", ""));
  return button;
}

function updateCell(place) {
  const number = screens[at].cells[place], cell = review.cells[number], button = buttons[place];
  const value = journal.value(number), changed = value !== cell.shown;
  button.classList.toggle("changed", changed);
  button.querySelector(".value").textContent = changed ? sign(value) : "";
  button.setAttribute("aria-label", `${address(place)}, read as ${name(cell.shown)}${changed ? `, now ${name(value)}` : ""}`);
}

function moveMark(place) {
  if (buttons[mark]) {
    buttons[mark].classList.remove("marked");
    buttons[mark].tabIndex = -1;
  }
  mark = place;
  buttons[mark].classList.add("marked");
  buttons[mark].tabIndex = 0;
  buttons[mark].focus({ preventScroll: false });
  if (!element("field").hidden) drawField();
}

function draw() {
  pending = "";
  armed = false;
  const cells = element("cells"), done = !disputed && !looking && nextOpen(0) < 0;
  element("end").hidden = !done;
  element("one").hidden = !single && !disputed;
  cells.hidden = done || single || Boolean(disputed);
  element("tools").hidden = done;
  element("field").hidden = element("field").hidden || done;
  buttons = [];
  if (done) drawEnd();
  else if (disputed) drawDisputed();
  else if (single) drawSingle();
  else drawGrid(cells);
  progress();
}

function drawGrid(cells) {
  const screen = screens[at];
  title("Find the cells that are not ", name(screen.shown));
  buttons = screen.cells.map((_, place) => makeButton(place));
  cells.replaceChildren(...buttons);
  buttons.forEach((button, place) => { button.tabIndex = -1; updateCell(place); });
  moveMark(Math.min(mark, buttons.length - 1));
  scrollTo(0, 0);
  performance.mark("screen");
  setTimeout(paintNext, 60);
}

function paintNext() {
  const next = nextOpen(at + 1);
  const cells = next < 0 || next === at ? [] : screens[next].cells;
  painted = new Map(cells.map((number) => [number, picture(review.cells[number], 48)]));
}

function title(text, strong) {
  const heading = element("title"), b = document.createElement("b");
  b.textContent = strong;
  heading.replaceChildren(text, b);
  document.title = `${text}${strong}`;
}

function drawSingle() {
  const number = screens[at].cells[mark], cell = review.cells[number];
  title("Is this ", `${name(cell.shown)}?`);
  element("one").replaceChildren(picture(cell, 240));
  element("one").append(paragraph(`Enter: yes, it is ${name(cell.shown)}. Any other digit: it is that.`));
  if (!element("field").hidden) drawField();
}

function drawDisputed() {
  const number = disputed[0], cell = review.cells[number];
  const sides = [{ reviewer: "you", journal }, ...others].filter((side) => side.journal.settled.has(number));
  title("The reviewers disagree: ", `${disputed.length} left`);
  const said = sides.map((side) => `${side.reviewer}: ${name(side.journal.settled.get(number))}`).join(", ");
  element("one").replaceChildren(picture(cell, 240), paragraph(`${said}. Enter keeps yours, a digit decides.`));
}

function paragraph(text) {
  const result = document.createElement("p");
  result.textContent = text;
  return result;
}

function drawEnd() {
  const count = (kind) => review.cells.filter((cell, n) => cell.kind === kind && journal.settled.has(n)).length;
  const changed = review.cells.filter((cell, n) => cell.kind !== "planted" && journal.settled.get(n) !== cell.shown).length;
  const planted = count("planted"), slipped = journal.slipped.size;
  title("", "All cells are settled");
  show("summary", `${counted(count("doubtful") + count("sample"), "cell")} settled, ${changed} of them changed; ` +
    `${planted - slipped} of ${counted(planted, "planted cell")} caught. ` +
    (served ? "Everything is saved; you can close this page." : "Download the journal and hand it back."));
  element("add-label").hidden = served;
}

function progress() {
  const settled = journal.settled.size, all = review.cells.length;
  element("bar").value = settled / all;
  show("progress", `screen ${at + 1} of ${screens.length}, ${settled} of ${counted(all, "cell")} settled`);
}

function notice(slips) {
  const box = element("notice");
  box.hidden = !slips;
  if (!slips) return box.replaceChildren();
  const cells = slips.map((n) => review.cells[n]);
  box.replaceChildren(
    `${counted(slips.length, "planted cell")} slipped through: `,
    ...cells.flatMap((cell) => [picture(cell, 32), ` was shown as ${name(cell.shown)}, it is ${name(cell.read)}. `]),
  );
}

function say(text) {
  element("spoken").textContent = text;
}

function drawField() {
  const panel = element("field"), number = disputed ? disputed[0] : screens[at].cells[mark];
  const cell = review.cells[number];
  const where = `row ${cell.row === null ? `at prediction ${cell.place + 1}` : cell.row} of ${review.files[cell.file].path.split("/").pop()}`;
  const line = document.createElement("p");
  line.className = "line";
  let words = where;
  if (cell.field) {
    const { of, cells } = review.fields[cell.field[0]];
    words = [...Object.entries(of).map(([key, value]) => `${key} ${value}`), where].join(", ");
    cells.forEach(([pixels, read], place) => {
      const one = document.createElement("span");
      one.className = place === cell.field[1] ? "here" : "";
      one.append(paint(pixels, 48), span("read", place === cell.field[1] ? sign(cell.shown) : sign(read)));
      line.append(one);
    });
  } else {
    words += "; the field is shown if the review is made with --group";
  }
  if (cell.image) line.append(paint(cell.pixels, 48));
  panel.replaceChildren(paragraph(words), line);
  panel.hidden = false;
}

// ---- the keyboard

const keyOf = new Map(); // from a key to a class
const letterLabels = review.labels.every((label) => [...label].length === 1);
review.labels.forEach((label, value) => {
  if (letterLabels) keyOf.set(label.toLowerCase(), value);
  else if (value < 10) keyOf.set(String(value), value);
});

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !journal) return;
  if (event.target.tagName === "INPUT") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Tab" || (key === "Enter" && event.target.closest("#tools, #end, #help"))) return;
  if (handle(key)) event.preventDefault();
}

const COMMANDS = {
  Enter: confirmScreen, Backspace: undo, ".": () => decide(CANT_TELL), "-": () => decide(NOT_A_DIGIT),
  o: toggleSingle, v: toggleField, "?": toggleHelp, n: () => turn(1), p: () => turn(-1),
  Escape: () => { pending = ""; armed = false; closeRing(); element("field").hidden = true; },
  ArrowRight: () => step(1), ArrowLeft: () => step(-1),
  ArrowDown: () => step(columns()), ArrowUp: () => step(-columns()),
  Home: () => step(-mark), End: () => step(Infinity),
};

function handle(key) {
  const isDone = !element("end").hidden;
  if (isDone) {
    if (key === "Backspace") undo();
    else if (key === "p") turn(-1);
    return key === "Backspace" || key === "p";
  }
  const grid = !single && !disputed;
  const first = pending;
  pending = "";
  show("typed", "");
  if (grid && first && LETTERS.includes(key)) {
    const place = 10 * LETTERS.indexOf(first) + LETTERS.indexOf(key);
    if (place < buttons.length) {
      moveMark(place);
      armed = true;
    } else say(`there is no cell ${first}${key}`);
    return true;
  }
  const isLabel = keyOf.has(key);
  if (isLabel && (!grid || armed || !LETTERS.includes(key))) {
    decide(keyOf.get(key));
    return true;
  }
  if (grid && key.length === 1 && LETTERS.includes(key)) {
    pending = key;
    show("typed", `${key}…`);
    return true;
  }
  if (!(key in COMMANDS)) return false;
  COMMANDS[key]();
  return true;
}

function columns() {
  const top = buttons[0].offsetTop;
  const count = buttons.findIndex((button) => button.offsetTop !== top);
  return count < 0 ? buttons.length : count;
}

function step(by) {
  if (single || disputed) return;
  moveMark(Math.max(0, Math.min(buttons.length - 1, mark + by)));
  armed = true;
}

function turn(by) {
  if (disputed) return;
  looking = true;
  at = (at + by + screens.length) % screens.length;
  mark = single ? Math.max(0, openInScreen()) : 0;
  draw();
}

function toggleSingle() {
  if (disputed) return;
  single = !single;
  mark = Math.max(0, openInScreen());
  element("single").setAttribute("aria-pressed", String(single));
  draw();
}

function toggleField() {
  if (element("field").hidden) drawField();
  else element("field").hidden = true;
}

function toggleHelp() {
  element("help").open = !element("help").open;
}

// ---- mouse and touch: a tap takes the likeliest other reading; press and slide takes any

let press = null;
const ring = element("ring");
const choices = [...review.labels.keys()].slice(0, 12).concat([CANT_TELL, NOT_A_DIGIT]);

function onPress(event) {
  const button = event.target.closest(".cell");
  if (!ring.hidden && !button) return event.target.closest("#ring") ? null : closeRing();
  if (!button || event.button > 0 || single || disputed) return;
  closeRing();
  event.preventDefault();
  const place = Number(button.dataset.place);
  press = { place, x: event.clientX, y: event.clientY, id: event.pointerId, hold: setTimeout(openRing, HOLD) };
  if (event.pointerType === "mouse") button.setPointerCapture(event.pointerId);
  moveMark(place);
  armed = true;
}

function onMove(event) {
  if (!press) {
    const button = event.pointerType === "mouse" && (event.movementX || event.movementY) && event.target.closest(".cell");
    if (button && !single && Number(button.dataset.place) !== mark) {
      moveMark(Number(button.dataset.place));
      armed = true;
    }
    return;
  }
  if (event.pointerId !== press.id) return;
  press.dx = event.clientX - press.x;
  press.dy = event.clientY - press.y;
  if (Math.hypot(press.dx, press.dy) < MOVED) return;
  if (ring.hidden && event.pointerType === "mouse") openRing();
  if (!ring.hidden) highlight(direction());
}

function onRelease(event) {
  if (!press || event.pointerId !== press.id) return;
  clearTimeout(press.hold);
  const { place } = press, moved = Math.hypot(press.dx || 0, press.dy || 0) >= MOVED;
  if (ring.hidden) {
    if (!moved) tap(place);
  } else if (moved) {
    const value = direction();
    closeRing();
    setValue(place, value);
  }
  press = null;
}

function onCancel() {
  if (press) clearTimeout(press.hold);
  press = null;
  closeRing();
}

function tap(place) {
  const number = screens[at].cells[place], cell = review.cells[number];
  const cycle = [cell.shown, ...cell.others];
  const next = cycle[(cycle.indexOf(journal.value(number)) + 1) % cycle.length];
  setValue(place, next);
}

function direction() {
  const turnOf = Math.atan2(press.dx, -press.dy) / (2 * Math.PI);
  return choices[Math.round((turnOf + 1) * choices.length) % choices.length];
}

function openRing() {
  const reach = 92, { place } = press;
  const x = Math.min(Math.max(press.x, reach), innerWidth - reach);
  const y = Math.min(Math.max(press.y, reach), innerHeight - reach);
  ring.hidden = false;
  ring.style.left = `${x}px`;
  ring.style.top = `${y}px`;
  ring.replaceChildren(...choices.map((value, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign(value);
    button.setAttribute("aria-label", name(value));
    button.dataset.value = value;
    const angle = (2 * Math.PI * i) / choices.length;
    button.style.left = `${Math.sin(angle) * 66}px`;
    button.style.top = `${-Math.cos(angle) * 66}px`;
    button.addEventListener("click", () => { closeRing(); setValue(place, value); });
    return button;
  }));
}

function highlight(value) {
  for (const button of ring.children) button.classList.toggle("chosen", Number(button.dataset.value) === value);
}

function closeRing() {
  ring.hidden = true;
  ring.replaceChildren();
}

// ---- the frame

function makeTools() {
  const add = (text, label, action, id) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    if (label) button.setAttribute("aria-label", label);
    if (id) button.id = id;
    button.addEventListener("click", () => { action(); });
    element("tools").append(button);
    return button;
  };
  review.labels.slice(0, 12).forEach((label, value) => add(label, `it is ${label}`, () => decide(value)));
  add("? can't tell", "", () => decide(CANT_TELL));
  add("× not a digit", "", () => decide(NOT_A_DIGIT));
  add("Undo", "", undo);
  add("Field", "", toggleField);
  add("One at a time", "", toggleSingle, "single").setAttribute("aria-pressed", "false");
  add("Confirm", "", confirmScreen, "confirm");
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([store.text()], { type: "application/jsonl" }));
  link.download = `${store.reviewer.replace(/[^\p{L}\p{N}_-]+/gu, "-") || "reviewer"}.journal.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function addJournal(event) {
  try {
    const texts = await Promise.all([...event.target.files].map((file) => file.text()));
    others = texts.map(parseJournal).filter((other) => other.reviewer !== store.reviewer);
    finish();
  } catch (error) {
    show("state", `That journal can't be read: ${error.message}`, true);
  }
}

async function begin(chosen) {
  store = chosen;
  const lines = await store.load();
  journal = new Journal();
  lines.forEach((line) => journal.apply(JSON.parse(line)));
  element("who").hidden = true;
  element("work").hidden = false;
  show("reviewer", store.reviewer);
  if (lines.length) show("state", `${counted(lines.length, "decision")} saved`);
  const next = nextOpen(0);
  if (next < 0) return finish();
  at = next;
  draw();
}

function start() {
  makeTools();
  element("download").addEventListener("click", download);
  element("add").addEventListener("change", addJournal);
  document.addEventListener("keydown", onKey);
  document.addEventListener("pointerdown", onPress);
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerup", onRelease);
  document.addEventListener("pointercancel", onCancel);
  document.addEventListener("touchmove", (event) => { if (!ring.hidden) event.preventDefault(); }, { passive: false });
  document.addEventListener("contextmenu", (event) => { if (event.target.closest(".cell")) event.preventDefault(); });
  addEventListener("beforeunload", (event) => { if (store && store.waiting && store.waiting.length) event.preventDefault(); });
  if (served) {
    begin(new ServerStore()).catch(() => show("state", "No answer from the server: start it, and reload this page", true));
    return;
  }
  element("who").hidden = false;
  element("name").focus();
  element("who").addEventListener("submit", (event) => {
    event.preventDefault();
    const reviewer = element("name").value.trim();
    if (reviewer) begin(new BrowserStore(reviewer));
  });
}

start();
