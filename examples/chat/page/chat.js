// The page's half of the chat. `io` is the official Socket.IO client, served by the server itself.
//
//   we say     join(room) -> ack   leave(room)   say(room, text) -> ack(id)   type(room, on)   rtt() -> ack
//   we hear    here(room, names)   said(id, room, from, text)   typing(room, name, on)
//
// Everything that another user wrote reaches the page through `textContent` only.
"use strict";

const TOPICS = {
  lobby: "Everyone starts here",
  rust: "Borrowing, lending, compiling",
  random: "Whatever fits nowhere else",
};
const ACK_TIMEOUT = 5000; // ms until a message without acknowledgement counts as failed
const RTT_INTERVAL = 3000;
const TYPING_PAUSE = 2500; // ms without a key until we say that we stopped
const TYPING_EXPIRY = 6000; // ms until we stop believing that somebody types
const SAME_GROUP = 5 * 60 * 1000; // ms within which bubbles of one author stay together
const HISTORY = 300; // groups and notices kept per room
const GROUP = 40; // bubbles in one group

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

let socket; // the connection of the signed-in user
let me; // the name we signed in with
let current; // the room on the screen
let rooms = new Map();
let atEnd = true; // the reader sees the newest message

// ---------------------------------------------------------------------------------------------
// Signing in and out

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("name").value.trim(), $("token").value);
});

function signIn(name, token) {
  socket?.disconnect();
  $("refusal").hidden = true;
  $("enter").disabled = true;
  $("enter").textContent = "Signing in\u2026";
  me = name;
  socket = io("/chat", { auth: { name, token }, forceNew: true });
  socket.on("connect", connected);
  socket.on("connect_error", (error) => (socket.active ? unreachable() : signOut(error.message)));
  socket.on("disconnect", disconnected);
  socket.on("here", (room, names) => rooms.get(room)?.setNames(names));
  socket.on("said", (id, room, from, text) => rooms.get(room)?.hear(from, text));
  socket.on("typing", (room, name, on) => rooms.get(room)?.setTyping(name, on));
  socket.io.on("open", watchTransport);
  socket.io.on("reconnect_attempt", showReconnecting);
}

/** Ends the visit; with a reason when the server refused us. */
function signOut(reason) {
  const visited = !$("app").hidden;
  const former = socket;
  socket = undefined;
  former?.disconnect();
  rooms.forEach((room) => room.close());
  rooms = new Map();
  $("log").replaceChildren();
  $("app").hidden = true;
  $("entrance").hidden = false;
  if (visited) $("token").value = "";
  $("enter").disabled = false;
  $("enter").textContent = "Sign in";
  $("refusal").textContent = reason ? `Refused: ${reason}` : "";
  $("refusal").hidden = !reason;
  hidePeople();
  $(reason ? "token" : "name").focus();
}

function connected() {
  if ($("app").hidden) openApp();
  $("banner").hidden = true;
  showConnection();
  measureRoundTrip();
  rooms.forEach((room) => room.joined && room.join());
}

function openApp() {
  $("entrance").hidden = true;
  $("app").hidden = false;
  $("enter").disabled = false;
  $("enter").textContent = "Sign in";
  $("my-name").textContent = me;
  paintAvatar($("my-avatar"), me);
  rooms = new Map(Object.keys(TOPICS).map((name) => [name, new Room(name)]));
  $("rooms").replaceChildren(...[...rooms.values()].map((room) => make("li", "", room.tab)));
  const [first] = rooms.values();
  first.joined = true;
  show(first);
  if (matchMedia("(pointer: fine)").matches) $("text").focus();
}

function disconnected(reason) {
  if (!socket) return;
  rooms.forEach((room) => room.suspend());
  showConnection();
  if (socket.active) showReconnecting(1);
  else showBanner("Disconnected.", `The server said: ${reason}.`, true);
}

/** The server does not answer; the client goes on trying by itself. */
function unreachable() {
  if (!$("app").hidden) return;
  $("enter").disabled = false;
  $("enter").textContent = "Sign in";
  $("refusal").textContent = "The server cannot be reached. Still trying\u2026";
  $("refusal").hidden = false;
}

function showReconnecting(attempt) {
  const title = attempt > 1 ? `Reconnecting, attempt ${attempt}\u2026` : "Reconnecting\u2026";
  showBanner(title, "Messages will wait.");
}

function showBanner(title, text, final = false) {
  $("banner-title").textContent = title;
  $("banner-text").textContent = text;
  $("banner").dataset.final = final;
  $("reconnect").hidden = !final;
  $("banner").hidden = false;
}

