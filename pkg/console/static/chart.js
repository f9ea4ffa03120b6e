// Charts, drawn with uPlot from the tables they stand before. A table says with
// data-series which of its columns are lines, with data-muted which of these
// holds what the others do not tell, with data-x when a row is (Unix seconds)
// and with data-v what a cell's number is; a cell without one is a gap, and a
// row without a moment is in no chart.
"use strict";
(() => {
  const look = getComputedStyle(document.documentElement);
  const color = (name) => look.getPropertyValue(name).trim();
  const mark = (i, muted) => (muted[i] ? 0 : (i % 8) + 1);
  const number = (v, digits = 1) => (v == null ? "–" : v.toLocaleString("en-US", { maximumFractionDigits: digits }));
  const pad = (n) => String(n).padStart(2, "0");
  const stamp = (t, fine) => {
    const d = new Date(t * 1000);
    const day = `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
    return fine ? `${day} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}` : day;
  };

  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const days = [1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * 86400);
  const moments = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].concat(days);
  const tick = (t, incr) => {
    const d = new Date(t * 1000);
    if (incr >= 86400 || (d.getUTCHours() === 0 && d.getUTCMinutes() === 0 && incr >= 60)) return `${months[d.getUTCMonth()]} ${d.getUTCDate()}`;
    const at = `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}`;
    return incr < 60 ? `${at}:${pad(d.getUTCSeconds())}` : at;
  };

  function legend(names, { unit, digits, muted }) {
    const box = document.createElement("div");
    box.className = "legend";
    box.setAttribute("aria-hidden", "true");
    const values = names.map((name, i) => {
      const item = document.createElement("span");
      const square = document.createElement("i");
      square.className = `k${mark(i, muted)}`;
      const text = document.createElement("span");
      item.append(square, text);
      box.append(item);
      return (v) => { text.textContent = v === undefined ? name : `${name} ${number(v, digits)}${unit ? " " + unit : ""}`; };
    });
    const when = document.createElement("span");
    box.append(when);
    return { box, show: (at, row) => { when.textContent = at; values.forEach((f, i) => f(row && row[i])); } };
  }

  // chart draws data ([xs, series…]) into a figure and returns how to draw it
  // with other data.
  function chart(figure, names, data, { kind = "line", unit = "", digits = 1, limits = [], muted = [], fine = false } = {}) {
    let plot;
    const words = legend(names, { unit, digits, muted });
    const colors = (i) => color(`--s${mark(i, muted)}`);
    // A number between two gaps has no line.
    const alone = (s) => s.flatMap((v, i) => (v != null && s[i - 1] == null && s[i + 1] == null ? [i] : []));
    const make = () => {
      const width = Math.max(figure.clientWidth - (figure.classList.contains("card") ? 48 : 0), 200);
      const axis = { stroke: color("--soft"), font: "12px system-ui, sans-serif", ticks: { show: false } };
      plot = new uPlot({
        width, height: width < 420 ? 200 : 240, padding: [10, 26, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
        scales: { x: { range: kind === "bars" ? (u, min, max) => { const gap = step(data[0]) * .6; return [min - gap, max + gap]; } : undefined }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 58, size: 34, gap: 8, incrs: fine ? moments : days, values: (u, xs, _, __, incr) => xs.map((x) => tick(x, incr)) },
          { ...axis, grid: { stroke: color("--line"), width: 1 }, size: 52, values: (u, vs) => vs.map((v) => number(v, digits)), space: 40 },
        ],
        series: [{}, ...names.map((name, i) => ({
          label: name, stroke: colors(i), width: kind === "bars" ? 0 : 2, dash: limits[i] ? [4, 5] : undefined,
          fill: kind === "bars" ? colors(i) : names.length - limits.filter(Boolean).length === 1 && !limits[i] ? colors(i) + "22" : undefined,
          points: kind === "bars" || limits[i] ? { show: false } : data[0].length < 40 ? { show: true, size: 5 } : { show: true, size: 5, filter: (u, at) => alone(u.data[at]) },
          paths: kind === "bars" ? uPlot.paths.bars({ size: [.66, 48], radius: .12 }) : undefined,
        }))],
        hooks: { setCursor: [(u) => {
          const i = u.cursor.idx;
          if (i == null) words.show("");
          else words.show(stamp(u.data[0][i], fine), u.data.slice(1).map((s) => s[i]));
        }] },
      }, data, figure);
      words.show("");
      plot.root.setAttribute("aria-hidden", "true");
    };
    const remake = () => { if (plot) plot.destroy(); make(); };
    figure.hidden = false;
    figure.append(words.box);
    make();
    let width = figure.clientWidth;
    new ResizeObserver(() => {
      if (figure.clientWidth !== width) { width = figure.clientWidth; requestAnimationFrame(remake); }
    }).observe(figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", remake);
    return { set: (more) => { data = more; plot.setData(more); } };
  }

  // step is the smallest distance between two moments.
  function step(xs) {
    let least = Infinity;
    for (let i = 1; i < xs.length; i++) least = Math.min(least, xs[i] - xs[i - 1]);
    return Number.isFinite(least) ? least : 86400;
  }

  function fromTable(figure) {
    const table = document.getElementById(figure.dataset.table);
    if (!table) return;
    const heads = [...table.tHead.rows[0].cells];
    const columns = heads.map((h, i) => i).filter((i) => heads[i].hasAttribute("data-series"));
    const rows = [...table.tBodies[0].rows].filter((r) => r.cells[0].dataset.x !== undefined);
    const value = (cell) => (cell.dataset.v === undefined ? null : Number(cell.dataset.v));
    const data = [rows.map((r) => Number(r.cells[0].dataset.x)), ...columns.map((c) => rows.map((r) => value(r.cells[c])))];
    chart(figure, columns.map((c) => heads[c].textContent.trim()), data, {
      kind: figure.dataset.chart, unit: figure.dataset.unit, digits: Number(figure.dataset.digits),
      muted: columns.map((c) => heads[c].hasAttribute("data-muted")),
      limits: columns.map((c) => heads[c].hasAttribute("data-limit")),
      fine: step(data[0]) < 86400,
    });
  }

  window.letheChart = chart;
  document.querySelectorAll("figure[data-chart]").forEach(fromTable);
})();
