// The pictures of docs/img. Writes nothing else.
import { mkdirSync } from "node:fs";
import { drawn, input, launch, signIn, visitor } from "./browser.mjs";

const { base, chromium, credentials, into } = await input();
mkdirSync(into, { recursive: true });
const browser = await launch(chromium);
const problems = [];
const wide = { width: 1280, height: 860 };
const pictures = [
  ["home", "officer", "/console/", wide, "light"],
  ["usage", "analyst", "/console/usage?metric=requests&by=day,path&top=5&where=status%3D200", wide, "light"],
  ["usage-access", "analyst", "/console/usage?board=access", wide, "light"],
  ["usage-activations", "analyst", "/console/usage?board=activations", wide, "light"],
  ["usage-cells", "analyst", "/console/usage?metric=requests&by=&where=path%3D%2Fpricing&explain=1", wide, "dark"],
  ["retention", "officer", "/console/retention", wide, "light"],
  ["catalog", "officer", "/console/catalog", wide, "light"],
  ["flow", "operator", "/console/flow", wide, "dark"],
  ["audit", "officer", "/console/audit", wide, "dark"],
  ["narrow", "analyst", "/console/usage?board=access", { width: 380, height: 800 }, "dark"],
];
for (const [name, role, path, viewport, colorScheme] of pictures) {
  const v = await visitor(browser, base, problems, { viewport, colorScheme });
  await signIn(v.page, credentials[role]);
  await v.page.goto(path);
  if (name === "retention") {
    await v.page.getByRole("button", { name: "Look again" }).click();
    await v.page.getByRole("status").waitFor();
    await v.page.goto(path);
  }
  await drawn(v.page);
  if (name === "flow") await v.page.locator("#live-chart canvas").waitFor();
  // A question and its answer belong together.
  await v.page.screenshot({ path: `${into}/console-${name}.png`, fullPage: name.startsWith("usage") });
  await v.context.close();
}
await browser.close();
console.log(JSON.stringify({ problems }));
