// Pictures of the live page: node pictures.js CHROMIUM FOLDER PAGE SERVER PICTURES SECONDS
const fs = require("fs");
const http = require("http");
const path = require("path");
const net = require("net");
const { Browser } = require("./devtools.js");
const { withPalette } = require("./png.js");

const [chromium, folder, pageUrl, server, pictures, seconds] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const ends = Date.now() + Number(seconds) * 1000 + 60_000;
let isOver = false;

function get(url) {
  return new Promise((done) => {
    http.get(server + url, { agent }, (answer) => answer.resume().on("end", done)).on("error", done);
  });
}

/** One who asks, with pauses that follow a wave. */
async function visitor(number) {
  const places = ["/shop/item", "/shop/cart", "/static/app.js", "/search?q=x", "/shop/list", "/static/logo.svg", "/"];
  for (let turn = number; !isOver && Date.now() < ends; turn += 1) {
    await get(turn % 3989 === 1003 ? "/old" : places[(turn * 5 + number) % places.length]);
    const wave = 1 + 0.45 * Math.sin(Date.now() / 15_000) + 0.2 * Math.sin(Date.now() / 4_700);
    await pause(30 * wave + Math.random() * 12);
  }
}

/** One who speaks no HTTP, now and then. */
async function stranger() {
  const { hostname, port } = new URL(server);
  for (let turn = 0; !isOver; turn += 1) {
    const head = ["GET / HTTP/1.1\r\nbad name: x\r\n\r\n", "HELO there\r\n\r\n"][turn % 2];
    net.connect(Number(port), hostname).on("error", () => {}).end(head).resume();
    for (let wait = 0; wait < 97 && !isOver; wait += 1) await pause(1000);
  }
}

(async () => {
  const visitors = Array.from({ length: 24 }, (_, number) => visitor(number));
  visitors.push(stranger());
  const browser = new Browser(chromium, folder);
  try {
    await pause(Number(seconds) * 1000);
    const page = await browser.open(1440, 900);
    const take = async (name, most) => fs.writeFileSync(path.join(pictures, `live-page-${name}.png`), withPalette(await page.picture(most)));
    await page.media({ "prefers-color-scheme": "light" });
    await page.go(pageUrl);
    await page.until("it is connected", `document.querySelector("#link").dataset.state === "live"`);
    await pause(2500);
    await take("light");
    await page.media({ "prefers-color-scheme": "dark" });
    const place = await page.value(`(() => { const r = document.querySelectorAll(".plot")[1].getBoundingClientRect(); return { x: r.x + r.width * 0.62, y: r.y + 60 }; })()`);
    await page.move(place.x, place.y);
    await take("dark");
    await page.move(5, 5);
    await page.media({ "prefers-color-scheme": "light" });
    await page.size(390, 844);
    await pause(1500);
    await take("phone", 1900);
  } finally {
    isOver = true;
    await Promise.all(visitors);
    agent.destroy();
    await browser.close();
  }
})();
