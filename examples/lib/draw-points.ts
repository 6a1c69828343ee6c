/** Points in the plane as text: every character is a grid of 2 × 4 dots (braille). */

/** Bit of each dot of a braille character, by row and column. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** Draws pairs x, y of [−extent, extent] in `columns` characters by half as many lines; others fall outside. */
export function drawPoints(pairs: ArrayLike<number>, extent: number, columns = 48): string {
  const lines = columns / 2;
  const cells = new Uint8Array(columns * lines);
  for (let i = 0; i < pairs.length; i += 2) {
    const column = Math.floor(((pairs[i] / extent + 1) / 2) * columns * 2);
    const row = Math.floor(((1 - pairs[i + 1] / extent) / 2) * lines * 4);
    if (column < 0 || row < 0 || column >= columns * 2 || row >= lines * 4) continue;
    cells[(row >> 2) * columns + (column >> 1)] |= DOTS[row & 3][column & 1];
  }
  return Array.from({ length: lines }, (_, i) =>
    Array.from(cells.subarray(i * columns, (i + 1) * columns), (bits) =>
      String.fromCodePoint(0x2800 + bits),
    ).join(""),
  ).join("\n");
}
