/**
 * Rounds halves to the nearest even number, as Python's and numpy's `round` do: 0.5 → 0, 1.5 → 2,
 * −0.5 → 0.
 */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction < 0.5) return floor;
  if (fraction > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