$("reconnect").addEventListener("click", () => socket.connect());
$("sign-out").addEventListener("click", () => signOut());

// ---------------------------------------------------------------------------------------------
// The strip: transport, round trip, socket id

/** Each connection starts on one transport and may be upgraded to a better one. */
function watchTransport() {
  const engine = socket.io.engine;
  const first = engine.transport.name;
  showTransport(first);
  engine.on("upgrade", (transport) => {
    showTransport(transport.name, first);
    measureRoundTrip();
  });
}

function showTransport(name, before) {
  const parts = [make("strong", "", name)];
  if (before) parts.unshift(make("span", "from", `${before} \u2192 `));
  $("transport").replaceChildren(...parts);
  $("transport").dataset.name = name;
}

function showConnection() {
  const on = Boolean(socket?.connected);
  $("strip").dataset.on = on;
  $("light").firstElementChild.textContent = on ? "connected" : "offline";
  $("socket-id").textContent = on ? socket.id : "\u2013";
  $("socket-id").title = on ? socket.id : "";
  if (on) return;
  showTransport("not connected");
  $("round-trip").textContent = "\u2013";
}

function measureRoundTrip() {
  if (!socket?.connected) return;
  const asked = performance.now();
  socket.timeout(ACK_TIMEOUT).emit("rtt", (error) => {
    if (error || !socket?.connected) return;
    const ms = performance.now() - asked;
    $("round-trip").textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  });
}

setInterval(measureRoundTrip, RTT_INTERVAL);

// ---------------------------------------------------------------------------------------------
// Rooms

class Room {
  constructor(name) {
    this.name = name;
    this.joined = false; // we want to be in it, on this connection and on the next one
    this.ready = false; // the server confirmed it on this connection
    this.names = [];
    this.unread = 0;
    this.draft = "";
    this.waiting = []; // messages written while we were not ready
    this.typing = new Map(); // name -> timer that forgets it
    this.history = make("ol", "history");
    this.group = undefined; // the last group of bubbles, while it can grow
    this.tab = make("button", "room", name);
    this.tab.addEventListener("click", () => show(this));
  }

  join() {
    const asked = socket;
    this.joined = true;
    socket.timeout(ACK_TIMEOUT).emit("join", this.name, (error, reply) => {
      if (socket !== asked || !this.joined) return;
      if (error) return socket.connected && this.join();
      if (reply?.error) {
        this.joined = false;
        this.notice(`You cannot join: ${reply.error.message}`);
        this.giveUp("You are not in the room.");
      } else {
        this.ready = true;
        this.waiting.splice(0).forEach(transmit);
      }
      render(this);
    });
    render(this);
  }

  leave() {
    if (socket.connected) socket.emit("leave", this.name);
    this.joined = false;
    this.suspend();
    this.notice("You left the room");
    this.giveUp("You left the room.");
    render(this);
  }

  /** Nobody will send what waits. */
  giveUp(reason) {
    this.waiting.splice(0).forEach((message) => fail(message, reason));
  }

  /** Nothing that the server told us about this room can be trusted any longer. */
  suspend() {
    this.ready = false;
    this.names = [];
    this.typing.forEach(clearTimeout);
    this.typing.clear();
    render(this);
  }

  close() {
    this.joined = false;
    this.typing.forEach(clearTimeout);
  }

  setNames(listed) {
    if (!this.joined) return;
    // Somebody may be here with two windows.
    const names = [...new Set(listed)].sort();
    if (this.ready) {
      names.filter((name) => !this.names.includes(name)).forEach((name) => this.notice(`${name} joined`));
      this.names.filter((name) => !names.includes(name)).forEach((name) => {
        this.notice(`${name} left`);
        this.setTyping(name, false);
      });
    }
    this.names = names;
    render(this);
  }

  setTyping(name, on) {
    clearTimeout(this.typing.get(name));
    this.typing.delete(name);
    if (on) this.typing.set(name, setTimeout(() => this.setTyping(name, false), TYPING_EXPIRY));
    render(this);
  }

  hear(from, text) {
    this.setTyping(from, false);
    this.append(from, false, bubble(text));
    if (this === current) announce(`${from}: ${text}`);
    if (this !== current || document.hidden) this.unread += 1;
    render(this);
  }

  say(text) {
    const message = { room: this, text, element: bubble(text) };
    this.append(me, true, message.element);
    transmit(message);
    scrollToEnd();
  }

