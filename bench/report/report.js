// Sorting, filtering, drill-down and charts of report.html. Names and messages only ever enter as textContent.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== null) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const format = (value, measure) => {
    if (value === undefined || value === null) return "";
    if (typeof value !== "number" || !measure) return String(value);
    const scaled = value * measure.scale;
    if (measure.digits !== null) return scaled.toFixed(measure.digits);
    if (scaled !== 0 && Math.abs(scaled) < 1e-5) return scaled.toExponential(1);
    return scaled === 0 ? "0" : Math.abs(scaled) >= 100 ? scaled.toFixed(0) : Number(scaled.toPrecision(2)).toString();
  };

  // -- one data set ---------------------------------------------------------------------------------------------------
  const setUp = (section) => {
    const content = data.sections[Number(section.dataset.section)];
    const table = section.querySelector("table.scores");
    const body = table.tBodies[0];
    const original = [...body.rows];
    const find = section.querySelector(".find");
    const family = section.querySelector(".family");
    const measure = section.querySelector(".measure");
    const count = section.querySelector(".count");
    const showing = section.querySelector(".showing");
    const legend = showing.textContent;
    let sorted = null; // {column, direction}

    const applyFilter = () => {
      const wanted = find.value.trim().toLowerCase();
      let shown = 0;
      for (const row of original) {
        const fits = row.cells[0].dataset.value.toLowerCase().includes(wanted) && (!family || !family.value || row.dataset.family === family.value);
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      count.textContent = shown === original.length ? "" : `${shown} of ${original.length} models`;
    };

    const applySort = () => {
      const headers = [...table.tHead.rows[0].cells];
      headers.forEach((th, i) => {
        if (th.hasAttribute("aria-sort")) th.setAttribute("aria-sort", sorted && sorted.column === i ? sorted.direction : "none");
      });
      if (!sorted) { body.append(...original); return; }
      const sign = sorted.direction === "ascending" ? 1 : -1;
      const key = (row) => row.cells[sorted.column].dataset.value;
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what was not measured stays at the end
        return sign * (sorted.column === 0 ? x.localeCompare(y) : Number(x) - Number(y));
      };
      body.append(...[...original].sort(compare));
    };

    const applyMeasure = () => {
      const name = measure.value;
      const about = data.measures[name];
      const values = content.cells.map((cell) => cell.values[name]).filter((value) => value !== undefined);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      for (const td of table.querySelectorAll("td[data-cell]")) {
        const cell = content.cells[Number(td.dataset.cell)];
        const value = cell.values[name];
        const button = td.querySelector(".open");
        if (!td.original) td.original = { nodes: [...button.childNodes], value: td.dataset.value };
        if (name === content.metric || (value === undefined && td.original.value === "")) {
          button.replaceChildren(...td.original.nodes);
        } else {
          button.replaceChildren(make("span", value === undefined ? "–" : format(value, about), { class: "mean" }));
        }
        td.classList.toggle("plain", name !== content.metric);
        td.dataset.value = value === undefined ? "" : String(value);
        const share = name === content.metric ? cell.shade : shade(value, low, high, about.more);
        td.style.setProperty("--q", share === null || share === undefined ? 0 : share);
      }
      showing.textContent = name === content.metric ? legend : `${about.label[0].toUpperCase()}${about.label.slice(1)}${about.unit ? `, ${about.unit}` : ""}: ${name.startsWith("time") ? "median of the folds" : name.startsWith("peak") ? "largest of the folds" : "mean of the folds"}`;
      applySort();
    };

    table.tHead.addEventListener("click", (event) => {
      const button = event.target.closest(".sort");
      if (!button) return;
      const column = button.closest("th").cellIndex;
      const about = data.measures[measure ? measure.value : content.metric];
      const seconds = column > 0 && button.closest("th").cellIndex > content.nFeatures;
      const first = column === 0 || seconds || !(about && about.more) ? "ascending" : "descending";
      const second = first === "ascending" ? "descending" : "ascending";
      if (!sorted || sorted.column !== column) sorted = { column, direction: first };
      else if (sorted.direction === first) sorted = { column, direction: second };
      else sorted = null;
      applySort();
    });
    body.addEventListener("click", (event) => {
      const button = event.target.closest(".open");
      if (button) drill(content, content.cells[Number(button.closest("td").dataset.cell)]);
    });
    section.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    find.addEventListener("input", applyFilter);
    if (family) family.addEventListener("change", applyFilter);
    if (measure) measure.addEventListener("change", applyMeasure);
    section.querySelectorAll(".tuning .open").forEach((button) => button.addEventListener("click", () => drill(content, content.cells[Number(button.dataset.cell)])));
    // browsers keep what was typed when a page is loaded again
    applyFilter();
    if (measure && measure.value !== content.metric && content.cells.some((cell) => content.metric in cell.values)) applyMeasure();
  };

  const shade = (value, low, high, more) => {
    if (value === undefined || high === low) return 0;
    const share = low > 0 && high / low > 20 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return more ? share : 1 - share;
  };

  // -- drill-down: one cell and its folds -----------------------------------------------------------------------------
  const dialog = document.getElementById("drill");
  const LABELS = { threads_effective: "threads", n_workers: "workers", n_train: "train", n_test: "test", n_features: "features", n_epochs: "epochs", time_import_s: "import", time_warmup_s: "warm-up" };

  const drill = (content, cell) => {
    document.getElementById("drill-title").textContent = `${cell.name} (${content.dataset})`;
    const facts = make("dl", null, { class: "facts" });
    for (const [label, text] of cell.about) {
      const pair = make("div");
      pair.append(make("dt", label), make("dd", text));
      facts.append(pair);
    }
    const parts = [facts];
    for (const note of cell.notes) parts.push(make("p", note));
    parts.push(foldTable(cell));
    if (cell.tried && cell.tried.length) parts.push(triedTable(cell));
    parts.push(hashTable(content, cell));
    const fields = data.fields;
    cell.folds.forEach((fold) => {
      const trace = fold[fields.indexOf("traceback")];
      if (!trace) return;
      const details = make("details");
      details.append(make("summary", `Traceback of repeat ${fold[fields.indexOf("repeat")]}, fold ${fold[fields.indexOf("fold")]}`), make("pre", trace));
      parts.push(details);
    });
    document.getElementById("drill-body").replaceChildren(...parts);
    dialog.showModal();
    dialog.scrollTop = 0;
  };

  const grid = (caption, header, rows) => {
    const table = make("table");
    table.append(make("caption", caption));
    const head = make("tr");
    header.forEach((text) => head.append(make("th", text, { scope: "col" })));
    table.createTHead().append(head);
    const body = table.createTBody();
    for (const cells of rows) {
      const row = make("tr");
      cells.forEach((node, i) => {
        if (i > 0) { const td = make("td"); td.append(node); row.append(td); }
        else { const th = make("th", null, { scope: "row" }); th.append(node); row.append(th); }
      });
      body.append(row);
    }
    const scroll = make("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
    scroll.append(table);
    return scroll;
  };

  const foldTable = (cell) => {
    const shown = data.fields.map((name, i) => [name, i]).filter(([name, i]) => name !== "traceback" && cell.folds.some((fold) => fold[i] !== null));
    const label = (name) => {
      const about = data.measures[name];
      return about ? `${about.label.replace("time to make the features", "features")}${about.unit ? `, ${about.unit}` : ""}` : LABELS[name] || name.replaceAll("_", " ");
    };
    const rows = cell.folds.map((fold) => shown.map(([name, i]) => format(fold[i], data.measures[name])));
    return grid("Every fold of this cell, as measured", shown.map(([name]) => label(name)), rows);
  };

  const triedTable = (cell) => {
    const details = make("details");
    const header = ["fold", "configuration", "parameters", "inner folds", "score", "s", "message"];
    details.append(make("summary", `What was tried: ${cell.tried.length} configurations`), grid("★: chosen; the score is the mean over the inner folds that the configuration came to see", header, cell.tried.map((row) => row.map(String))));
    return details;
  };

  const hashTable = (content, cell) => {
    const at = (name) => data.fields.indexOf(name);
    const rows = cell.folds.map((fold, i) => [
      `${fold[at("repeat")]} / ${fold[at("fold")]}`,
      ...cell.hashes[i].map((index) => {
        const whole = index === null ? "" : content.hashes[index];
        return make("code", whole.slice(0, 12) || "–", { title: whole });
      }),
    ]);
    const details = make("details");
    details.append(make("summary", "What each fold saw (SHA-256)"), grid("The first 12 digits; point at one to see it whole", ["repeat / fold", "X_train", "X_test", "y", "split"], rows));
    return details;
  };

  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // -- charts: drawn when they come into view, again when the theme changes ----------------------------------------------
  const draw = (node) => {
    const content = data.sections[Number(node.closest("[data-section]").dataset.section)];
    const { spec, config } = content.charts[node.dataset.chart];
    const options = { actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg", config: config[dark.matches ? "dark" : "light"], tooltip: { theme: dark.matches ? "dark" : "light" } };
    window.vegaEmbed(node, JSON.parse(JSON.stringify(spec)), options).then(() => { node.dataset.drawn = "yes"; });
  };
  const charts = [...document.querySelectorAll(".chart")];
  if (window.vegaEmbed) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
    }, { rootMargin: "400px" });
    charts.forEach((node) => watch.observe(node));
    dark.addEventListener("change", () => charts.filter((node) => node.dataset.drawn).forEach(draw));
    window.addEventListener("beforeprint", () => charts.filter((node) => !node.dataset.drawn).forEach(draw));
  }

  document.querySelectorAll("[data-section]").forEach(setUp);
})();
