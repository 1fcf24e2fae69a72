// The live page in Chromium: node live_page.js CHROMIUM FOLDER PAGE SERVER PAGE-WITH-TOKEN TOKEN
const http = require("http");
const { Browser } = require("./devtools.js");

const [chromium, folder, pageUrl, server, guardedUrl, token] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });

function get(url) {
  return new Promise((done, fail) => {
    http.get(url, { agent }, (answer) => {
      let text = "";
      answer.on("data", (part) => { text += part; }).on("end", () => done({ status: answer.statusCode, text }));
    }).on("error", fail);
  });
}

function check(what, isSo, ...more) {
  if (!isSo) throw new Error(`${what} ${more.map((one) => JSON.stringify(one)).join(" ")}`);
}

/** Requests, one behind the other, until it is told to stop. */
function load(url) {
  let goesOn = true;
  const over = (async () => { while (goesOn) await get(url).catch(() => {}); })();
  return () => { goesOn = false; return over; };
}

const row = (name) => `[...document.querySelectorAll(".endpoints .who b")].find((b) => b.textContent === ${JSON.stringify(name)}).closest("tr")`;
const stateOf = (name) => `${row(name)}.querySelector(".state span").textContent`;
const tile = (number) => `document.querySelectorAll(".tile .value span")[${number}].textContent`;

async function shows_numbers(page) {
  await page.until("it is connected", `document.querySelector("#link").dataset.state === "live"`);
  await page.until("it has a first number", `${tile(0)} !== "–"`);
  const stop = load(`${server}/hello`);
  await page.until("requests are counted", `Number.parseFloat(${tile(0)}.replace(",", "")) > 1`);
  await page.until("there is a line", `document.querySelector(".chart .curve.kopen").getAttribute("d").length > 20`);
  const all = await page.value(`document.querySelector(".tile .note").textContent`);
  await page.until("numbers change", `document.querySelector(".tile .note").textContent !== ${JSON.stringify(all)}`);
  return stop;
}

async function drains(page, name) {
  check("it is up", (await page.value(stateOf(name))) === "up");
  await page.click(`${row(name)}.querySelector("[data-action=drain]")`);
  await page.until("a click drains", `${stateOf(name)} === "draining"`);
  const [group] = JSON.parse((await get(`${pageUrl}api/groups`)).text);
  check("the server has drained it", group.endpoints.find((one) => one.name === name).mode === "draining", group);
}

async function is_used_by_keyboard(page, name) {
  await page.go(pageUrl);
  await page.until("it is there again", `document.querySelector(".endpoints .who b")`);
  await page.press("Tab");
  check("the first is a way past the bar", (await page.value(`document.activeElement.className`)) === "skip");
  const focused = `document.activeElement.getAttribute("aria-label")`;
  for (let steps = 0; (await page.value(focused)) !== `Resume ${name}`; steps += 1) {
    check("Tab comes to the button", steps < 60);
    await page.press("Tab");
  }
  const ring = await page.value(`getComputedStyle(document.activeElement).outlineStyle`);
  check("what has the focus is seen", ring === "solid", ring);
  await page.press("Enter");
  await page.until("Enter resumes", `${stateOf(name)} === "up"`);
  check("the focus stays", (await page.value(focused)) === `Drain ${name}`);
  await page.press("Enter");
  await page.until("Enter drains", `${stateOf(name)} === "draining"`);
  await page.press("Enter");
  await page.until("and resumes", `${stateOf(name)} === "up"`);
}

async function weighs(page, name) {
  const input = `${row(name)}.querySelector("input")`;
  await page.value(`${input}.focus(), ${input}.select()`);
  await page.type("7");
  await page.press("Enter");
  await page.until("it is said", `document.querySelector(".toast")?.textContent.includes("has the weight 7")`);
  const [group] = JSON.parse((await get(`${pageUrl}api/groups`)).text);
  check("the server knows", group.endpoints.find((one) => one.name === name).weight === 7, group);
}

