/** The report as a table for terminals. */
import type { EvaluationReport, ReportedFigure, SetDescription } from "./types.ts";

/** Figures, conditions and warnings; distributions and pictures are in the HTML report. */
export function textReport({
  generated,
  reference,
  networks,
  figures,
  warnings,
}: EvaluationReport): string {
  const rows = figures.map((figure) => [
    figure.name,
    formatValue(figure.value),
    spreadOf(figure),
    `${figure.better} is better`,
    figure.conditions ?? "",
  ]);
  return [
    `Generated  ${describeSet(generated)}`,
    ...(reference === undefined ? [] : [`Reference  ${describeSet(reference)}`]),
    ...networks.map((network) => `Network    ${network}`),
    "",
    ...table(rows),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map((warning) => `! ${warning}`)]),
  ].join("\n");
}

/** Four significant digits, without an exponent where that is readable. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(3);
  return size >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

/** `± 0.12` for a standard deviation, `[1.2, 1.4]` for an interval. */
export function spreadOf({ std, interval }: ReportedFigure): string {
  if (interval !== undefined)
    return `[${formatValue(interval.low)}, ${formatValue(interval.high)}] ${Math.round(interval.level * 100)} %`;
  return std === undefined ? "" : `± ${formatValue(std)}`;
}

/** `samples: 1000 pictures of 512×512`. */
export function describeSet({ name, count, sizes }: SetDescription): string {
  const shown = Object.keys(sizes);
  const size =
    shown.length === 1 ? ` of ${shown[0]}` : shown.length > 1 ? ` of ${shown.length} sizes` : "";
  return count === undefined ? `${name}: statistics` : `${name}: ${count} pictures${size}`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column].length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
}
