// Draws the readings that the page carries as JSON; the same numbers stand in the table below it.
// A value of null lifts the line; false is a step that only another line has.
"use strict";

document.querySelectorAll(".chart").forEach((box) => {
  const data = JSON.parse(document.getElementById(box.dataset.source).textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = ["--link", "--good", "--warn", "--ink"].map(css);
  const degrees = (u, v) => (v == null ? "–" : v.toFixed(1) + " °C");

  // Behind the lines: the time beyond the limit, and the time of which nothing is known.
  const ground = (u) => {
    const c = u.ctx;
    c.save();
    [["--mute-ground", data.unknown], ["--bad-ground", data.breaches]].forEach(([colour, spans]) => {
      c.fillStyle = css(colour);
      spans.forEach(([from, to]) => {
        const left = Math.max(u.bbox.left, u.valToPos(from, "x", true));
        const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(to, "x", true));
        if (right > left) c.fillRect(left, u.bbox.top, Math.max(2, right - left), u.bbox.height);
      });
    });
    c.restore();
  };
  const limits = (u) => data.limits.forEach((limit) => {
    const c = u.ctx, y = u.valToPos(limit, "y", true);
    c.save();
    c.strokeStyle = css("--bad");
    c.setLineDash([8 * devicePixelRatio, 5 * devicePixelRatio]);
    c.lineWidth = 1.5 * devicePixelRatio;
    c.beginPath();
    c.moveTo(u.bbox.left, y);
    c.lineTo(u.bbox.left + u.bbox.width, y);
    c.stroke();
    c.restore();
  });
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
  // Hours and days are drawn as a band from their coldest to their warmest reading.
  const lines = data.lines.flatMap((line, i) => [{ ...line, colour: colours[i % colours.length], dash: i > 3 ? [6, 4] : [] },
    ...(line.low ? [{ name: line.name + " ↓", values: line.low, colour: colours[i % colours.length], dash: [2, 3], low: true }] : [])]);
  const bands = lines.flatMap((line, i) => (line.low === true ? [{ series: [i, i + 1], fill: line.colour + "22" }] : []));
  const values = lines.flatMap((line) => line.values.filter((v) => typeof v === "number"));
  if (values.length === 0) return;
  const low = Math.min(...data.limits, ...values);
  const high = Math.max(...data.limits, ...values);
  const day = "{YYYY}-{MM}-{DD}";
  const options = () => ({
    width: box.clientWidth - 24,
    height: 320,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    scales: { y: { range: [Math.floor(low - 1), Math.ceil(high + 1)] } },
    axes: [
      { ...axis, space: 90, values: [[86400, day, null, null, null, null, null, null, 1],
                          [60, "{HH}:{mm}", "\n" + day, null, "\n" + day, null, null, null, 1]] },
      { ...axis, size: 60, values: (u, vs) => vs.map((v) => v + " °C") },
    ],
    series: [
      { label: "UTC", value: day + " {HH}:{mm}" },
      ...lines.map((line) => ({
        label: line.name, stroke: line.colour, width: line.low === true ? 1 : 1.5, dash: line.dash, value: degrees,
        points: line.low ? { size: 3, show: true } : { size: 4 }, // an hour between two that are unknown is a point alone
      })),
    ],
    bands,
    hooks: { drawClear: [ground], drawAxes: [limits] },
  });
  const series = [data.times, ...lines.map((line) => line.values.map((v) => (v === false ? undefined : v)))];
  const plot = new uPlot(options(), series, box);
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth - 24, height: 320 })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
});
