/** Curves as SVG. */

/** A point of a curve. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Options of {@link curveSvg}. */
export interface CurveOptions {
  readonly title: string;
  /** Logarithmic y where all values are positive and span more than a decade. @default true */
  readonly log?: boolean;
}

const WIDTH = 560;
const HEIGHT = 200;
const LEFT = 64;
const BOTTOM = 24;
/** Points drawn at most; each is the mean of those it stands for. */
const POINTS = 400;

/** One curve with its axes; values that are not finite are left out. */
export function curveSvg(points: readonly Point[], { title, log = true }: CurveOptions): string {
  const drawn = thin(points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
  if (drawn.length === 0) return "";
  const values = drawn.map(({ y }) => y);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const isLog = log && low > 0 && high / low > 10;
  const scale = (y: number): number => (isLog ? Math.log(y) : y);
  const [bottom, top] = [scale(low), scale(high)];
  const [first, last] = [drawn[0].x, drawn[drawn.length - 1].x];
  const place = ({ x, y }: Point): string => {
    const across = last > first ? (x - first) / (last - first) : 0;
    const up = top > bottom ? (scale(y) - bottom) / (top - bottom) : 0.5;
    const left = LEFT + across * (WIDTH - LEFT - 8);
    return `${left.toFixed(1)},${(8 + (1 - up) * (HEIGHT - BOTTOM - 16)).toFixed(1)}`;
  };
  const label = (x: number, y: number, anchor: string, text: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`;
  return [
    `<figure><figcaption>${escapeHtml(title)}${isLog ? " (log)" : ""}: ${short(values[values.length - 1])}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">`,
    `<path class="axis" d="M${LEFT} 8V${HEIGHT - BOTTOM}H${WIDTH - 8}"/>`,
    label(LEFT - 6, 14, "end", short(high)),
    label(LEFT - 6, HEIGHT - BOTTOM, "end", short(low)),
    label(LEFT, HEIGHT - 6, "start", String(first)),
    label(WIDTH - 8, HEIGHT - 6, "end", String(last)),
    `<polyline points="${drawn.map(place).join(" ")}"/>`,
    "</svg></figure>",
  ].join("");
}

/** Means of runs of points. */
function thin(points: readonly Point[]): Point[] {
  const run = Math.ceil(points.length / POINTS);
  if (run <= 1) return [...points];
  return Array.from({ length: Math.ceil(points.length / run) }, (_, i) => {
    const part = points.slice(i * run, (i + 1) * run);
    const y = part.reduce((total, point) => total + point.y, 0) / part.length;
    return { x: part[part.length - 1].x, y };
  });
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Text in HTML. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]);
}
