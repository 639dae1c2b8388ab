// Draws the charts that the page's JSON describes. The tables beneath them are in the page already.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Map();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let on_paper = false;
  const MARKERS = ["circle", "rect", "triangle", "rectRot"];

  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faded = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
  const points = (x, y) => x.map((at, i) => ({ x: at, y: y[i] }));
  const number = value => value === null || !isFinite(value) ? "–" : String(Number(value.toPrecision(5)));

  // A band is two lines, the upper one filled down to the lower one.
  function datasets(chart) {
    const result = [];
    let x = [];
    for (const series of chart.series) {
      x = series.x || x;
      const base = color("--c" + series.color);
      const common = { label: series.name, parsing: false, normalized: true, borderColor: base, backgroundColor: base,
        pointHitRadius: 8, spanGaps: false, tension: 0, hidden: !!series.hidden, group: series.group };
      if (series.look === "band") {
        const edge = { ...common, borderWidth: 0, pointRadius: 0, backgroundColor: faded(base, 0.18) };
        result.push({ ...edge, data: points(x, series.low), hidesInLegend: true });
        result.push({ ...edge, data: points(x, series.y), fill: "-1", lower: result.length - 1 });
        continue;
      }
      const few = x.length <= 30 || series.look === "points";
      result.push({ ...common, data: points(x, series.y), showLine: series.look !== "points",
        borderColor: series.look === "faint" ? faded(base, 0.35) : base, borderWidth: series.look === "faint" ? 1 : 2,
        borderDash: series.look === "dashed" ? [6, 3] : series.dash || [],
        pointRadius: few && series.look !== "faint" ? 3.5 : 0, pointStyle: MARKERS[series.color % 4] });
    }
    return result.map((dataset, i) => ({ ...dataset, order: -i }));  // the last on top
  }

  // Vertical lines where something happened.
  const marks = {
    id: "marks",
    afterDatasetsDraw(chart, _, options) {
      const { ctx, chartArea: area, scales } = chart;
      ctx.save();
      ctx.font = "11px sans-serif";
      for (const mark of options.at || []) {
        const x = scales.x.getPixelForValue(mark.x);
        if (x < area.left - 1 || x > area.right + 1) continue;
        ctx.strokeStyle = ctx.fillStyle = color("--c1");
        ctx.setLineDash([4, 3]);
        ctx.beginPath();
        ctx.moveTo(x, area.top);
        ctx.lineTo(x, area.bottom);
        ctx.stroke();
        ctx.textAlign = x > (area.left + area.right) / 2 ? "right" : "left";
        ctx.fillText(mark.text, x + (ctx.textAlign === "right" ? -5 : 5), area.top + 12);
      }
      ctx.restore();
    },
  };

  // A band as an area, a line as it is drawn, but never as pale as the line of every step.
  function legend(chart) {
    return Chart.defaults.plugins.legend.labels.generateLabels(chart).filter(item => !chart.data.datasets[item.datasetIndex].hidesInLegend)
      .sort((a, b) => a.datasetIndex - b.datasetIndex).map(item => {
        const { lower, showLine, backgroundColor, borderDash, borderWidth } = chart.data.datasets[item.datasetIndex];
        return { ...item, lineDash: borderDash, lineWidth: borderWidth, strokeStyle: backgroundColor,
          pointStyle: lower !== undefined ? "rect" : showLine ? "line" : item.pointStyle };
      });
  }

  function options(chart) {
    const ink = color("--ink"), muted = color("--muted"), grid = color("--grid");
    const axis = (label, type, more) => ({ type, title: { display: true, text: label, color: muted }, grid: { color: grid, borderColor: muted },
      ticks: { color: muted, maxRotation: 0, autoSkipPadding: 12, ...more } });
    const label = item => {
      const lower = item.dataset.lower;
      const value = number(item.raw.y);
      return item.dataset.label + ": " +
        (lower === undefined ? value : number(item.chart.data.datasets[lower].data[item.dataIndex].y) + " to " + value);
    };
    return {
      animation: false, responsive: !on_paper, devicePixelRatio: on_paper ? 3 : undefined, maintainAspectRatio: false, locale: "en", events: ["mousemove", "mouseout", "click", "touchstart", "touchmove"],
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: { x: axis(chart.x, "linear", { precision: 0 }), y: { ...axis(chart.y, chart.log ? "logarithmic" : "linear"), beginAtZero: chart.zero, grace: chart.zero ? "5%" : 0 } },
      plugins: {
        legend: { display: chart.series.length > 1 && chart.series[0].group === undefined, align: "start",
          labels: { color: ink, usePointStyle: true, pointStyleWidth: 28, boxHeight: 7, padding: 12, generateLabels: legend } },
        tooltip: { filter: item => !item.dataset.hidesInLegend, itemSort: (a, b) => a.datasetIndex - b.datasetIndex,
          callbacks: { title: items => items.length ? chart.x + " " + number(items[0].raw.x) : "", label } },
        marks: { at: chart.marks },
      },
    };
  }

  function draw(chart) {
    const canvas = document.getElementById(chart.id);
    drawn.get(chart.id)?.destroy();
    drawn.delete(chart.id);
    if (!canvas || canvas.offsetParent === null) return;  // in a part that is closed; drawn when it is opened
    Chart.defaults.font.size = on_paper ? 9 : 12;
    if (on_paper) [canvas.width, canvas.height] = canvas.closest(".broad") ? [702, 234] : [345, 230];
    drawn.set(chart.id, new Chart(canvas, { type: "line", data: { datasets: datasets(chart) }, options: options(chart), plugins: [marks] }));
  }

  const all = () => charts.forEach(draw);
  all();
  dark.addEventListener("change", all);
  for (const part of document.querySelectorAll("details.layer"))
    part.addEventListener("toggle", () => charts.filter(chart => !drawn.has(chart.id)).forEach(draw));

  // A legend for all charts: switches in a table.
  const switches = [...document.querySelectorAll("input[data-group]")];
  function show({ target }) {
    for (const series of charts.flatMap(chart => chart.series)) if (series.group === Number(target.dataset.group)) series.hidden = !target.checked;
    all();
  }
  for (const one of switches) {
    one.checked = one.defaultChecked;  // whatever the browser kept over a reload
    one.addEventListener("change", show);
  }

  // On paper everything is open, and charts have the size of their place there, which the browser lays out later.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach(part => part.open = true);
    on_paper = true;
    all();
  });
  addEventListener("afterprint", () => {
    closed.forEach(part => part.open = false);
    on_paper = false;
    all();
  });
})();
