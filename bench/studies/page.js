// Draws the charts of index.html when they come into view, and again when the theme or the width changes.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const nodes = [...document.querySelectorAll(".chart")];
  // On a telephone a chart is as narrow as its column: legends one below the other, long names cut. Where words stand in it,
  // in tiles or beside points, it keeps its width, and its frame scrolls.
  const WORDS = /"type":"text"/;
  const fitted = (node, spec) => {
    const text = JSON.stringify(spec);
    node.classList.toggle("wide", WORDS.test(text));
    if (node.clientWidth >= 480) return JSON.parse(text);
    const narrow = (key, value) => key === "columns" ? 1 : key === "labelLimit" ? Math.min(value, 130) : value;
    return JSON.parse(text, narrow);
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
