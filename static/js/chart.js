// Draws the figures that the server made: <div data-chart="id of the JSON block">. Colours are those of the light theme; the
// block's "dark" says what each is in the dark one.
(() => {
  "use strict";
  const drawn = new WeakMap(); // chart element -> what it shows

  const recolour = (value, dark) => {
    if (typeof value === "string") return dark[value] ?? value;
    if (Array.isArray(value)) return value.map((each) => recolour(each, dark));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, recolour(each, dark)]));
    }
    return value;
  };

  const draw = (chart) => {
    const source = document.getElementById(chart.dataset.chart);
    if (!source) return;
    const theme = document.documentElement.getAttribute("data-bs-theme");
    const shows = `${theme} ${source.textContent}`;
    if (drawn.get(chart) === shows) return;
    drawn.set(chart, shows);
    const { figure, dark } = JSON.parse(source.textContent);
    const { data, layout } = theme === "dark" ? recolour(figure, dark) : figure;
    layout.autosize = true;
    Plotly.react(chart, data, layout, { displayModeBar: false, responsive: true });
  };

  const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);
  drawAll();
  document.addEventListener("spendops:theme", drawAll);
  document.addEventListener("htmx:after:swap", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(drawAll));
})();
