// The chat page in headless Chromium with two users: Ada on a desk, Grace on a phone.
//
//   node browser-chat.mjs http://127.0.0.1:3000
//
// Environment: SCREENSHOTS, a folder for pictures to look at (none are taken without it); CHROMIUM, the
// browser's path. Ends with 0, or with 1 and the step that failed.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = process.argv[2];
const screenshots = process.env.SCREENSHOTS;
const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const PATIENCE = 15_000; // ms that anything on the page may take
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

if (!url) {
  console.error("usage: node browser-chat.mjs URL");
  process.exit(2);
}
if (screenshots) mkdirSync(screenshots, { recursive: true });

const complaints = []; // errors that a page logged while it had no reason to
let excused = false; // while a connection is cut, or closed by a client whose own GET may come too late
let running = "start the browser";

async function step(name, work) {
  running = name;
  await work();
  console.log(`ok - ${name}`);
}

function ensure(condition, message) {
  if (!condition) throw new Error(message);
}

async function open(browser, viewport, colorScheme) {
  const phone = viewport === PHONE;
  const context = await browser.newContext({ viewport, colorScheme, isMobile: phone, hasTouch: phone });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("console", (line) => {
    if (line.type() === "error" && !excused) complaints.push(`${line.text()} ${line.location().url}`);
  });
  // The page's sockets are the browser's own; they are only remembered, so that a cut can be played.
  await page.addInitScript(() => {
    const Native = window.WebSocket;
    window.sockets = [];
    window.WebSocket = class extends Native {
      constructor(...parameters) {
        super(...parameters);
        window.sockets.push(this);
      }
    };
  });
  await page.goto(url);
  return page;
}

async function signIn(page, name, token) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function say(page, text) {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

const message = (page, text) => page.locator(".message").filter({ has: page.getByText(text, { exact: true }) });

async function hears(page, text) {
  await message(page, text).waitFor();
  const count = await message(page, text).count();
  ensure(count === 1, `"${text}" stands ${count} times on the page`);
}

async function reaches(page, text, state) {
  await page.locator(`.message[data-state="${state}"]`).filter({ hasText: text }).waitFor();
}

/** Waits until exactly these people stand in the list of the room. */
async function seesPeople(page, ...names) {
  await page.waitForFunction((expected) => {
    const seen = [...document.querySelectorAll("#names .person p")].map((each) => each.textContent);
    return seen.sort().join() === expected;
  }, names.sort().join());
}

/** Nothing may stick out to the side, and what can be pressed must not be covered. */
async function isTidy(page) {
  const faults = await page.evaluate(() => {
    const found = [];
    const { clientWidth, scrollWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth} wide in ${clientWidth}`);
    for (const each of document.querySelectorAll("button, input, textarea, .strip, .head, .composer")) {
      if (each.closest(".log") || !each.checkVisibility({ visibilityProperty: true })) continue;
      const box = each.getBoundingClientRect();
      const name = each.id || each.className;
      if (box.left < 0 || box.right > clientWidth + 0.5) found.push(`${name} sticks out`);
      const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (top && !each.contains(top) && !top.contains(each)) found.push(`${name} is covered by ${top.id || top.className}`);
    }
    return found;
  });
  ensure(faults.length === 0, faults.join("; "));
}

async function picture(page, name) {
  await isTidy(page);
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`), animations: "disabled" });
}

async function both(pages, name) {
  await picture(pages.ada, `${name}-desk`);
  await picture(pages.grace, `${name}-phone`);
}

const CONVERSATION = [
  ["ada", "Morning! The new build answers on both transports."],
  ["grace", "I see it. It went from polling to WebSocket before the page had finished painting."],
  ["grace", "And nothing arrived twice: na\u00efve caf\u00e9, \u03b1 \u2192 \u03c9."],
  ["ada", "That is the whole point :-)"],
  ["ada", "<b>Markup</b> stays text: <img src=x onerror=alert(1)>"],
  ["grace", "Good. What about a very long word, one that is wider than a phone? https://example.org/" + "abcdefgh".repeat(12)],
  ["ada", "It breaks where it must.\nNew lines stay, too."],
];

