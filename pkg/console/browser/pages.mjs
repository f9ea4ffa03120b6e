// Every page of every role, as a person sees it: in light and dark, wide and
// narrow, with axe (WCAG 2.2 AA and good practice) and an ear for errors.
// Writes what is wrong as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { drawn, input, launch, signIn, visitor } from "./browser.mjs";

const { base, chromium, credentials, pages } = await input();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const everything = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const wide = { width: 1280, height: 900 };
const narrow = { width: 380, height: 800 };
// What is dark differs in its colors alone.
const looks = [
  { name: "light", colorScheme: "light", viewport: wide, rules: everything },
  { name: "dark", colorScheme: "dark", viewport: wide, rules: ["color-contrast"] },
  { name: "narrow", colorScheme: "light", viewport: narrow, rules: everything },
  { name: "narrow, dark", colorScheme: "dark", viewport: narrow, rules: ["color-contrast"] },
];

// inEveryLook says what is wrong with the page that is shown.
async function inEveryLook(page, tell) {
  let looked = 0;
  for (const look of looks) {
    await page.emulateMedia({ colorScheme: look.colorScheme });
    await page.setViewportSize(look.viewport);
    await check(page, (what) => tell(`${look.name}: ${what}`), look.rules);
    looked++;
  }
  return looked;
}

async function check(page, tell, rules) {
  await drawn(page);
  // What is folded is looked at too.
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  if (!(await page.evaluate("!!window.axe"))) await page.evaluate(axe);
  const { violations } = await page.evaluate((runOnly) => window.axe.run(document, { runOnly }), rules);
  for (const v of violations) tell(`axe: ${v.id}: ${v.help} (${v.nodes.length}): ${v.nodes[0].target} ${v.nodes[0].failureSummary?.split("\n").slice(1, 2).join("")}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) tell(`it scrolls sideways by ${wide} pixels`);
}

const browser = await launch(chromium);
let looked = 0;
const out = await visitor(browser, base, problems, { viewport: wide });
await out.page.goto("/console/signin");
await inEveryLook(out.page, out.tell);
await out.context.close();
for (const [role, paths] of Object.entries(pages)) {
  const v = await visitor(browser, base, problems, { viewport: wide });
  await signIn(v.page, credentials[role]);
  for (const path of paths) {
    await v.page.goto(path);
    looked += await inEveryLook(v.page, v.tell);
  }
  await v.context.close();
}

// The controls: each fault is found.
const controls = {
  "a field without a label": (page) => page.evaluate(() => document.querySelector("label").remove()),
  "gray on gray": (page) => page.evaluate(() => { document.querySelector("h1").style.color = "#ddd"; }),
  "an inline script": (page) => page.evaluate(() => { const s = document.createElement("script"); try { s.text = "1"; } catch { } document.body.append(s); }),
  "an inline style": (page) => page.evaluate(() => { document.body.insertAdjacentElement("beforeend", document.createElement("p")).setAttribute("style", "top:0"); }),
  "another origin": (page) => page.evaluate(() => fetch("https://elsewhere.example.org/").catch(() => {})),
  "an error": (page) => page.evaluate(() => { setTimeout(() => { throw new Error("on purpose"); }); }),
  "too wide": (page) => page.evaluate(() => { const p = document.createElement("div"); p.style.width = "3000px"; p.textContent = "wide"; document.querySelector("main").append(p); }),
};
const missed = [];
for (const [name, spoil] of Object.entries(controls)) {
  const found = [];
  const v = await visitor(browser, base, found, { viewport: wide });
  await v.page.goto("/console/signin");
  await spoil(v.page);
  await check(v.page, v.tell, everything);
  if (found.length === 0) missed.push(name);
  await v.context.close();
}
await browser.close();
console.log(JSON.stringify({ looked, problems, missed }));
