/** A line chart on logarithmic axes as an SVG document: plain lines, labels at their right ends. */

/** One line. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Drawn dashed and grey, for something to compare with. @default false */
  readonly reference?: boolean;
}

/** What the chart says. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly Line[];
}

const WIDTH = 760;
const HEIGHT = 440;
const MARGIN = { top: 44, right: 168, bottom: 52, left: 72 };
const LABEL_GAP = 13;
/** Told apart also by people who see colours differently (Okabe & Ito, and four shades between). */
const COLOURS = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#6a51a3",
  "#8c564b",
  "#444444",
  "#b5a800",
  "#17756d",
];

/** The chart as an SVG document. */
export function lineChart({ title, xLabel, yLabel, lines }: LineChart): string {
  const points = lines.flatMap((line) => line.points);
  const [xLow, xHigh] = extent(points.map(([x]) => x));
  const [yLow, yHigh] = extent(points.map(([, y]) => y));
  const x = scale(xLow, xHigh, MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(yLow, yHigh, HEIGHT - MARGIN.bottom, MARGIN.top);
  const colours = lines.map(({ reference }, i) =>
    reference ? "#999999" : COLOURS[i % COLOURS.length],
  );
  const labels = spread(lines.map((line) => y(line.points[line.points.length - 1][1])));
  const body = [
    `<text x="${MARGIN.left}" y="22" font-size="15" font-weight="bold">${escape(title)}</text>`,
    ...ticks(xLow, xHigh, [1, 2, 5]).flatMap((value) => [
      `<line x1="${round(x(value))}" x2="${round(x(value))}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}" stroke="#eeeeee"/>`,
      `<text x="${round(x(value))}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${value}</text>`,
    ]),
    ...ticks(yLow, yHigh, [1]).flatMap((value) => [
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${round(y(value))}" y2="${round(y(value))}" stroke="#e4e4e4"/>`,
      `<text x="${MARGIN.left - 8}" y="${round(y(value) + 4)}" text-anchor="end">${value >= 0.001 ? value : value.toExponential()}</text>`,
    ]),
    `<text x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escape(xLabel)}</text>`,
    `<text transform="translate(18 ${(MARGIN.top + HEIGHT - MARGIN.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(yLabel)}</text>`,
    ...lines.map((line, i) => {
      const path = line.points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(" ");
      return `<polyline points="${path}" fill="none" stroke="${colours[i]}" stroke-width="1.8"${line.reference ? ' stroke-dasharray="5 4"' : ""}/>`;
    }),
    ...lines.map((line, i) => {
      const [endX, endY] = line.points[line.points.length - 1];
      const at = WIDTH - MARGIN.right + 14;
      return `<path d="M${round(x(endX))} ${round(y(endY))}L${at - 4} ${round(labels[i])}" stroke="${colours[i]}" stroke-width="0.6" fill="none"/><text x="${at}" y="${round(labels[i] + 4)}" fill="${colours[i]}">${escape(line.name)}</text>`;
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#222222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function extent(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Logarithmic from [low, high] to [from, to]. */
function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  const [a, b] = [Math.log(low), Math.log(high)];
  return (value) => from + ((Math.log(value) - a) / (b - a)) * (to - from);
}

/** The multiples of powers of ten in a range. */
function ticks(low: number, high: number, multiples: readonly number[]): number[] {
  const out: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const multiple of multiples) {
      const value = Number(`${multiple}e${power}`);
      if (value >= low * 0.999 && value <= high * 1.001) out.push(value);
    }
  return out;
}

/** Heights moved apart until labels do not overlap, in order. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const out = [...heights];
  for (let round_ = 0; round_ < 200; round_++)
    for (let k = 1; k < order.length; k++) {
      const overlap = LABEL_GAP - (out[order[k]] - out[order[k - 1]]);
      if (overlap <= 0) continue;
      out[order[k]] += overlap / 2;
      out[order[k - 1]] -= overlap / 2;
    }
  return out;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
