// Draws the charts of index.html when they come into view, and again when the theme or the width changes.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const nodes = [...document.querySelectorAll(".chart")];
  const draw = (node) => {
    const { spec, config } = charts[node.dataset.chart];
    const theme = dark.matches ? "dark" : "light";
    const options = { actions: false, renderer: "svg", ast: true, config: config[theme], tooltip: { theme } };
    window.vegaEmbed(node, JSON.parse(JSON.stringify(spec)), options).then(() => { node.dataset.drawn = "yes"; });
  };
  if (!window.vegaEmbed) return;
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "500px" });
  nodes.forEach((node) => watch.observe(node));
  dark.addEventListener("change", () => nodes.filter((node) => node.dataset.drawn).forEach(draw));
  window.addEventListener("beforeprint", () => nodes.filter((node) => !node.dataset.drawn).forEach(draw));
})();
