// Draws the charts of index.html when they come into view, and again when the theme or the width changes.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const nodes = [...document.querySelectorAll(".chart")];
  // On a telephone a chart is as narrow as its column: legends stand one below the other, long names and titles on several
  // lines. Where words stand in it, in tiles or beside points, it keeps its width, and its frame scrolls.
  const WORDS = /"type":"text"/;
  const LINES = "split(replace(datum.label, regexp('(.{16,}?) ', 'g'), '$1|'), '|')";
  const fitted = (node, spec) => {
    const text = JSON.stringify(spec);
    node.classList.toggle("wide", WORDS.test(text));
    if (node.clientWidth >= 480) return JSON.parse(text);
    return JSON.parse(text, (key, value) => {
      if (key === "legend" && value) return { ...value, columns: 1, labelLimit: 210 };
      if (key === "axis" && value && value.labelLimit) return { ...value, labelExpr: LINES };
      if (key === "title" && typeof value === "string" && value.length > 34) return value.match(/.{1,34}(?= |$)/g).map((s) => s.trim());
      return value;
    });
  };
  const draw = (node) => {
    const { spec, config } = charts[node.dataset.chart];
    const theme = dark.matches ? "dark" : "light";
    const options = { actions: false, renderer: "svg", ast: true, config: config[theme], tooltip: { theme } };
    window.vegaEmbed(node, fitted(node, spec), options).then(() => { node.dataset.drawn = "yes"; });
  };
  if (!window.vegaEmbed) return;
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "500px" });
  nodes.forEach((node) => watch.observe(node));
  dark.addEventListener("change", () => nodes.filter((node) => node.dataset.drawn).forEach(draw));
  window.addEventListener("beforeprint", () => nodes.filter((node) => !node.dataset.drawn).forEach(draw));
})();
