// What people do with the console, one after the other. Writes what went wrong
// as JSON.
import { readFileSync } from "node:fs";
import { drawn, input, launch, signIn, visitor } from "./browser.mjs";

const { base, chromium, credentials } = await input();
const problems = [];
const browser = await launch(chromium);
const wide = { viewport: { width: 1280, height: 900 } };

// deed lets a role do something in a browser of its own.
async function deed(name, role, f, options = {}) {
  const found = [];
  const v = await visitor(browser, base, found, { ...wide, ...options });
  const must = (ok, what) => { if (!ok) found.push(what); };
  try {
    if (role) await signIn(v.page, credentials[role]);
    await f(v.page, must, v.context);
  } catch (e) {
    found.push(e.message.split("\n")[0]);
  }
  problems.push(...found.map((p) => `${name}: ${p}`));
  await v.context.close();
}

const saved = async (page, click) => {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
};

await deed("sign in with what is no credential", null, async (page, must) => {
  await page.goto("/console/");
  await page.getByLabel("Your credential").fill("lethe_officer_aaaaaaaaaa_nothing");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  must((await page.getByRole("alert").textContent()).includes("not accepted"), "it does not say that it is not accepted");
  must((await page.getByLabel("Your credential").inputValue()) === "", "the page holds what was entered");
}, { expect: [401] });

// chosen waits for the page that a choice leads to.
const chosen = async (page, label, value, where) => {
  await page.getByLabel(label, { exact: true }).selectOption(value);
  await page.waitForURL(where);
  await drawn(page);
};
const names = (page) => page.locator("#answer-t tbody th").allTextContents();

await deed("ask", "analyst", async (page, must) => {
  await page.goto("/console/usage");
  await drawn(page);
  must(await page.locator("figure canvas").count() > 0, "the first page has no chart");
  await page.getByRole("link", { name: "Access", exact: true }).click();
  await page.waitForURL(/board=access/);
  await drawn(page);
  const tiles = await page.locator(".tile dd:not(.sub)").allTextContents();
  must(tiles.length === 4 && tiles.every((n) => /^[\d,.]+$/.test(n)), "the numbers of the first page for access are not there");
  await chosen(page, "Ask for", "requests", /metric=requests/);
  await chosen(page, "Split by", "status", /status/);
  must(await page.locator("figure canvas").count() === 1, "the answer has no chart");
  const marks = await page.locator(".legend i").evaluateAll((all) => all.map((i) => i.className));
  must(marks.length > 2 && marks.at(-1) === "k0" && marks.slice(0, -1).every((m) => m !== "k0"), "what the series do not tell is not drawn last, and muted");
  await page.getByText("The numbers").click();
  const cells = await page.locator("#answer-t td").allTextContents();
  must(cells.length > 3 && cells.every((c) => /^([\d,]+|hidden|–)$/.test(c)), "the table behind the chart is not one of numbers");
  must(await page.locator("#answer-t td:not([data-v])").count() > 0, "every cell has a number, and there are days without one");
  must((await page.locator("#answer-t thead th").allTextContents()).at(-1) === "(other)", "what is not told is not the last column");
  const link = await page.getByRole("link", { name: "Link to this question" }).getAttribute("href");
  must(/^\/console\/usage\?by=day%2Cstatus&from=[\d-]+&metric=requests&to=[\d-]+$/.test(link), "the link does not hold the question");
  const csv = await saved(page, () => page.getByRole("link", { name: "CSV" }).click());
  must(csv.name === "lethe-requests.csv" && csv.text.startsWith("day,status,value,hidden"), "the CSV is not the answer");
  await page.goto(link);
  must(await page.locator("#answer-t td").count() === cells.length, "the link does not ask the same");
});