async function scenario(browser) {
  const pages = {};

  await step("the page loads on a desk and on a phone", async () => {
    pages.ada = await open(browser, DESK, "light");
    pages.grace = await open(browser, PHONE, "light");
    await both(pages, "1-sign-in");
  });
  const { ada, grace } = pages;

  await step("a bad token is refused with the server's reason", async () => {
    excused = true;
    await Promise.all([signIn(ada, "Ada Lovelace", "guess"), signIn(grace, "Grace", "guess")]);
    for (const page of [ada, grace]) {
      await page.getByRole("alert").filter({ hasText: "unknown token" }).waitFor();
      ensure(await page.locator("#app").isHidden(), "the chat opened in spite of the refusal");
    }
    await both(pages, "2-refused");
  });

  await step("the good token opens the lobby", async () => {
    await signIn(ada, "Ada Lovelace", "ferriwire");
    await seesPeople(ada, "Ada Lovelace");
    excused = false;
    await picture(ada, "3-empty-room-desk");
  });

  await step("both see who is here", async () => {
    await signIn(grace, "Grace", "ferriwire");
    for (const page of [ada, grace]) await seesPeople(page, "Ada Lovelace", "Grace");
    await ada.locator(".notice").filter({ hasText: "Grace joined" }).waitFor();
  });

  await step("the strip reaches websocket, with a round trip and a socket id", async () => {
    for (const page of [ada, grace]) {
      await page.locator('#transport[data-name="websocket"]').waitFor();
      await page.locator("#round-trip").filter({ hasText: /^[\d.]+ ms$/ }).waitFor();
      await page.locator("#socket-id").filter({ hasText: /^[\w-]{20}$/ }).waitFor();
    }
    const ids = await Promise.all([ada, grace].map((page) => page.locator("#socket-id").textContent()));
    ensure(ids[0] !== ids[1], "both users have the same socket id");
  });

  await step("typing shows, and ends with the message", async () => {
    await ada.getByRole("textbox", { name: "Message" }).pressSequentially("Mor");
    await grace.getByText("Ada Lovelace is typing").waitFor();
    await ada.getByRole("textbox", { name: "Message" }).fill("");
    await grace.getByText("Ada Lovelace is typing").waitFor({ state: "detached" });
  });

  await step("messages arrive once, as text, and get their second tick", async () => {
    for (const [who, text] of CONVERSATION) {
      const [from, to] = who === "ada" ? [ada, grace] : [grace, ada];
      await say(from, text);
      await reaches(from, text, "delivered");
      await hears(to, text);
    }
    ensure((await grace.locator(".log img, .log b").count()) === 0, "markup of a message became elements");
    const titles = await ada.locator('.message[data-state="delivered"] .meta').evaluateAll((all) => all.map((each) => each.title));
    ensure(titles.length === 4 && new Set(titles).size === 4, `ids of the acknowledgements: ${titles}`);
  });

  await step("typing is seen on both sides", async () => {
    await ada.getByRole("textbox", { name: "Message" }).pressSequentially("By the way");
    await grace.getByRole("textbox", { name: "Message" }).pressSequentially("So do w");
    await grace.getByText("Ada Lovelace is typing").waitFor();
    await ada.getByText("Grace is typing").waitFor();
    await both(pages, "4-conversation");
    for (const scheme of ["dark", "light"]) {
      for (const page of [ada, grace]) await page.emulateMedia({ colorScheme: scheme });
      if (scheme === "dark") await both(pages, "5-dark");
    }
    await ada.getByRole("textbox", { name: "Message" }).fill("");
    await grace.getByRole("textbox", { name: "Message" }).fill("");
  });

  await step("the list of people opens and closes on a phone", async () => {
    await grace.getByRole("button", { name: "people here" }).click();
    await grace.getByRole("button", { name: "Sign out" }).click({ trial: true });
    if (screenshots) await grace.screenshot({ path: join(screenshots, "6-people-phone.png"), animations: "disabled" });
    await grace.keyboard.press("Escape");
    await grace.locator("#people").waitFor({ state: "hidden" });
  });

  await step("another room has its own people, and counts what is unread", async () => {
    await grace.getByRole("button", { name: "rust", exact: true }).click();
    await seesPeople(grace, "Grace");
    await say(ada, "Are you still in the lobby?");
    await grace.getByRole("button", { name: "lobby 1 unread" }).waitFor();
    ensure((await message(grace, "Are you still in the lobby?").count()) === 0, "a message of another room is shown");
    await picture(grace, "7-other-room-phone");
    await grace.getByRole("button", { name: "Leave" }).click();
    await grace.getByRole("button", { name: "Join #rust" }).waitFor();
    await picture(grace, "8-left-room-phone");
    await grace.getByRole("button", { name: "lobby 1 unread" }).click();
    await hears(grace, "Are you still in the lobby?");
  });

  await step("a cut shows the banner, and what is written waits", async () => {
    excused = true;
    for (const page of [ada, grace]) {
      await page.route("**/socket.io/**", (route) => route.abort());
      await page.context().setOffline(true);
      await page.evaluate(() => window.sockets.forEach((each) => each.close()));
      await page.getByRole("status").filter({ hasText: "Reconnecting" }).waitFor();
    }
    await say(ada, "Written while we were cut off");
    await reaches(ada, "Written while we were cut off", "waiting");
    ensure((await ada.locator("#transport").textContent()) === "not connected", "the strip shows a transport while offline");
    await both(pages, "9-reconnecting");
  });

  await step("after the reconnection the rooms are joined again and the message leaves", async () => {
    for (const page of [grace, ada]) {
      await page.context().setOffline(false);
      await page.unroute("**/socket.io/**");
      await page.getByRole("status").filter({ hasText: "Reconnecting" }).waitFor({ state: "hidden" });
      if (page === grace) await seesPeople(grace, "Grace");
    }
    excused = false;
    await seesPeople(ada, "Ada Lovelace", "Grace");
    await reaches(ada, "Written while we were cut off", "delivered");
    await hears(grace, "Written while we were cut off");
    await ada.locator('#transport[data-name="websocket"]').waitFor();
  });

  await step("what the server refuses is marked, with its reason and a way to try again", async () => {
    await ada.getByRole("button", { name: "random" }).click();
    await seesPeople(ada, "Ada Lovelace");
    await ada.locator("#text").evaluate((field) => field.removeAttribute("maxlength"));
    await say(ada, "too long ".repeat(1000));
    await reaches(ada, "too long", "failed");
    await ada.locator(".trouble").filter({ hasText: "Refused:" }).waitFor();
    await ada.getByRole("button", { name: "Try again" }).click();
    await reaches(ada, "too long", "failed");
    await picture(ada, "10-refused-message-desk");
    await ada.getByRole("button", { name: "lobby" }).click();
  });

  await step("who signs out is gone from the list", async () => {
    await grace.getByRole("button", { name: "people here" }).click();
    await grace.getByRole("button", { name: "Sign out" }).click();
    await grace.getByRole("button", { name: "Sign in" }).waitFor();
    await seesPeople(ada, "Ada Lovelace");
    await ada.locator(".notice").filter({ hasText: "Grace left" }).last().waitFor();
  });

  await step("no page logged an error", async () => {
    ensure(complaints.length === 0, complaints.join("\n"));
  });
}

let browser;
try {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  await scenario(browser);
} catch (error) {
  console.error(`not ok - ${running}\n${error.message}`);
  if (complaints.length) console.error(`the pages logged:\n${complaints.join("\n")}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
}
