/** Quantities as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** `512 B`, `1.5 kB`, `34 MB`: decimal units, two digits where they help. */
export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}