await deed("filter", "analyst", async (page, must) => {
  await page.goto("/console/usage?metric=requests&by=day");
  await chosen(page, "Filter by", "path", /pick=path/);
  await chosen(page, "path is", "path=/pricing", /where=path/);
  must(!page.url().includes("pick"), "the address holds what was not asked");
  await chosen(page, "Filter by", "status", /pick=status/);
  await chosen(page, "status is", "status=200", /where=status/);
  must((await page.locator(".chip > span").allTextContents()).join() === "path is /pricing,status is 200", "the filters are not shown");
  must(/^At least [\d,]+ and at most [\d,]+\.$/.test(await page.locator(".between").textContent()), "what may be asked for and is not told is not said");
  const both = await page.locator(".big").textContent();
  const csv = await saved(page, () => page.getByRole("link", { name: "CSV" }).click());
  must(csv.text.includes(`(total),${both.replaceAll(",", "")},`), "the CSV is of another question");
  await page.getByRole("link", { name: "remove the filter path is /pricing" }).click();
  await page.waitForURL((u) => !u.search.includes("path"));
  must((await page.locator(".chip > span").allTextContents()).join() === "status is 200", "more than one filter was removed");
  must(await page.locator(".big").textContent() !== both, "the number is that of the filter that was removed");
});

await deed("keep the largest, and follow one", "analyst", async (page, must) => {
  await page.goto("/console/usage?metric=requests&by=path");
  const all = (await names(page)).length;
  await chosen(page, "Values", "5", /top=5/);
  const five = await names(page);
  must(five.length === 6 && all > 6 && five.at(-1) === "(other)", "the rows are not the five largest and the others");
  must((await page.locator("tr.other").count()) === 1, "the others are not drawn as such");
  await page.getByRole("link", { name: five[0], exact: true }).click();
  await page.waitForURL(/by=day/);
  must(await page.locator(".chip").count() === 1 && await page.locator("#answer-t tbody tr").count() > 1, "a value does not lead to its days");
  await chosen(page, "Metric", "visitors", /metric=visitors/);
  must(!page.url().includes("where"), "another metric keeps the filters");
  await chosen(page, "Over time", "trailing_7", /trailing_7/);
  must(/in the 7 days up to/.test(await page.locator(".total").textContent()), "it is not said of which days the number is");
});

await deed("see the cells behind a number", "analyst", async (page, must) => {
  await page.goto("/console/usage?metric=requests&by=&where=path%3D/pricing");
  must(await page.locator("#cells").count() === 0, "cells are listed that nobody asked for");
  await page.getByText("How this number came to be").click();
  await page.getByRole("link", { name: "List the cells behind it" }).click();
  await page.waitForURL(/explain=1/);
  const told = await page.locator("#cells tbody tr").evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.textContent)));
  must(told.length > 1 && told.every((r) => r.includes("at least 11") && r.includes("/pricing")), "the cells are not those behind the number");
  const sum = told.reduce((n, r) => n + Number(r.at(-3).replaceAll(",", "")), 0);
  must(sum.toLocaleString("en-US") === await page.locator(".big").textContent(), "the cells are not what the number is made of");
  const csv = await saved(page, () => page.getByRole("link", { name: "These cells as CSV" }).click());
  must(csv.text.trim().split("\n").length === told.length + 1, "the file does not hold the cells");
});

await deed("watch the flow", "operator", async (page, must) => {
  await page.goto("/console/flow");
  const at = page.locator("[data-live-at]");
  const then = await at.textContent();
  await page.waitForFunction((was) => document.querySelector("[data-live-at]").textContent !== was, then);
  await page.locator("#live-chart canvas").waitFor();
  must((await page.locator(".live").getAttribute("class")).includes("on"), "it does not say that it is live");
});

await deed("run retention", "operator", async (page, must) => {
  await page.goto("/console/retention");
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("status").waitFor();
  must((await page.getByRole("status").textContent()).includes("Retention ran"), "it does not say that it ran");
});

await deed("take evidence", "officer", async (page, must) => {
  await page.goto("/console/retention");
  const bundle = await saved(page, () => page.getByRole("button", { name: "Bundle (JSON)" }).click());
  must(bundle.name === "lethe-evidence.json" && JSON.parse(bundle.text), "the bundle is not one");
  const report = await saved(page, () => page.getByRole("button", { name: "Report (HTML)" }).click());
  must(report.name === "lethe-evidence.html" && report.text.includes("<html"), "the report is not a page");
});

