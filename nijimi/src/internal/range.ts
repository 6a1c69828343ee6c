/** 0, 1, … up to but not including `length`. */
export function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}
