/** A run as one HTML page without scripts: its figures, curves and sample sheets, from first to last. */
import type { SettingValue } from "../recipe.ts";
import type { LogLine } from "../run/log-line.ts";
import { curveSvg, escapeHtml, type Point } from "./curve.ts";

/** What a page is made of. */
export interface Report {
  readonly recipe: string;
  readonly settings: Readonly<Record<string, SettingValue>>;
  readonly log: readonly LogLine[];
  /** Figures on held-out data. */
  readonly evaluations: readonly ({ readonly update: number } & Readonly<Record<string, number>>)[];
  readonly sheets: readonly Sheet[];
}

/** A picture of how training stood. */
export interface Sheet {
  readonly name: string;
  readonly update: number;
  /** Relative to the page, or a data URL. */
  readonly source: string;
}

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem;color:#1c1d22;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:1rem}
figure{margin:0}figcaption{font-size:.85rem;color:#555}
svg{width:100%;background:#fafafa;border:1px solid #e5e5e8}
svg text{font-size:11px;fill:#666}
polyline{fill:none;stroke:#3355cc;stroke-width:1.5}.axis{fill:none;stroke:#bbb}
img{max-width:100%;image-rendering:auto;border:1px solid #e5e5e8}
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#17181c;color:#e6e6ea}svg{background:#1f2026;border-color:#33343c}figcaption,svg text{color:#aaa;fill:#aaa}polyline{stroke:#8fa8ff}img{border-color:#33343c}}
`;

/** The page. */
export function reportHtml(report: Report): string {
  const { recipe, settings, log, evaluations, sheets } = report;
  const last = log.at(-1);
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">`,
    `<title>${escapeHtml(recipe)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${escapeHtml(recipe)}</h1>`,
    last === undefined ? "<p>Nothing was trained yet.</p>" : `<p>${summary(report, last)}</p>`,
    section("Training", curves(log).join("")),
    section("Held-out data", evaluationCurves(evaluations).join("")),
    section("Samples", latestFirst(sheets).map(sheetHtml).join("")),
    "<h2>Settings</h2>",
    `<table>${Object.entries(settings).map(settingRow).join("")}</table>`,
    "</body></html>\n",
  ].join("\n");
}

function summary({ log }: Report, last: LogLine): string {
  const hours = log.reduce((total, { milliseconds }) => total + milliseconds, 0) / 3.6e6;
  const waited = log.reduce((total, { waited: ms }) => total + ms, 0) / 3.6e6;
  const rate = last.samples / (hours * 3600);
  return [
    `${last.update} updates`,
    `${last.samples} samples`,
    `${hours.toFixed(2)} hours`,
    `${rate.toFixed(1)} samples/s`,
    `${((100 * waited) / hours).toFixed(1)} % of the time waiting for data`,
  ].join(" · ");
}

function section(title: string, content: string): string {
  return content === "" ? "" : `<h2>${title}</h2><div class="grid">${content}</div>`;
}

/** A curve for each number of the log. */
function curves(log: readonly LogLine[]): string[] {
  const rows = log.map(({ update, losses, metrics, gradientNorms, learningRate }) => ({
    update,
    values: {
      ...prefixed("loss", losses),
      ...prefixed("", metrics),
      ...prefixed("gradient norm", gradientNorms),
      "learning rate": learningRate,
    } as Readonly<Record<string, number>>,
  }));
  return names(rows.map(({ values }) => values)).map((name) =>
    curveSvg(
      rows.map(({ update, values }): Point => ({ x: update, y: values[name] ?? NaN })),
      { title: name },
    ),
  );
}

function evaluationCurves(evaluations: Report["evaluations"]): string[] {
  return names(evaluations)
    .filter((name) => name !== "update")
    .map((name) =>
      curveSvg(
        evaluations.map((values): Point => ({ x: values.update, y: values[name] })),
        { title: name, log: false },
      ),
    );
}

function prefixed(
  prefix: string,
  values: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${prefix} ${name}`.trim(), value]),
  );
}

function names(records: readonly Readonly<Record<string, number>>[]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(record)))];
}

function latestFirst(sheets: readonly Sheet[]): Sheet[] {
  return sheets.toSorted((a, b) => b.update - a.update || a.name.localeCompare(b.name));
}

function sheetHtml({ name, update, source }: Sheet): string {
  return `<figure><img loading="lazy" src="${escapeHtml(source)}" alt="${escapeHtml(name)} at update ${update}"><figcaption>${escapeHtml(name)}, update ${update}</figcaption></figure>`;
}

function settingRow([name, value]: readonly [string, SettingValue]): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `<tr><td>${escapeHtml(name)}</td><td><code>${escapeHtml(text)}</code></td></tr>`;
}
