// Sorting, filtering and drill-down of report.html. Names and messages only ever enter as textContent.
"use strict";
(() => {
  const { data, make, grid } = page;
  const format = (value, measure) => {
    if (value === undefined || value === null) return "";
    if (typeof value !== "number" || !measure) return String(value);
    const scaled = value * measure.scale;
    if (measure.digits !== null) return scaled.toFixed(measure.digits);
    if (scaled !== 0 && Math.abs(scaled) < 1e-5) return scaled.toExponential(1);
    return scaled === 0 ? "0" : Math.abs(scaled) >= 100 ? scaled.toFixed(0) : Number(scaled.toPrecision(2)).toString();
  };

  // what a field of a row is called, and how its values are written
  const LABELS = {
    time_import_s: "import, s", time_warmup_s: "warm-up, s", time_fit_s: "fit, s", time_predict_s: "predict test fold, s",
    time_features_s: "features, s", time_tune_s: "tuning, s", time_fit_resumed_s: "of it before resuming, s",
    threads_effective: "threads in effect", n_workers: "workers", n_train: "training samples", n_test: "test samples",
    n_features: "columns", n_epochs: "epochs", n_trials: "trials", n_configurations: "configurations",
  };
  const SCORES = ["accuracy", "balanced_accuracy", "log_loss", "r2", "rmse", "mae"];
  const label = (field) => {
    if (LABELS[field]) return LABELS[field];
    const about = data.measures[field];
    if (about) return `${about.label}${about.unit ? `, ${about.unit}` : ""}`;
    const [, name, unit] = /^(.*?)(?:_(s|bytes|joules))?$/.exec(field.replaceAll(".", " "));
    return `${name.replaceAll("_", " ")}${unit ? `, ${unit === "bytes" ? "MB" : unit === "joules" ? "J" : "s"}` : ""}`;
  };
  const word = (field, value) => {
    const about = data.measures[field];
    if (about) return format(value, about);
    const scale = field.endsWith("_bytes") ? 1e-6 : 1;
    return typeof value === "number" && !Number.isInteger(value * scale) ? format(value, { scale, digits: null }) : format(value);
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

    const applyMeasure = async () => {
      const name = measure.value;
      const about = data.measures[name];
      const cells = await page.block(content.cells);
      if (name !== measure.value) return; // another was chosen meanwhile
      const values = cells.map((cell) => cell.values[name]).filter((value) => value !== undefined);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      for (const td of table.querySelectorAll("td[data-cell]")) {
        const cell = cells[Number(td.dataset.cell)];
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
      if (button) drill(content, Number(button.closest("td").dataset.cell));
    });
    section.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    find.addEventListener("input", applyFilter);
    if (family) family.addEventListener("change", applyFilter);
    if (measure) measure.addEventListener("change", applyMeasure);
    section.querySelectorAll(".tuning .open").forEach((button) => button.addEventListener("click", () => drill(content, Number(button.dataset.cell))));
    // browsers keep what was typed when a page is loaded again
    applyFilter();
    if (measure && measure.value !== content.metric && content.scored) applyMeasure();
  };

  const shade = (value, low, high, more) => {
    if (value === undefined || high === low) return 0;
    const share = low > 0 && high / low > 20 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return more ? share : 1 - share;
  };

  // -- drill-down: one cell and its folds -----------------------------------------------------------------------------
  const dialog = document.getElementById("drill");

  const drill = async (content, index) => {
    const cell = (await page.block(content.cells))[index];
    const chunk = content.chunks[Math.floor(index / content.chunk)];
    const stored = chunk === undefined ? null : await page.block(chunk);
    document.getElementById("drill-title").textContent = `${cell.name} (${content.dataset})`;
    const facts = make("dl", null, { class: "facts" });
    for (const [name, text] of cell.about) {
      const pair = make("div");
      pair.append(make("dt", name), make("dd", text));
      facts.append(pair);
    }
    const parts = [facts];
    for (const note of cell.notes) parts.push(make("p", note));
    if (stored === null) parts.push(make("p", "Its folds are not in this page, which would be too large with them; rows.jsonl holds them."));
    else parts.push(...foldParts(content, stored, stored.cells[index % content.chunk]));
    if (cell.tried && cell.tried.length) parts.push(triedTable(cell));
    document.getElementById("drill-body").replaceChildren(...parts);
    dialog.showModal();
    dialog.scrollTop = 0;
  };

  const foldParts = (content, stored, cell) => {
    const folds = cell.folds.map((values) => Object.fromEntries(stored.fields.map((name, i) => [name, values[i]]).filter(([, value]) => value !== null && value !== undefined)));
    // of a contestant with many folds: a few fields of each, as columns
    const every = cell.all ? cell.all.fold.map((_, i) => Object.fromEntries(Object.entries(cell.all).map(([name, values]) => [name, values[i]]).filter(([, value]) => value !== null))) : folds;
    const repeated = every.some((f) => f.repeat > 0);
    const name = (fold) => (repeated ? `${fold.repeat} / ${fold.fold}` : String(fold.fold));
    const parts = [dots(content, every, name), foldTable(every, name), ledgerTable(folds, name)];
    if (cell.all) parts.unshift(make("p", `Of ${every.length.toLocaleString("en")} folds this page holds score, fate and times; what else was measured, and what they saw, of ${folds.length}: those that did not end well, then the first. rows.jsonl holds all.`));
    if (cell.confused && cell.confused.length) {
      const details = make("details");
      details.append(make("summary", "What it mistook for what"), grid("Samples of all test folds, the most frequent mistakes first", ["true class", "taken for", "samples", "of the true class"], cell.confused.map((row) => row.map(String))));
      parts.push(details);
    }
    parts.push(hashTable(stored, cell, folds));
    folds.filter((fold) => fold.traceback).forEach((fold) => {
      const details = make("details");
      details.append(make("summary", `Traceback of repeat ${fold.repeat}, fold ${fold.fold}`), make("pre", fold.traceback));
      parts.push(details);
    });
    return parts.filter((part) => part !== null);
  };

  // at most 500 of many folds, the lowest and the highest among them: more dots cannot be told apart
  const spread = (found, field) => {
    const n = 500;
    if (found.length <= n) return found;
    const sorted = [...found].sort((a, b) => a[field] - b[field]);
    return Array.from({ length: n }, (_, i) => sorted[Math.round((i * (sorted.length - 1)) / (n - 1))]);
  };

  // the raw samples as dots, fold by fold: score, fit, predict; the tables below hold the same numbers
  const dots = (content, folds, name) => {
    const strips = [content.metric, "time_fit_s", "time_predict_s"].map((field) => [field, folds.filter((f) => typeof f[field] === "number")]).filter(([, found]) => found.length > 1);
    if (!strips.length) return null;
    const box = make("div", null, { class: "strips", "aria-hidden": "true" });
    for (const [field, found] of strips) {
      const [low, high] = found.reduce(([l, h], f) => [Math.min(l, f[field]), Math.max(h, f[field])], [Infinity, -Infinity]);
      const strip = make("div", null, { class: "strip" });
      const line = make("span", null, { class: "line" });
      spread(found, field).forEach((fold) => line.append(make("i", null, { style: `left:${high > low ? (100 * (fold[field] - low)) / (high - low) : 50}%`, title: `fold ${name(fold)}: ${word(field, fold[field])}` })));
      strip.append(make("span", label(field), { class: "what" }), make("span", word(field, low), { class: "end" }), line, make("span", word(field, high)));
      box.append(strip);
    }
    return box;
  };

  const foldTable = (folds, name) => {
    const fields = ["status", ...SCORES, "time_fit_s", "time_predict_s", "n_epochs", "converged", "tuned_params", "utc", "message"].filter((field) => folds.some((f) => field in f));
    const rows = folds.map((fold) => [name(fold), ...fields.map((field) => word(field, fold[field]))]);
    return grid("Every fold of this cell, as measured", [folds.some((f) => f.repeat > 0) ? "repeat / fold" : "fold", ...fields.map(label)], rows);
  };

  // everything else that was measured, a quantity a line, its median first
  const ledgerTable = (folds, name) => {
    const shown = new Set([...SCORES, "converged", "repeat", "fold", "status", "tuned_params", "utc", "message", "traceback"]);
    const fields = [];
    for (const fold of folds) for (const field of Object.keys(fold)) if (!shown.has(field) && !fields.includes(field)) fields.push(field);
    if (!fields.length) return null;
    const times = (field) => (field.startsWith("time") || field.startsWith("latency") ? 1 : /bytes|joules|cpu/.test(field) ? 2 : 3);
    fields.sort((a, b) => times(a) - times(b));
    const median = (field) => {
      const values = folds.map((f) => f[field]).filter((v) => typeof v === "number").sort((a, b) => a - b);
      if (!values.length) return "";
      const half = Math.floor(values.length / 2);
      return word(field, values.length % 2 ? values[half] : (values[half - 1] + values[half]) / 2);
    };
    const details = make("details", null, { class: "ledger" });
    const rows = fields.map((field) => [label(field), median(field), ...folds.map((fold) => word(field, fold[field]))]);
    details.append(make("summary", "The ledger: all that was measured, fold by fold"), grid("The median over these folds, then each of them", ["quantity", "median", ...folds.map((fold) => `fold ${name(fold)}`)], rows));
    details.open = true;
    return details;
  };

  const triedTable = (cell) => {
    const details = make("details");
    const header = ["fold", "configuration", "parameters", "inner folds", "score", "s", "message"];
    details.append(make("summary", `What was tried: ${cell.tried.length} configurations`), grid("★: chosen; the score is the mean over the inner folds that the configuration came to see", header, cell.tried.map((row) => row.map(String))));
    return details;
  };

  const hashTable = (stored, cell, folds) => {
    const rows = folds.map((fold, i) => [
      `${fold.repeat} / ${fold.fold}`,
      ...cell.hashes[i].map((index) => {
        const whole = index === null ? "" : stored.hashes[index];
        return make("code", whole.slice(0, 12) || "–", { title: whole });
      }),
    ]);
    const details = make("details");
    details.append(make("summary", "What each fold saw (SHA-256)"), grid("The first 12 digits; point at one to see it whole", ["repeat / fold", "X_train", "X_test", "y", "split"], rows));
    return details;
  };

  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  document.querySelectorAll("[data-section]").forEach(setUp);
})();
