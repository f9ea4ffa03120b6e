// Small comforts. Every page works without them.
"use strict";
(() => {
  document.documentElement.classList.add("js");

  // A question is asked again when a part of it is chosen.
  for (const form of document.querySelectorAll("form[data-auto]")) {
    form.addEventListener("change", (e) => {
      // While a year is typed, it is one of long ago.
      if (e.target.type === "date" && e.target.value !== "" && e.target.value < "1970") return;
      // Another metric has other dimensions, values and days.
      if (e.target.id === "metric") form.querySelectorAll("[name]:not(#metric)").forEach((el) => { el.disabled = true; });
      form.requestSubmit();
    });
  }

  for (const link of document.querySelectorAll("a[data-copy]")) {
    link.addEventListener("click", (e) => {
      if (!navigator.clipboard) return;
      e.preventDefault();
      navigator.clipboard.writeText(link.href).then(() => { link.textContent = "Copied"; }, () => { location.href = link.href; });
    });
  }

  // Numbers that change while one looks. Whoever looks away is not shown them.
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const figure = document.getElementById("live-chart");
  const names = figure ? figure.dataset.series.split(",") : [];
  const every = Number(live.dataset.every) * 1000;
  const kept = Math.ceil((15 * 60 * 1000) / every);
  const data = [[], ...names.map(() => [])];
  let drawn, waiting;

  async function look() {
    clearTimeout(waiting);
    if (document.hidden) return;
    try {
      const resp = await fetch(live.dataset.live, { headers: { "Lethe-Live": "1" }, redirect: "error", signal: AbortSignal.timeout(20000) });
      if (resp.status === 401) { location.reload(); return; }
      if (!resp.ok) throw new Error("not answered");
      show(await resp.json());
      live.className = "live on";
    } catch {
      live.className = "live off";
    }
    waiting = setTimeout(look, every);
  }

  function show(now) {
    document.querySelector("[data-live-at]").textContent = now.at;
    for (const el of document.querySelectorAll("[data-live-value]")) {
      const text = now.values[el.dataset.liveValue];
      if (text !== undefined && el.textContent !== text) el.textContent = text;
    }
    if (!figure) return;
    data[0].push(Math.round(Date.now() / 1000));
    names.forEach((name, i) => data[i + 1].push(now.points[name] ?? null));
    if (data[0].length > kept) data.forEach((s) => s.shift());
    if (data[0].length < 3) return;
    if (drawn) drawn.set(data.map((s) => s.slice()));
    else drawn = window.letheChart(figure, names, data.map((s) => s.slice()), { fine: true, unit: figure.dataset.unit });
  }

  document.addEventListener("visibilitychange", look);
  look();
})();