async function shows_what_fails(page, name) {
  check("the upstream is gone", (await get(`${server}/kill`)).status === 200);
  const took = await page.until("it is down", `${stateOf(name)} === "down"`);
  console.log(`down after ${took} ms`);
  check("the reason is told", (await page.value(`${row(name)}.querySelector("small").textContent`)).length > 5);
  check("nobody is there", (await get(`${server}/gone`)).status === 502);
  await page.until("the failure is told", `[...document.querySelectorAll(".failures code")].some((one) => one.textContent === "connect")`);
  await page.click(`document.querySelector("[data-side=downstream]")`);
  await page.until("others are left out", `![...document.querySelectorAll(".failures code")].some((one) => one.textContent === "connect")`);
}

async function suits_everybody(page) {
  await page.size(360, 780);
  await new Promise((done) => setTimeout(done, 1500));
  const wide = await page.value(`({ all: document.documentElement.scrollWidth, room: innerWidth })`);
  check("a phone need not be scrolled sideways", wide.all <= 360 && wide.room === 360, wide);
  await page.size(1440, 900);

  const brightness = `getComputedStyle(document.documentElement).backgroundColor.match(/[\\d.]+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0)`;
  await page.media({ "prefers-color-scheme": "dark", "prefers-reduced-motion": "reduce" });
  check("it is dark where that is wanted", (await page.value(brightness)) < 150);
  check("nothing moves", (await page.value(`getComputedStyle(document.querySelector("#link i")).animationName`)) === "none");
  await page.click(`document.querySelector("#menu-button")`);
  await page.until("the menu opens", `document.querySelector("#menu").matches(":popover-open")`);
  await page.click(`document.querySelector("[name=theme][value=light] + span")`);
  check("it is light where that is said", (await page.value(brightness)) > 600);
  await page.press("Escape");
  await page.until("Escape closes the menu", `!document.querySelector("#menu").matches(":popover-open")`);

  const nameless = await page.value(`[...document.querySelectorAll("button, input, select")].filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.length)).length`);
  check("everything has a name", nameless === 0, nameless);
  check("tables say what they are", await page.value(`[...document.querySelectorAll("table")].every((table) => table.caption?.textContent && [...table.querySelectorAll("th")].every((th) => th.scope))`));
}

/** Text and what is behind it are told apart by people who see little (WCAG 2.2, 1.4.3). */
async function is_legible(page) {
  const faintest = `(() => {
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (color) => {
      paint.fillStyle = color;
      paint.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const card = light(getComputedStyle(document.querySelector(".card")).backgroundColor);
    const texts = [...document.querySelectorAll(".tick, .zero, .note, .sum, thead th, .who small, .state, .legend li")].filter((one) => one.textContent.trim());
    const ratios = texts.map((one) => {
      const style = getComputedStyle(one);
      const ink = light(one.matches(".tick") ? style.fill : style.color);
      return (Math.max(ink, card) + 0.05) / (Math.min(ink, card) + 0.05);
    });
    return Math.min(...ratios);
  })()`;
  for (const theme of ["light", "dark"]) {
    await page.value(`document.documentElement.dataset.theme = "${theme}"`);
    const ratio = await page.value(faintest);
    check(`all can be read when it is ${theme}`, ratio >= 4.5, ratio);
  }
  await page.value(`document.documentElement.dataset.theme = "light"`);
}

async function tells_of_earlier_by_keyboard(page) {
  await page.value(`document.querySelector(".plot").focus()`);
  await page.press("ArrowLeft");
  await page.until("it is told aloud", `/Requests at .*2xx/.test(document.querySelector("#told").textContent)`);
  await page.press("Escape");
  check("Escape takes it away", await page.value(`[...document.querySelectorAll(".tip")].every((tip) => tip.hidden)`));
}

