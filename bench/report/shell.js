// What every page shares: its data, its compressed blocks, tables made of text, and charts that are drawn when they come into
// view. Names and messages only ever enter as textContent.
"use strict";
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  const grid = (caption, header, rows) => {
    const table = make("table");
    table.append(make("caption", caption));
    const head = make("tr");
    header.forEach((text) => head.append(make("th", text, { scope: "col" })));
    table.createTHead().append(head);
    const body = table.createTBody();
    const add = (cells) => {
      const row = make("tr");
      cells.forEach((node, i) => {
        const cell = i > 0 ? make("td") : make("th", null, { scope: "row" });
        cell.append(node === null || node === undefined ? "" : node);
        row.append(cell);
      });
      body.append(row);
    };
    const scroll = make("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
    scroll.append(table);
    const page = 500; // rows that are set at once
    rows.slice(0, page).forEach(add);
    if (rows.length > page) {
      const more = make("button", null, { type: "button", class: "more" });
      const tell = () => (more.textContent = `Show more: ${body.rows.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} are shown`);
      more.addEventListener("click", () => {
        rows.slice(body.rows.length, body.rows.length + page).forEach(add);
        if (body.rows.length < rows.length) tell();
        else more.remove();
      });
      tell();
      scroll.append(more);
    }
    return scroll;
  };

  // -- compressed blocks --------------------------------------------------------------------------------------------
  const inflate = async (name) => {
    const bytes = Uint8Array.from(atob(document.getElementById(`block-${name}`).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const found = new Map();
  const block = (name) => {
    if (!found.has(name)) found.set(name, inflate(name).then(JSON.parse));
    return found.get(name);
  };

  // -- charts: drawn when they come into view, again when the theme changes --------------------------------------------
  let library = null;
  const loaded = () => {
    library = library || inflate("vega").then((text) => {
      document.body.append(make("script", text)); // runs at once: the page's policy names its hash
      if (!window.vegaEmbed) throw new Error("the chart library did not load");
    });
    return library;
  };
  const draw = async (node) => {
    const theme = dark.matches ? "dark" : "light";
    const options = {
      actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg", ast: true,
      config: data.themes[theme], tooltip: { theme },
    };
    try {
      await loaded();
      const { spec } = (await block(node.dataset.block))[node.dataset.chart];
      await window.vegaEmbed(node, JSON.parse(JSON.stringify(spec)), options);
      node.dataset.drawn = theme;
    } catch (error) {
      node.textContent = data.noChart;
      if (window.DecompressionStream) throw error;
    }
  };
  const charts = [...document.querySelectorAll(".chart")];
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "400px" });
  charts.forEach((node) => watch.observe(node));
  dark.addEventListener("change", () => charts.filter((node) => node.dataset.drawn).forEach(draw));
  window.addEventListener("beforeprint", () => charts.filter((node) => !node.dataset.drawn).forEach(draw));

  document.querySelectorAll(".numbers").forEach((details) => details.addEventListener("toggle", async () => {
    if (!details.open || details.querySelector("table")) return;
    const { caption, header, rows } = (await block(details.dataset.block))[details.dataset.chart];
    details.append(grid(caption, header, rows));
  }));

  return { data, make, grid, block };
})();
