// Chromium by the DevTools protocol, over a pair of pipes: messages of JSON, each with a NUL behind it.
const { spawn } = require("child_process");

class Browser {
  constructor(program, folder) {
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--no-proxy-server", "--hide-scrollbars", "--force-color-profile=srgb"];
    this.process = spawn(program, [...flags, "--remote-debugging-pipe", `--user-data-dir=${folder}`, "about:blank"],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { ...process.env, HOME: folder } });
    this.input = this.process.stdio[3];
    this.waiting = new Map();
    this.number = 0;
    this.listeners = [];
    let rest = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (text) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop();
      messages.forEach((message) => this.take(JSON.parse(message)));
    });
  }

  take(message) {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return this.listeners.forEach((listener) => listener(message));
    this.waiting.delete(message.id);
    message.error ? waiting.fail(new Error(JSON.stringify(message.error))) : waiting.done(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.number;
    this.input.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((done, fail) => this.waiting.set(id, { done, fail }));
  }

  /** A tab of this size. */
  async open(width, height) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId);
    await page.size(width, height);
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.send(`${domain}.enable`);
    return page;
  }

  close() {
    const isOver = new Promise((done) => this.process.on("exit", done));
    this.send("Browser.close").catch(() => {});
    return isOver;
  }
}

class Page {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    /** URLs that were asked for, bytes that have come of each of them, and what went wrong. */
    this.urls = [];
    this.bytes = new Map();
    this.errors = [];
    const asked = new Map();
    browser.listeners.push(({ sessionId, method, params }) => {
      if (sessionId !== session) return;
      if (method === "Network.requestWillBeSent") {
        this.urls.push(params.request.url);
        asked.set(params.requestId, params.request.url);
      }
      if (method === "Network.dataReceived") {
        const url = asked.get(params.requestId);
        this.bytes.set(url, (this.bytes.get(url) || 0) + params.dataLength);
      }
      if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.exception?.description || params.exceptionDetails.text);
      if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) this.errors.push(JSON.stringify(params.args));
      if (method === "Log.entryAdded" && params.entry.level === "error") this.errors.push(`${params.entry.text} ${params.entry.url || ""}`);
    });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  size(width, height, scale = 1) {
    return this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: width < 600 });
  }

  media(features) {
    return this.send("Emulation.setEmulatedMedia", { features: Object.entries(features).map(([name, value]) => ({ name, value })) });
  }

  go(url) {
    return this.send("Page.navigate", { url });
  }

  /** What an expression is worth in the page. */
  async value(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description || exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression is true; gives back how long that took, in milliseconds. */
  async until(what, expression, patience = 15_000) {
    const start = Date.now();
    // Before the document is there, much of it can't be asked for.
    while (!(await this.value(`(() => { try { return Boolean(${expression}); } catch { return false; } })()`))) {
      if (Date.now() - start > patience) throw new Error(`${what}: not within ${patience} ms`);
      await new Promise((done) => setTimeout(done, 25));
    }
    return Date.now() - start;
  }

  /** Presses and lets go of a mouse button in the middle of an element. */
  async click(expression) {
    const { x, y } = await this.value(`(() => { const e = ${expression}; e.scrollIntoView({ block: "center" }); const r = e.getBoundingClientRect(); return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    }
  }

  move(x, y) {
    return this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
  }

  async press(key, code = key) {
    const number = { Tab: 9, Enter: 13, Escape: 27, ArrowLeft: 37 }[key];
    const text = key === "Enter" ? "\r" : undefined;
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, text, windowsVirtualKeyCode: number });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, windowsVirtualKeyCode: number });
  }

  type(text) {
    return this.send("Input.insertText", { text });
  }

  /** A picture of all of the page, or of its first so many pixels, as PNG. */
  async picture(most = Infinity) {
    const { width, scale, all } = await this.value("({ width: innerWidth, scale: devicePixelRatio, all: Math.ceil(document.documentElement.scrollHeight) })");
    await this.size(width, Math.min(all, most), scale);
    await new Promise((done) => setTimeout(done, 1200));
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data, "base64");
  }
}

module.exports = { Browser };
