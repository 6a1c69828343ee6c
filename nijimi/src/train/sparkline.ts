/** A curve of numbers as one line of text. */

const BARS = "▁▂▃▄▅▆▇█";

/**
 * Means of equal parts of the numbers, each as a bar between the lowest and the highest.
 *
 * @param width number of characters at most. @default 16
 * @example
 * sparkline([3, 2, 1, 1]); // "█▅▁▁"
 */
export function sparkline(values: readonly number[], width = 16): string {
  const finite = values.filter(Number.isFinite);
  const count = Math.min(width, finite.length);
  const means = Array.from({ length: count }, (_, i) => {
    const part = finite.slice(
      Math.floor((i * finite.length) / count),
      Math.floor(((i + 1) * finite.length) / count),
    );
    return part.reduce((total, value) => total + value, 0) / part.length;
  });
  const [low, high] = [Math.min(...means), Math.max(...means)];
  return means
    .map((mean) => BARS[high > low ? Math.round(((mean - low) / (high - low)) * 7) : 0])
    .join("");
}