async function pauses(page) {
  await page.click(`document.querySelector("#pause")`);
  check("it says so", (await page.value(`document.querySelector("#link-text").textContent`)) === "Paused");
  const then = await page.value(`document.querySelector("#updated").textContent`);
  await new Promise((done) => setTimeout(done, 2500));
  check("nothing changes", (await page.value(`document.querySelector("#updated").textContent`)) === then);
  await page.click(`document.querySelector("#pause")`);
  await page.until("it goes on", `document.querySelector("#updated").textContent !== ${JSON.stringify(then)}`);
}

function kept_to_itself(page) {
  const origin = new URL(pageUrl).origin;
  const elsewhere = page.urls.filter((url) => new URL(url).origin !== origin && !url.startsWith("data:"));
  check("nobody else is asked", elsewhere.length === 0, elsewhere);
  const visits = page.urls.filter((url) => url === pageUrl).length;
  const bytes = page.bytes.get(pageUrl) / visits;
  check("the page is small", bytes > 10_000 && bytes <= 100 * 1024, bytes);
  check("nothing went wrong", page.errors.length === 0, page.errors);
  console.log(`${bytes} bytes`);
}

async function asks_for_the_token(browser) {
  const page = await browser.open(1000, 700);
  await page.go(guardedUrl);
  await page.until("it asks", `document.querySelector("#token-dialog")?.open`);
  check("it shows nothing", (await page.value(tile(0))) === "–");
  for (const times of [1, 2]) await page.press("Escape");
  await page.until("nobody gets around it", `document.querySelector("#token-dialog").open`);
  await page.value(`document.querySelector("#token").focus()`);
  await page.type("“sesame”");
  await page.press("Enter");
  check("what no field can carry is not sent", await page.value(`document.querySelector("#token-dialog").open && !document.querySelector("#token").validity.valid && sessionStorage.length === 0`));
  await page.value(`document.querySelector("#token").value = ""`);
  await page.type("wrong");
  await page.press("Enter");
  await page.until("it asks again", `document.querySelector("#token-why").dataset.state === "bad" && document.querySelector("#token-dialog").open`);
  await page.type(token);
  await page.press("Enter");
  await page.until("it shows numbers", `document.querySelector("#link").dataset.state === "live"`);
  await page.go(guardedUrl);
  await page.until("the token is kept for the tab", `document.querySelector("#link")?.dataset.state === "live"`);
  check("and nowhere else", await page.value(`localStorage.length === 0 && document.cookie === "" && !location.href.includes("sesame")`));
  await is_lost(page);
}

/** A page whose listener goes away says so, and that its numbers are old. */
async function is_lost(page) {
  await get(`${server}/close-admin`);
  await page.until("it says that it is lost", `document.querySelector("#link").dataset.state === "lost"`);
  check("numbers of the past look so", (await page.value(`Number(getComputedStyle(document.querySelector("main")).opacity)`)) < 1);
}

// Bounded in time, whatever happens; Chromium ends with its pipes.
setTimeout(() => {
  console.log("it takes too long");
  process.exit(1);
}, 120_000);

(async () => {
  const browser = new Browser(chromium, folder);
  try {
    const page = await browser.open(1440, 900);
    await page.go(pageUrl);
    const stop = await shows_numbers(page);
    const names = await page.value(`[...document.querySelectorAll(".endpoints .who b")].map((b) => b.textContent)`);
    check("both endpoints are shown", names.length === 2, names);
    await drains(page, names[0]);
    await is_used_by_keyboard(page, names[0]);
    await weighs(page, names[0]);
    await shows_what_fails(page, names[1]);
    await suits_everybody(page);
    await is_legible(page);
    await tells_of_earlier_by_keyboard(page);
    await pauses(page);
    await stop();
    kept_to_itself(page);
    await asks_for_the_token(browser);
    console.log("all is well");
  } catch (error) {
    console.log(error.stack);
    process.exitCode = 1;
  }
  await browser.close();
  // Whoever still asks for something does not keep this running.
  process.exit();
})();
