/** The guidance sweep as an SVG document: distance across, retrieval up, a labelled point per scale. */
import type { SweepPoint } from "./figures.ts";

const WIDTH = 560;
const HEIGHT = 400;
const MARGIN = { top: 40, right: 30, bottom: 52, left: 64 };
const TICKS = 5;

/** The chart. */
export function sweepChart(points: readonly SweepPoint[], judge: string): string {
  const found = points.map(({ guidanceScale, distance, retrieval }) => ({
    label: String(guidanceScale),
    x: distance,
    y: 100 * retrieval.captionAt5,
  }));
  const x = axis(
    found.map((point) => point.x),
    MARGIN.left,
    WIDTH - MARGIN.right,
  );
  const y = axis(
    found.map((point) => point.y),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  );
  const line = found.map((point) => `${x.at(point.x)},${y.at(point.y)}`).join(" ");
  const right = WIDTH - MARGIN.right;
  const floor = HEIGHT - MARGIN.bottom;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#222222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${MARGIN.left}" y="22" font-size="15" font-weight="bold">Guidance scale: distance against retrieval</text>`,
    ...x.ticks.flatMap((tick) => [
      `<line x1="${x.at(tick)}" x2="${x.at(tick)}" y1="${MARGIN.top}" y2="${floor}" stroke="#eeeeee"/>`,
      `<text x="${x.at(tick)}" y="${floor + 18}" text-anchor="middle">${short(tick)}</text>`,
    ]),
    ...y.ticks.flatMap((tick) => [
      `<line x1="${MARGIN.left}" x2="${right}" y1="${y.at(tick)}" y2="${y.at(tick)}" stroke="#eeeeee"/>`,
      `<text x="${MARGIN.left - 8}" y="${y.at(tick) + 4}" text-anchor="end">${short(tick)}</text>`,
    ]),
    `<text x="${(MARGIN.left + right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">FD (${judge}), lower is better</text>`,
    `<text transform="translate(18 ${(MARGIN.top + floor) / 2}) rotate(-90)" text-anchor="middle">caption among the first 5 of 100, %</text>`,
    `<polyline points="${line}" fill="none" stroke="#0072b2" stroke-width="1.6"/>`,
    ...found.flatMap((point) => [
      `<circle cx="${x.at(point.x)}" cy="${y.at(point.y)}" r="3.5" fill="#0072b2"/>`,
      `<text x="${x.at(point.x) + 7}" y="${y.at(point.y) - 6}">${point.label}</text>`,
    ]),
    "</svg>",
    "",
  ].join("\n");
}

/** A linear axis with some air at both ends. */
function axis(values: readonly number[], from: number, to: number) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const air = (high - low || 1) * 0.08;
  const [start, end] = [low - air, high + air];
  const at = (value: number) =>
    Math.round(10 * (from + ((value - start) / (end - start)) * (to - from))) / 10;
  const ticks = Array.from({ length: TICKS }, (_, i) => low + ((high - low) * i) / (TICKS - 1));
  return { at, ticks: [...new Set(ticks)] };
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