  /** Adds a bubble, to the last group if that is by the same author and recent. */
  append(author, mine, element) {
    const now = Date.now();
    this.startDay(now);
    const last = this.group;
    const recent = last && now - last.at < SAME_GROUP && last.bubbles.children.length < GROUP;
    if (recent && last.author === author && last.mine === mine) {
      this.keepScrolled(() => last.bubbles.append(element));
      last.at = now;
      return;
    }
    const bubbles = make("div", "bubbles", element);
    const group = make("li", mine ? "group mine" : "group");
    if (mine) group.append(make("span", "unseen", "You:"));
    else group.append(make("p", "author", author), paintAvatar(make("span", "avatar"), author));
    group.append(bubbles);
    this.push(group);
    this.group = { author, mine, bubbles, at: now };
  }

  notice(text) {
    this.startDay(Date.now());
    this.push(make("li", "notice", text));
    if (this === current) announce(text);
  }

  startDay(now) {
    const day = calendar.format(now);
    if (day === this.day) return;
    this.push(make("li", "day", day));
    this.day = day;
  }

  push(item) {
    this.group = undefined;
    this.keepScrolled(() => {
      this.history.append(item);
      if (this.history.children.length > HISTORY) this.history.firstElementChild.remove();
      render(this);
    });
  }

  /** Changes the history; a reader who was at the end stays there, another one is told. */
  keepScrolled(change) {
    const followed = atEnd;
    change();
    if (this !== current) return;
    if (followed) scrollToEnd();
    else $("newer").hidden = false;
  }
}

/** Brings a room to the screen, and joins it. */
function show(room) {
  if (current && current !== room) {
    current.draft = $("text").value;
    stopTyping();
  }
  const before = current;
  current = room;
  room.unread = 0;
  if (before !== room) {
    $("text").value = room.draft;
    resizeComposer();
  }
  if (!room.joined && socket.connected) room.join();
  rooms.forEach(render);
  room.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  scrollToEnd();
}

function scrollToEnd() {
  const log = $("log");
  log.scrollTop = log.scrollHeight;
  atEnd = true;
  $("newer").hidden = true;
}

$("leave").addEventListener("click", () => current.leave());
$("newer").addEventListener("click", scrollToEnd);
$("log").addEventListener("scroll", () => {
  const log = $("log");
  atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  if (atEnd) $("newer").hidden = true;
});
// The keyboard of a phone, the banner and a growing composer take room from the messages.
new ResizeObserver(() => atEnd && scrollToEnd()).observe($("log"));
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !current) return;
  current.unread = 0;
  render(current);
});

// ---------------------------------------------------------------------------------------------
// Sending: a clock while it waits, one tick when it is sent, two when the server has acknowledged it

function transmit(message) {
  const { room } = message;
  if (!room.ready || !socket.connected) {
    room.waiting.push(message);
    return mark(message, "waiting", "Waiting for the connection");
  }
  mark(message, "sent", "Sent");
  socket.timeout(ACK_TIMEOUT).emit("say", room.name, message.text, (error, reply) => {
    if (error) fail(message, "Not confirmed.");
    else if (reply?.error) fail(message, `Refused: ${reply.error.message}.`);
    else mark(message, "delivered", `Delivered, message ${reply}`);
  });
}

function mark({ element }, state, label) {
  element.dataset.state = state;
  const meta = element.querySelector(".meta");
  meta.querySelectorAll("svg, .unseen").forEach((old) => old.remove());
  meta.append(icon(state), make("span", "unseen", label));
  meta.title = label;
  element.querySelector(".trouble")?.remove();
}

function fail(message, reason) {
  mark(message, "failed", reason);
  const retry = make("button", "", "Try again");
  retry.addEventListener("click", () => transmit(message));
  const followed = atEnd;
  message.element.append(make("p", "trouble", `${reason} `, retry));
  if (followed && message.room === current) scrollToEnd();
  announce(`A message failed. ${reason}`);
}

// ---------------------------------------------------------------------------------------------
// Writing

let typingSince = 0; // when we last said that we are typing; 0 when we are not
let typingTimer;

$("text").addEventListener("input", () => {
  resizeComposer();
  if (!$("text").value.trim()) return stopTyping();
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, TYPING_PAUSE);
  if (Date.now() - typingSince < TYPING_EXPIRY / 2) return;
  typingSince = Date.now();
  if (current.ready) socket.volatile.emit("type", current.name, true);
});

