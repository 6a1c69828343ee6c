/** The report as one HTML file without scripts or references to elsewhere. */
import { quantile } from "../bootstrap.ts";
import { describeSet, formatValue, spreadOf } from "./report-text.ts";
import type { Distribution, EvaluationReport, NeighbourRow, Ranking } from "./types.ts";

export interface HtmlReportOptions {
  /** Pictures as data URLs; those without one are shown by name. */
  readonly thumbnails?: Thumbnails;
  /** @default "Evaluation" */
  readonly title?: string;
}

/** Data URLs by key, of each set. */
export interface Thumbnails {
  readonly generated: ReadonlyMap<string, string>;
  readonly reference: ReadonlyMap<string, string>;
}

const BINS = 40;
const [CHART_WIDTH, CHART_HEIGHT] = [640, 160];

/** Keys of all pictures that the report shows, for making thumbnails. */
export function picturesOf({ rankings, neighbours }: EvaluationReport): {
  readonly generated: ReadonlySet<string>;
  readonly reference: ReadonlySet<string>;
} {
  return {
    generated: new Set([
      ...rankings.flatMap(({ pictures }) => pictures.map(({ name }) => name)),
      ...neighbours.map(({ key }) => key),
    ]),
    reference: new Set(neighbours.flatMap((row) => row.neighbours.map(({ key }) => key))),
  };
}

/** The whole page. */
export function htmlReport(report: EvaluationReport, options: HtmlReportOptions = {}): string {
  const { thumbnails = { generated: new Map(), reference: new Map() }, title = "Evaluation" } =
    options;
  const { generated, reference, networks, figures, warnings } = report;
  const facts = [
    `Generated: ${describeSet(generated)}`,
    ...(reference === undefined ? [] : [`Reference: ${describeSet(reference)}`]),
    ...networks.map((network) => `Network: ${network}`),
  ];
  const rows = figures.map((figure) => {
    const cells = [
      figure.name,
      formatValue(figure.value),
      spreadOf(figure),
      figure.better,
      figure.conditions ?? "",
    ];
    return `<tr>${cells.map((cell) => `<td>${escape(cell)}</td>`).join("")}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${STYLE}</style></head>
<body><h1>${escape(title)}</h1>
${list(facts)}
${warnings.length === 0 ? "" : `<section class="warnings"><h2>Warnings</h2>${list(warnings)}</section>`}
<table><thead><tr><th>Figure</th><th>Value</th><th>Spread</th><th>Better</th><th>Conditions</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table>
${report.distributions.map(drawDistribution).join("\n")}
${report.rankings.map((ranking) => drawRanking(ranking, thumbnails.generated)).join("\n")}
${drawNeighbours(report.neighbours, thumbnails)}
</body></html>
`;
}

const STYLE = `
:root{color-scheme:light dark;font-family:system-ui,sans-serif;line-height:1.45}
body{max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884;vertical-align:top}
td:nth-child(2){font-variant-numeric:tabular-nums;font-weight:600}
.warnings{border-left:.3rem solid #c80;padding-left:1rem}
.grid{display:flex;flex-wrap:wrap;gap:.6rem}figure{margin:0;width:8rem;font-size:.75rem;overflow-wrap:anywhere}
figure img{width:8rem;height:8rem;object-fit:contain;background:#8882;image-rendering:auto}
figure .none{display:flex;width:8rem;height:8rem;align-items:center;justify-content:center;background:#8882}
.copied{outline:.2rem solid #c33}
svg{width:100%;max-width:${CHART_WIDTH}px;height:auto}svg text{font-size:11px;fill:currentColor}
`;

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${escape(item)}</li>`).join("")}</ul>`;
}

function drawDistribution({ name, values, comparison }: Distribution): string {
  if (values.length === 0) return "";
  const all = [values, comparison?.values ?? []].filter(({ length }) => length > 0);
  // The outermost thousandth on either side would squeeze everything else.
  const low = Math.min(...all.map((sorted) => quantile(sorted, 0.001)));
  const high = Math.max(...all.map((sorted) => quantile(sorted, 0.999)));
  const series = [
    { label: name, values, colour: "#d55" },
    ...(comparison === undefined
      ? []
      : [{ label: comparison.name, values: comparison.values, colour: "#58c" }]),
  ];
  const bars = series.map(({ values: own, colour }) => drawBars(histogram(own, low, high), colour));
  const legend = series.map(
    ({ label, colour, values: own }, i) =>
      `<text x="4" y="${14 + 14 * i}" style="fill:${colour}">${escape(label)} (median ${formatValue(quantile(own, 0.5))})</text>`,
  );
  const y = CHART_HEIGHT + 14;
  return `<section><h2>${escape(name)}</h2>
<svg viewBox="0 0 ${CHART_WIDTH} ${CHART_HEIGHT + 20}" role="img" aria-label="${escape(name)}">${bars.join("")}${legend.join("")}
<text x="0" y="${y}">${formatValue(low)}</text><text x="${CHART_WIDTH}" y="${y}" text-anchor="end">${formatValue(high)}</text></svg></section>`;
}

/** Share of the values in each of {@link BINS} bins. */
function histogram(values: readonly number[], low: number, high: number): number[] {
  const bins = Array.from({ length: BINS }, () => 0);
  const scale = high > low ? BINS / (high - low) : 0;
  for (const value of values)
    bins[Math.max(0, Math.min(BINS - 1, Math.floor((value - low) * scale)))] += 1 / values.length;
  return bins;
}

function drawBars(shares: readonly number[], colour: string): string {
  const top = Math.max(...shares);
  const width = CHART_WIDTH / BINS;
  return shares
    .map((share, i) => {
      const height = (share / top) * (CHART_HEIGHT - 30);
      const [x, y] = [i * width + 1, CHART_HEIGHT - height];
      return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(width - 2).toFixed(1)}" height="${height.toFixed(1)}" fill="${colour}" fill-opacity=".55"/>`;
    })
    .join("");
}

function drawPicture(
  key: string,
  caption: string,
  thumbnails: ReadonlyMap<string, string>,
  className = "",
): string {
  const source = thumbnails.get(key);
  const picture =
    source === undefined
      ? `<div class="none">no picture</div>`
      : `<img src="${escape(source)}" alt="${escape(key)}" loading="lazy">`;
  return `<figure class="${className}">${picture}<figcaption>${escape(key)}<br>${escape(caption)}</figcaption></figure>`;
}

function drawRanking({ name, pictures }: Ranking, thumbnails: ReadonlyMap<string, string>): string {
  const drawn = pictures.map((picture) =>
    drawPicture(picture.name, formatValue(picture.value), thumbnails),
  );
  return `<section><h2>${escape(name)}</h2><div class="grid">${drawn.join("")}</div></section>`;
}

function drawNeighbours(rows: readonly NeighbourRow[], thumbnails: Thumbnails): string {
  if (rows.length === 0) return "";
  const drawn = rows.map(({ key, copied, ratio, neighbours }) => {
    const own = drawPicture(
      key,
      `ratio ${formatValue(ratio)}${copied ? ", looks copied" : ""}`,
      thumbnails.generated,
      copied ? "copied" : "",
    );
    const nearest = neighbours.map((one) =>
      drawPicture(one.key, formatValue(one.distance), thumbnails.reference),
    );
    return `<div class="grid">${own}${nearest.join("")}</div><hr>`;
  });
  return `<section><h2>Nearest reference pictures, the most suspicious first</h2>${drawn.join("")}</section>`;
}