await deed("take the record of processing", "officer", async (page, must) => {
  await page.goto("/console/catalog");
  const markdown = await saved(page, () => page.getByRole("button", { name: "Markdown" }).click());
  must(markdown.name === "record-of-processing-controller.md" && markdown.text.includes("Art. 30(1)") && !markdown.text.includes("Art. 30(2)"), "it is not the controller's record");
  await page.getByLabel("Form").selectOption("processor");
  const csv = await saved(page, () => page.getByRole("button", { name: "CSV" }).click());
  must(csv.name === "record-of-processing-processor.csv" && csv.text.startsWith("processor (a),"), "it is not the processor's record");
});

await deed("read the audit log", "officer", async (page, must) => {
  await page.goto("/console/audit");
  await page.getByRole("button", { name: "Check the log" }).click();
  await page.getByText("Every entry agrees with what was signed").waitFor();
  const first = await page.locator(".entries tbody tr").first().textContent();
  await page.getByRole("link", { name: "Older" }).click();
  await page.waitForURL(/before=/);
  must(await page.locator(".entries tbody tr").first().textContent() !== first, "the older entries are the newest");
  await page.getByLabel("Kind").selectOption("access");
  await page.waitForURL(/kind=access/);
  const kinds = new Set(await page.locator(".entries tbody td:nth-child(3)").allTextContents());
  must(kinds.size === 1 && kinds.has("access"), "the filter lets others through");
});

await deed("choose a look", "analyst", async (page, must) => {
  await page.goto("/console/usage?metric=requests&by=&where=path%3D/pricing");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "dark", exact: true }).click();
  await page.waitForURL(/where=path%3D%2Fpricing/);
  must(await ground() !== light, "dark looks as light does");
  await page.reload();
  must(await ground() !== light, "the look is not kept");
}, { colorScheme: "light" });

await deed("go by keyboard", "officer", async (page, must) => {
  await page.goto("/console/retention");
  await page.keyboard.press("Tab");
  must(await page.evaluate(() => document.activeElement.className) === "skip", "the first stop is not the way past the navigation");
  await page.keyboard.press("Enter");
  must(await page.evaluate(() => document.activeElement.id) === "main", "the way past the navigation leads nowhere");
  const seen = new Set();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const el = document.activeElement;
      if (el === document.body) return { name: "", ring: true };
      return { name: (el.textContent || el.id).trim().slice(0, 20), ring: getComputedStyle(el).outlineStyle !== "none" };
    });
    if (at.name && !at.ring) must(false, `no ring shows where one is: ${at.name}`);
    seen.add(at.name);
  }
  for (const name of ["Run now", "Look again", "Bundle (JSON)"]) must(seen.has(name), `${name} is not reached`);
});

await deed("do without JavaScript", "analyst", async (page, must) => {
  const heading = () => page.getByRole("heading", { level: 2 }).first().textContent();
  await page.goto("/console/usage?metric=activations&by=product");
  must(await page.locator(".bars tbody tr").count() > 1, "there are no bars");
  await page.getByLabel("Metric").selectOption("visitors");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/metric=visitors/);
  must((await heading()).startsWith("Visitors"), "the question is not asked");
  await page.goto("/console/usage?metric=requests&by=path");
  await page.getByLabel("Values").selectOption("10");
  await page.getByLabel("and by").selectOption("status");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/by=path%2Cstatus&from=[\d-]+&metric=requests&to=[\d-]+&top=10$/);
  must(await heading() === "Requests by path and status, top 10", "the question is another");
  await page.getByLabel("Filter by").selectOption("browser");
  await page.getByRole("button", { name: "Choose a value" }).click();
  await page.getByLabel("browser is").selectOption("browser=curl");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/where=browser%3Dcurl$/);
  await page.getByRole("link", { name: "7 days" }).click();
  await page.waitForURL(/where=browser%3Dcurl$/);
  must(await page.locator(".chip").count() === 1, "the filter is not kept");
}, { javaScriptEnabled: false });

await deed("sign out", "officer", async (page, must) => {
  await page.goto("/console/audit");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/signin/);
  await page.goBack();
  must(await page.getByLabel("Your credential").count() === 1, "the page before is shown again");
});

await browser.close();
console.log(JSON.stringify({ problems }));