function stopTyping() {
  clearTimeout(typingTimer);
  if (typingSince && current.ready) socket?.volatile.emit("type", current.name, false);
  typingSince = 0;
}

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !current.joined) return;
  stopTyping();
  $("text").value = "";
  resizeComposer();
  $("text").focus();
  current.say(text);
});

function resizeComposer() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + 2}px`;
  field.style.overflowY = field.scrollHeight > 144 ? "auto" : "hidden";
  $("send").disabled = !field.value.trim();
}

// ---------------------------------------------------------------------------------------------
// Painting

/** Shows what is known of a room: its tab always, the rest if it is the current one. */
function render(room) {
  const { tab, name, names, joined, unread, history } = room;
  tab.dataset.joined = joined;
  if (room === current) tab.setAttribute("aria-current", "true");
  else tab.removeAttribute("aria-current");
  const badge = make("span", "badge", String(unread), make("span", "unseen", " unread"));
  tab.replaceChildren(name, ...(unread ? [badge] : []));
  const total = [...rooms.values()].reduce((sum, each) => sum + each.unread, 0);
  document.title = total ? `(${total}) Ferriwire chat` : "Ferriwire chat";
  if (room !== current) return;

  $("room-name").textContent = name;
  $("room-topic").textContent = TOPICS[name];
  $("leave").hidden = !joined;
  $("people-count").textContent = names.length || "\u2013";
  $("names").replaceChildren(...(names.length ? names.map((each) => person(room, each)) : [nobody(room)]));
  $("text").placeholder = `Message #${name}`;
  $("composer").hidden = !joined;
  const typing = [...room.typing.keys()];
  $("typing").replaceChildren(...(typing.length ? [dots(), make("span", "", typists(typing))] : []));
  const content = joined && history.children.length ? history : emptiness(room);
  if ($("log").firstElementChild !== content) $("log").replaceChildren(content);
}

function emptiness({ name, joined }) {
  if (joined) {
    return make("div", "empty", icon("bubble"), make("strong", "", `It is quiet in #${name}`),
      make("p", "", "Be the first to say something."));
  }
  const join = make("button", "primary", `Join #${name}`);
  join.addEventListener("click", () => show(current));
  return make("div", "empty", icon("bubble"), make("strong", "", "You are not in this room"),
    make("p", "", "Its messages do not reach you."), join);
}

function person(room, name) {
  const item = make("li", "person", paintAvatar(make("span", "avatar"), name), make("p", "", name));
  const note = make("small", "", name === me ? "you" : "");
  if (room.typing.has(name)) {
    note.textContent = "typing";
    note.dataset.typing = "";
  }
  item.append(note);
  return item;
}

const nobody = ({ joined }) =>
  make("li", "nobody", joined ? "Known again once connected" : "Join to see who is here");

const typists = ([first, second, ...more]) => {
  if (more.length) return "Several people are typing";
  return second ? `${first} and ${second} are typing` : `${first} is typing`;
};

const dots = () => {
  const box = make("span", "dots", make("i"), make("i"), make("i"));
  box.setAttribute("aria-hidden", "true");
  return box;
};

const bubble = (text) => {
  const meta = make("span", "meta", make("time", "", clock.format(Date.now())));
  return make("div", "message", make("div", "bubble", make("span", "text", text), meta));
};

/** Initials on a quiet colour that follows from the name. */
function paintAvatar(element, name) {
  const words = name.split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...name].slice(0, 2);
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7);
  element.textContent = letters.join("").toUpperCase();
  element.style.setProperty("--hue", (hash * 47) % 360);
  element.setAttribute("aria-hidden", "true");
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** An element with a class and children; strings become text, never markup. */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function announce(text) {
  $("announcer").textContent = text;
}

// ---------------------------------------------------------------------------------------------
// The list of people, a sheet where there is no room for a column

const covered = document.querySelectorAll(".rooms, .talk, .strip");

$("show-people").addEventListener("click", () => {
  $("people").dataset.open = "";
  $("show-people").setAttribute("aria-expanded", "true");
  covered.forEach((part) => (part.inert = true));
  $("hide-people").focus();
});

function hidePeople() {
  if (!("open" in $("people").dataset)) return;
  delete $("people").dataset.open;
  $("show-people").setAttribute("aria-expanded", "false");
  covered.forEach((part) => (part.inert = false));
  $("show-people").focus();
}

$("hide-people").addEventListener("click", hidePeople);
$("shade").addEventListener("click", hidePeople);
document.addEventListener("keydown", (event) => event.key === "Escape" && hidePeople());
matchMedia("(min-width: 68rem)").addEventListener("change", hidePeople);
