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

await deed("ask", "analyst", async (page, must) => {
  await page.goto("/console/usage");
  await drawn(page);
  must(await page.locator("figure canvas").count() > 0, "the first page has no chart");
  await page.getByRole("link", { name: "Access" }).click();
  await page.waitForURL(/board=access/);
  await page.getByLabel("Ask for").selectOption("activations");
  await page.waitForURL(/metric=activations/);
  await page.getByLabel("Split by").selectOption("product");
  await page.waitForURL(/by=product/);
  await drawn(page);
  must(await page.locator("figure canvas").count() === 1, "the answer has no chart");
  await page.getByText("The numbers").click();
  const cells = await page.locator("#answer-t td").allTextContents();
  must(cells.length > 3 && cells.every((c) => /^([\d,]+|hidden|–)$/.test(c)), "the table behind the chart is not one of numbers");
  const link = await page.getByRole("link", { name: "Link to this question" }).getAttribute("href");
  must(/^\/console\/usage\?by=day%2Cproduct&from=[\d-]+&metric=activations$/.test(link), "the link does not hold the question");
  const csv = await saved(page, () => page.getByRole("link", { name: "CSV" }).click());
  must(csv.name === "lethe-activations.csv" && csv.text.includes("product"), "the CSV is not the answer");
  await page.goto(link);
  must(await page.locator("#answer-t td").count() === cells.length, "the link does not ask the same");
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
  await page.goto("/console/usage?metric=viewers");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "dark", exact: true }).click();
  await page.waitForURL(/metric=viewers/);
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
  await page.goto("/console/usage?metric=activations&by=product");
  must(await page.locator(".bars tbody tr").count() > 1, "there are no bars");
  await page.getByLabel("Metric").selectOption("viewers");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/metric=viewers/);
  must((await page.getByRole("heading", { level: 2 }).first().textContent()).startsWith("Viewers"), "the question is not asked");
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
