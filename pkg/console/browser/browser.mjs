// What the tests and the screenshots have in common: a Chromium, somebody who
// signs in, and an ear for everything that a page must not do.
import { chromium } from "playwright-core";

// input is what the caller wrote to standard input: {base, credentials: {role:
// text}, …}. Nothing of it is ever printed.
export async function input() {
  let text = "";
  for await (const part of process.stdin) text += part;
  return JSON.parse(text);
}

export async function launch(executablePath) {
  return chromium.launch({ executablePath, args: ["--disable-gpu", "--font-render-hinting=none"] });
}

// visitor opens a browser of its own, and writes what goes wrong in it to
// problems: errors on the console, violations of the Content-Security-Policy,
// requests to any other origin, failed requests.
export async function visitor(browser, base, problems, options = {}) {
  const context = await browser.newContext({ baseURL: base, locale: "en-US", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  const origin = new URL(base).origin;
  const tell = (what) => problems.push(`${new URL(page.url() === "about:blank" ? base : page.url()).pathname}: ${what}`);
  // What a response with such a status is, the last of these says.
  const told = (m) => m.text().startsWith("Failed to load resource: the server responded");
  page.on("console", (m) => { if ((m.type() === "error" || m.type() === "warning") && !told(m)) tell(`console: ${m.text()}`); });
  page.on("pageerror", (e) => tell(`error: ${e.message}`));
  page.on("request", (r) => { if (new URL(r.url()).origin !== origin) tell(`a request to another origin: ${new URL(r.url()).origin}`); });
  page.on("response", (r) => { if (r.status() >= 400 && !options.expect?.includes(r.status())) tell(`status ${r.status()} of ${new URL(r.url()).pathname}`); });
  await context.exposeBinding("letheViolation", (_, what) => tell(`policy violated: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => window.letheViolation(`${e.violatedDirective} ${e.blockedURI}`));
  });
  return { context, page, tell };
}

export async function signIn(page, credential, to = "/console/") {
  await page.goto(to);
  await page.getByLabel("Your credential").fill(credential);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((u) => !/\/(signin|over)$/.test(u.pathname));
}

// drawn waits until the page's charts are there.
export async function drawn(page) {
  await page.waitForLoadState("load");
  await page.waitForFunction(() => [...document.querySelectorAll("figure[data-chart]")].every((f) => f.querySelector("canvas")));
  await page.evaluate(() => document.fonts.ready);
}
